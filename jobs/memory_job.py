"""A job in a `MemoryQueue`: its units by state, and the steps from one to the next."""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field

from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import (
    FEWEST_FOR_MEDIAN,
    MEDIAN_UNITS,
    SLOW,
    Lease,
    Order,
    QueueCounts,
    QueuedJob,
    clip_error,
)
from ancestral.jobs.units import RowCounts, Unit

#: A unit that may be claimed at once, and before those that failed.
AT_ONCE = -math.inf


@dataclass
class Holding:
    """A lease from the queue's side; the times are readings of the clock."""

    worker: str
    device: str
    fence: int
    #: When the worker began with these rows.
    since: float
    expires_at: float
    moved_at: float
    #: Whether the worker draws it alone.
    alone: bool
    moved: int = 0
    #: Whether a heartbeat was refused its renewal for want of progress.
    stalled: bool = False
    #: Whether the unit's other lease ended as a failed attempt.
    last_standing: bool = False
    #: The fence of the lease of the whole unit, when this is what was kept of a split one.
    kept_from: int | None = None

    def moves(self, moved: int, now: float, patience: float) -> bool:
        """Note how far the worker is; whether it has advanced within its patience."""
        if moved > self.moved:
            self.moved, self.moved_at = moved, now
        return now - self.moved_at <= patience


@dataclass
class Trouble:
    """What went wrong with a unit so far."""

    attempts: int = 0
    last_error: str | None = None
    #: Where it broke last, alone or among others, and from when on it could be claimed again.
    device: str = ""
    broke_at: float = AT_ONCE
    #: Where it broke alone: the last two different devices, the latest at the end.
    devices: list[str] = field(default_factory=list)

    def charge(self, error: str, device: str, alone: bool, ready_at: float) -> None:
        self.attempts += 1
        self.last_error = clip_error(error)
        self.device = device
        self.broke_at = ready_at
        if device and alone:
            self.devices = [*(each for each in self.devices if each != device), device][-2:]

    def speaks_against(self, device: str) -> str | None:
        """The device to blame when the unit is completed on this one; none if it broke on both."""
        broke_once = len(self.devices) == 1 and device not in self.devices
        return self.devices[0] if device and broke_once else None


