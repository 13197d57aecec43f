"""The queue of units: who may work on what, and for how long.

A unit makes these moves; each arrow is one atomic step of a `Queue`:

                        claim
          restore ──► ready ──────► leased ──────► decided: rows
                        ▲              │ complete    ▲
                        ├── release ───┤             │
                        ├── fail ──────┤             │
                        ├── reap ──────┤             │
                        ├── expire ────┘             │
                        ├──────── complete ──────────┘
                        └──────── split ───────────► decided: split, and its halves are ready

A lease carries a fence, a number that only rises: who shows an older one has lost the unit.
`heartbeat`, `fail`, `release` and the `keep` of `split` change nothing for a lost lease. `complete`
and `split` need none: they report what a range record in the store already says, so the winner and
the loser of a race both call them. Near a job's end a unit can have two leases, of two workers: the
second is a *copy*. Deciding the unit ends both. A lease runs out while others speak: when nobody
claimed, reaped or sent a heartbeat for `SILENCE` leases' time, all slept, or the queue's clock
jumped, and with the first word after it every lease begins anew.

The queue is a cache of the store; losing it loses nothing but work in flight. It is built, the
first time as well as anew, in an *epoch*:

    begin_rebuild(epoch) ──► restore, restore, ... ──► end_rebuild(epoch)
    no unit is claimed       units as the store has    units are claimed
                             them

An epoch supersedes the ones before it, whose calls then return False. A queue whose server was
restarted may have forgotten the last moments: its jobs are *stale*, and closed to claims until they
are built anew. Of a job that is not open (unknown, stale, or being built), `heartbeat` says
CONTINUE: the record will decide.

*Poison.* A unit that broke is charged an attempt; it waits, for a while, for another device than
the one it broke on. Which attempts are too many is for workers to say, who split the unit or fail
its row. Of two leases of a unit the one that breaks first ends without a charge; the last one
standing is not copied again, and charges the unit if it breaks too.

*Sick devices.* A break among others blames nobody: it may be theirs. So a unit that was charged is
drawn alone from then on, and each charge puts the device of its lease on *probation*: what is
claimed on it is drawn alone, until a unit is completed on it. A unit that broke alone on one device
and is completed on another speaks against the first; one that broke alone on both speaks against
itself. A device that two units of disjoint rows speak against, with none completed on it meanwhile,
is drained: it gets no more units, and heartbeats say DRAIN.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ancestral.jobs.intents import Wanted
from ancestral.jobs.units import RowCounts, Unit

#: Seconds that a lease lasts when no heartbeat renews it.
LEASE_SECONDS = 60.0

#: Seconds without progress after which heartbeats no longer renew a lease.
STALL_SECONDS = 600.0

#: The most leases that one claim hands out, that one reap or claim takes back, and the most units
#: of one call of `restore`.
LARGEST_BATCH = 100

#: Characters kept of a unit's last error: its end, where a traceback names the exception.
LONGEST_ERROR = 4000

#: A unit that runs for this many times the median (of seconds per row, of the latest `MEDIAN_UNITS`
#: units of its job, and at least `FEWEST_FOR_MEDIAN`) is leased to a second, idle worker, too.
SLOW = 2.0
MEDIAN_UNITS = 31
FEWEST_FOR_MEDIAN = 3

#: A unit that broke on a device is left to other devices for so many leases' time.
OTHERS_FIRST = 10

#: When nobody spoke for so many leases' time, no lease runs out by that.
SILENCE = 2

#: Units of disjoint rows that must speak against a device before it is drained.
UNITS_AGAINST_DEVICE = 2

#: Devices that are kept on probation: those on which units broke last.
MOST_ON_PROBATION = 1000


class Order(enum.Enum):
    """What a heartbeat brings back for one lease."""

    CONTINUE = "continue"
    #: The unit is decided, or another worker's: drop it.
    LOST = "lost"
    #: The job is paused or cancelled: keep the rows that are finished, hand back the others now.
    HAND_BACK = "hand back"
    #: Others have nothing to do: split off some of the rows that are not begun.
    SHARE = "share"
    #: The device is sick: finish the rows that are begun, hand back the others, claim no more.
    DRAIN = "drain"


@dataclass(frozen=True)
class Lease:
    """A unit held by a worker until its lease runs out."""

    job_id: str
    #: The job's output root, an fsspec URI; `_jobs/{job_id}/spec.json` below it says all else.
    output: str
    unit: Unit
    #: Higher than the fence of every lease given before it.
    fence: int
    worker: str
    #: Attempts charged to the unit before this lease.
    attempts: int = 0
    #: Why the last of them failed; None on the first.
    last_error: str | None = None
    #: Whether another worker holds the unit too, and began before.
    copy: bool = False
    #: Whether it must be drawn alone, with no other unit in hand: the unit was charged before, or
    #: its device was on probation when it was claimed. What is kept of a split stays as it was.
    alone: bool = False
    #: Rows that a unit should have now: what is left of the job, shared by four units for each
    #: worker. A hint: a larger unit can be split before it is begun.
    guided_rows: int = 1


@dataclass(frozen=True)
class Progress:
    """How far a worker has come with a lease.

    moved: rises as the worker advances (steps, rows written, retries).
    unbegun: rows of the unit that are in no slot yet, and could be another worker's.
    """

    moved: int
    unbegun: int = 0


@dataclass(frozen=True)
class QueuedJob:
    """A job as the queue knows it."""

    job_id: str
    output: str
    priority: int
    rows: int
    #: When all rows should be drawn, in seconds since 1970; None: at any time.
    deadline: int | None = None


@dataclass(frozen=True)
class QueueCounts:
    """Where a job stands in the queue."""

    epoch: int
    #: Being built: nothing is claimed. `rebuilt_seconds` ago something was last heard of that.
    rebuilding: bool
    rebuilt_seconds: float
    #: The server was restarted since: build it anew.
    stale: bool
    wanted: Wanted
    #: The number of the intent behind `wanted`.
    intent: int
    #: Units to be claimed, those that wait for a delay to pass included.
    ready: int
    #: Units that somebody holds, a copy not counted.
    leased: int
    #: Units that are decided as rows, and the rows in them.
    done: int
    rows_decided: int
    #: How those rows ended, as far as that was told: after a rebuild it is told unit by unit.
    rows_ok: int
    rows_failed: int
    rows_rejected: int
    #: Of samplers, for the rows of which it was told how they ended.
    sampling_seconds: float = 0.0
    #: Seconds for which units are held, per row; the median of the latest (see `SLOW`), None until
    #: that is known.
    pace: float | None = None
    #: Why a worker left the job to others, in the words of the last that did; "" if none did.
    declined: str = ""

    @property
    def seconds_per_row(self) -> float | None:
        """Of one sampler; None until that is known."""
        rows = self.rows_ok + self.rows_failed + self.rows_rejected
        return self.sampling_seconds / rows or None if rows else None


class Queue(Protocol):
    """Hands out units under leases and counts what came of them.

    Every method may raise `QueueUnavailable` and may be called from any thread.
    """

    @property
    def lease_seconds(self) -> float:
        """How long a unit stays with a worker that says nothing."""

    def begin_rebuild(self, job: QueuedJob, epoch: int) -> bool:
        """Make a job known, without units, and closed until `end_rebuild`.

        Of a job that is known already the units, leases and charges are forgotten; what is wanted
        of it, and on which devices it was declined, stays. Nothing happens when it is at that epoch
        or a later one already: True while it is being built at that one, for an epoch is one
        caller's, who can say it again when the answer was lost; else False.
        """

    def restore(
        self,
        job_id: str,
        epoch: int,
        undecided: Iterable[Unit] = (),
        rows: Iterable[Unit] = (),
        split: Iterable[Unit] = (),
    ) -> bool:
        """Tell what the store says of some units (see `Cover`); what the queue knows stays.

        An undecided unit that it does not know, in any state, is made ready. Units with rows and
        split ones are decided, if they were not, and their leases end; the halves of a split are
        not touched. False when the job is unknown or at another epoch. Allowed at any time in an
        epoch, so that an audit mends what drifted.
        """

    def end_rebuild(self, job_id: str, epoch: int) -> bool:
        """Open a job to claims; False if another epoch superseded this one, or it is unknown."""

    def want(self, job_id: str, wanted: Wanted, intent: int) -> bool:
        """What is wanted of the job by the intent of that number; False if a later one was told.

        Only of a job that should RUN are units claimed. An unknown job is ignored (False).
        """

    def claim(
        self,
        worker: str,
        limit: int,
        job_id: str | None = None,
        device: str = "",
        among_others: bool = False,
        ticket: str = "",
        without: Collection[str] = (),
    ) -> list[Lease]:
        """Lease up to `limit` ready units (at most `LARGEST_BATCH`), of one job if it is named.

        Expired leases are reaped first. Units come from the job of highest priority, among equals
        from the one whose deadline is the earliest, and then from the oldest; within a job in the
        order of rows, those that failed after the others, and for `OTHERS_FIRST` leases' time not
        on the device that they broke on, if there is another (one heard of within the last lease's
        time, on which the job was not declined). Nothing for a drained device, and nothing of the
        jobs `without`. With `among_others`, only leases that need not be drawn alone, and so
        nothing at all on a device on probation: who has other units in hand takes no suspect, for
        it would be charged with what they do.

        When nothing is ready, holders of units with unbegun rows are asked to SHARE, and a unit
        that is slow (see `SLOW`) is leased as a copy, unless it was charged before, `worker` holds
        it, it has a copy already, or had one and either broke. Neither is done to the jobs
        `without`, nor to any job when only `among_others` kept units from being given.

        A claim whose answer was lost can be said again under its `ticket`, any name for it: what
        still stands of its leases is given again, the same ones, renewed, and nothing new. Only the
        last ticket that a worker got leases for is known, until it is silent for a lease's time.
        """

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        """Renew the leases of a worker; what to do with each.

        A lease whose `moved` did not rise for the stall time is not renewed and so runs out: its
        worker hangs. Where nothing stands, LOST; of a job that is not open, CONTINUE.
        """

    def complete(
        self,
        job_id: str,
        unit: Unit,
        counts: RowCounts,
        device: str = "",
        sampling_seconds: float = 0.0,
    ) -> None:
        """Report that the store holds the unit's rows, drawn on `device`, with their statuses, and
        how long a sampler took for them.

        Ends every lease of the unit, and the device's probation. Counts once, and ends probation
        once, however often it is called; a unit that the queue never had counts too, and a job that
        it does not know is ignored. A unit that was restored as decided is counted by the first
        call.
        """

    def split(
        self,
        job_id: str,
        unit: Unit,
        at: int,
        attempts: int = 0,
        last_error: str | None = None,
        keep: Lease | None = None,
    ) -> Lease | None:
        """Report that the store holds a split of the unit, which ends every lease of it.

        Halves that the queue does not know are made ready; one of more than one row is charged
        with `attempts` and `last_error` from the start. With `keep`, the caller's lease of the
        unit, the first half becomes its lease, which is returned; None when that lease was lost
        (the half is ready then), or `keep` is None. Safe to repeat; an unknown job is ignored.
        """

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        """End the lease, and charge the unit an attempt; False if the lease is lost.

        The unit is ready again after the delay. While another worker holds it too, nothing is
        charged, and the other lease goes on.
        """

    def release(self, lease: Lease, declined: str = "") -> bool:
        """End the lease without charging an attempt; False if it is lost.

        Unless another worker holds the unit too, it is ready again at once. `declined` says why the
        worker leaves the whole job to others, if it does, for `counts` to tell; no unit of the job
        waits for its device then, until it holds one again.
        """

    def reap(self, limit: int = LARGEST_BATCH) -> int:
        """End expired leases, at most `LARGEST_BATCH`, with a charge as in `fail`; how many."""

    def expire(self, worker: str) -> int:
        """End all leases of a worker that is known to be dead, with a charge as in `fail`; how
        many."""

    def counts(self, job_id: str) -> QueueCounts:
        """Where the job stands.

        Raises:
            UnknownJob: it was never built, or it was forgotten.
        """

    def untold(self, job_id: str) -> list[Unit]:
        """The units that are decided as rows, and of which it was not told how they ended, by
        rising ordinals. It looks at all that are decided. An unknown job has none."""

    def jobs(self) -> list[QueuedJob]:
        """Every job that is known, in the order in which they are claimed from."""

    def drained_devices(self) -> dict[str, list[str]]:
        """The devices that were drained; by name, the units that speak against each."""

    def pardon(self, device: str) -> None:
        """Forget what speaks against a device, and end its probation: it gets units again."""

    def forget(self, job_id: str) -> None:
        """Drop a job and all its units; its leases are lost. An unknown job is ignored."""

    def check(self) -> None:
        """See that the queue can be relied on.

        Raises:
            QueueMisconfigured: its server would evict keys.
        """

    def close(self) -> None:
        """Let go of connections."""


def clip_error(error: str) -> str:
    """The end of an error's text, as long as a queue keeps it."""
    return error[-LONGEST_ERROR:]
