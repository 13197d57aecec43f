"""The queue of units: who may work on what, and for how long.

A unit makes these moves; each arrow is one atomic step of a `Queue`:

                        claim
        add_units ──► ready ──────► leased ──────► done
                        ▲              │ complete    ▲
                        ├── release ───┤             │
                        ├── fail ──────┤             │
                        └── reap ──────┘             │
                        └──────── complete ──────────┘

A lease carries a fence, a number that only rises: who shows an older one has lost the unit.
`heartbeat`, `fail` and `release` of a lost lease change nothing. `complete` needs no lease: it
reports what a range record in the store already says, so the winner and the loser of a race
both call it. The queue is a cache of the store; losing it loses nothing but work in flight.

A unit never leaves the queue for having failed too often: it stays claimable, and its lease
says `exhausted`, upon which a worker commits its rows as failed. So every job ends.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ancestral.jobs.units import RowCounts, Unit

#: Seconds that a lease lasts when no heartbeat renews it.
LEASE_SECONDS = 60.0

#: Seconds without progress after which heartbeats no longer renew a lease.
STALL_SECONDS = 600.0

#: The most leases that one claim hands out, and that one reap or claim takes back.
LARGEST_BATCH = 100

#: Characters kept of a unit's last error: its end, where a traceback names the exception.
LONGEST_ERROR = 4000


class Order(enum.Enum):
    """What a heartbeat brings back for one lease."""

    CONTINUE = "continue"
    #: The unit is done, or another worker's: drop it.
    LOST = "lost"


@dataclass(frozen=True)
class Lease:
    """A unit held by a worker until its lease runs out."""

    job_id: str
    #: The job's output root, an fsspec URI; `_jobs/{job_id}/spec.json` below it says all else.
    output: str
    unit: Unit
    #: Higher than the fence of every lease given before it.
    fence: int
    #: Attempts charged to the unit before this lease.
    attempts: int
    #: Why the last of them failed; None on the first.
    last_error: str | None
    worker: str
    #: Attempts that the job allows a unit.
    max_attempts: int

    @property
    def exhausted(self) -> bool:
        """Whether the unit's attempts are used up: commit its rows as failed, with `last_error`."""
        return self.attempts >= self.max_attempts


@dataclass(frozen=True)
class QueuedJob:
    """A job as the queue knows it."""

    job_id: str
    output: str
    priority: int


@dataclass(frozen=True)
class QueueCounts:
    """Where the units of a job stand, and how the rows of those that are done ended."""

    #: Units to be claimed, those that wait for a delay to pass included.
    ready: int
    leased: int
    done: int
    rows_ok: int
    rows_failed: int
    rows_rejected: int


class Queue(Protocol):
    """Hands out units under leases and counts what came of them.

    Every method may raise `QueueUnavailable` and may be called from any thread.
    """

    def add_job(self, job_id: str, output: str, priority: int, max_attempts: int) -> None:
        """Make a job known, without units. A job that is known already stays as it is."""

    def add_units(self, job_id: str, units: Iterable[Unit]) -> int:
        """Make units ready that the queue does not know in any state; the number of them.

        Raises:
            UnknownJob: `add_job` was never called, or the job was forgotten.
        """

    def claim(self, worker: str, limit: int, job_id: str | None = None) -> list[Lease]:
        """Lease up to `limit` ready units (at most `LARGEST_BATCH`), of one job if it is named.

        Expired leases are reaped first. Units come from the job of highest priority, among equals
        from the oldest; within a job in the order of rows, those that failed after the others.
        """

    def heartbeat(self, worker: str, progress: Mapping[Lease, int]) -> dict[Lease, Order]:
        """Renew the leases of a worker; what to do with each.

        `progress` is a number that rises as a lease's work advances (steps, bytes). A lease whose
        number did not rise for the stall time is not renewed and so runs out: its worker hangs.
        """

    def complete(self, job_id: str, unit: Unit, counts: RowCounts) -> None:
        """Report that the store holds the unit's record, with its rows' statuses.

        Ends every lease of the unit. Counts once however often it is called; a unit that the
        queue never had counts too, and a job that it does not know is ignored.
        """

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        """Charge an attempt and make the unit ready again after a delay; False if it is lost."""

    def release(self, lease: Lease) -> bool:
        """Hand the unit back without charging an attempt; False if it is lost."""

    def reap(self, limit: int = LARGEST_BATCH) -> int:
        """Take back expired leases, at most `LARGEST_BATCH`, charging an attempt each; how many."""

    def counts(self, job_id: str) -> QueueCounts:
        """Where the units of the job stand.

        Raises:
            UnknownJob: `add_job` was never called, or the job was forgotten.
        """

    def jobs(self) -> list[QueuedJob]:
        """Every job that is known, in the order in which they are claimed from."""

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


def describe_expiry(worker: str, stalled: bool) -> str:
    """The error charged to a unit whose lease ran out."""
    what = "made no progress" if stalled else "went silent"
    return f"lease expired: the worker {worker} {what}"