@dataclass
class MemoryJob:
    """A unit that is known stands in exactly one of `ready`, `leased`, `rows` and `split`."""

    facts: QueuedJob
    epoch: int
    #: The server as it was when the building began.
    server: int
    rebuilt_at: float
    rebuilding: bool = True
    wanted: Wanted = Wanted.RUN
    intent: int = 0
    #: The time from which each may be claimed.
    ready: dict[Unit, float] = field(default_factory=dict)
    #: One lease or two, of two workers.
    leased: dict[Unit, list[Holding]] = field(default_factory=dict)
    #: How the rows of each ended, once that was told.
    rows: dict[Unit, RowCounts | None] = field(default_factory=dict)
    split: set[Unit] = field(default_factory=set)
    troubles: dict[Unit, Trouble] = field(default_factory=dict)
    rows_decided: int = 0
    counted: RowCounts = field(default_factory=RowCounts)
    sampling_seconds: float = 0.0
    #: Seconds per row of the latest units.
    pace: deque[float] = field(default_factory=lambda: deque(maxlen=MEDIAN_UNITS))
    #: Who found nothing to claim last, and until when that holds.
    hungry: str = ""
    hungry_until: float = AT_ONCE
    #: Why a worker left the job to others.
    declined: str = ""
    #: The devices on which it was declined since they last held a unit of it.
    declined_on: set[str] = field(default_factory=set)

    def knows(self, unit: Unit) -> bool:
        return any(unit in state for state in (self.ready, self.leased, self.rows, self.split))

    def trouble(self, unit: Unit) -> Trouble:
        """What went wrong with the unit; not kept, if nothing did."""
        return self.troubles.get(unit, Trouble())

    def is_charged(self, unit: Unit) -> bool:
        return self.trouble(unit).attempts > 0

    def due(self, device: str, now: float, patience: float) -> list[Unit]:
        """The units that may be claimed on a device, in order.

        A unit that broke there is left to others for a while: for `patience` seconds.
        """
        due = []
        for unit, ready_at in self.ready.items():
            trouble = self.trouble(unit)
            waits = device and trouble.device == device and trouble.broke_at + patience > now
            if ready_at <= now and not waits:
                due.append((ready_at, unit))
        return [unit for _, unit in sorted(due)]

    @property
    def median_pace(self) -> float | None:
        """None until enough units were completed."""
        return statistics.median_low(self.pace) if len(self.pace) >= FEWEST_FOR_MEDIAN else None

    def slow(self, worker: str, now: float) -> Unit | None:
        """The oldest of the slow units of which this worker might hold a copy."""
        if (pace := self.median_pace) is None:
            return None
        slow = SLOW * pace
        single = [(held[0], unit) for unit, held in self.leased.items() if len(held) == 1]
        for holding, unit in sorted(single, key=lambda pair: pair[0].since):
            is_slow = now - holding.since > slow * unit.rows
            suspected = holding.last_standing or self.is_charged(unit)
            if is_slow and holding.worker != worker and not suspected:
                return unit
        return None

    def order(self, holding: Holding, unbegun: int, drained: bool, now: float) -> Order:
        """What to do with a lease that stands; SHARE once for each time that another asked."""
        if self.wanted is not Wanted.RUN:
            return Order.HAND_BACK
        if drained:
            return Order.DRAIN
        if unbegun >= 2 and now < self.hungry_until and self.hungry != holding.worker:
            self.hungry_until = AT_ONCE
            return Order.SHARE
        return Order.CONTINUE

    def holding(self, unit: Unit, worker: str, fence: int) -> Holding | None:
        """The lease with that fence, if it stands and is this worker's."""
        for holding in self.leased.get(unit, ()):
            if (holding.worker, holding.fence) == (worker, fence):
                return holding
        return None

    def kept_before(self, half: Unit, worker: str, fence: int) -> Holding | None:
        """What the worker was given of the split unit that it held with that fence."""
        for holding in self.leased.get(half, ()):
            if (holding.worker, holding.kept_from) == (worker, fence):
                return holding
        return None

    def hold(self, unit: Unit, holding: Holding) -> None:
        """Lease a unit that is ready, or leased once."""
        self.ready.pop(unit, None)
        self.leased.setdefault(unit, []).append(holding)

    def lease(self, unit: Unit, holding: Holding, workers: int) -> Lease:
        """A holding as its worker hears of it; so many workers share the job's rows."""
        trouble = self.trouble(unit)
        return Lease(
            job_id=self.facts.job_id,
            output=self.facts.output,
            unit=unit,
            fence=holding.fence,
            worker=holding.worker,
            attempts=trouble.attempts,
            last_error=trouble.last_error,
            copy=len(self.leased[unit]) > 1,
            alone=holding.alone,
            guided_rows=max(1, (self.facts.rows - self.rows_decided) // (4 * max(1, workers))),
        )

    def end(self, unit: Unit, holding: Holding, ready_at: float) -> None:
        """End a lease; the unit is ready again, unless another worker holds it too."""
        self.leased[unit].remove(holding)
        if not self.leased[unit]:
            del self.leased[unit]
            self.ready[unit] = ready_at

    def decide_rows(self, unit: Unit, counts: RowCounts | None = None) -> bool:
        """The store holds the unit's rows; without `counts` it is not known yet how they ended.
        Whether that is told now, for the first time."""
        if unit in self.split:
            return False
        if unit not in self.rows:
            self._settle(unit)
            self.rows[unit] = None
            self.rows_decided += unit.rows
        if self.rows[unit] is not None or counts is None:
            return False
        self.rows[unit] = counts
        self.counted += counts
        return True

    def decide_split(self, unit: Unit) -> None:
        """The store holds a split of the unit."""
        if unit not in self.rows:
            self._settle(unit)
            self.split.add(unit)

    def add(self, unit: Unit, ready_at: float = AT_ONCE, trouble: Trouble | None = None) -> None:
        """Make a unit ready that is not known yet."""
        if not self.knows(unit):
            self.ready[unit] = ready_at
            if trouble is not None:
                self.troubles[unit] = trouble

    def count(self, now: float, stale: bool) -> QueueCounts:
        return QueueCounts(
            epoch=self.epoch,
            rebuilding=self.rebuilding,
            rebuilt_seconds=now - self.rebuilt_at,
            stale=stale,
            wanted=self.wanted,
            intent=self.intent,
            ready=len(self.ready),
            leased=len(self.leased),
            done=len(self.rows),
            rows_decided=self.rows_decided,
            rows_ok=self.counted.ok,
            rows_failed=self.counted.failed,
            rows_rejected=self.counted.rejected,
            sampling_seconds=self.sampling_seconds,
            pace=self.median_pace,
            declined=self.declined,
        )

    def _settle(self, unit: Unit) -> None:
        self.ready.pop(unit, None)
        self.leased.pop(unit, None)
        self.troubles.pop(unit, None)
