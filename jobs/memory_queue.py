"""The queue within one process: the contract's meaning in plain Python."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.queue import (
    LARGEST_BATCH,
    LEASE_SECONDS,
    STALL_SECONDS,
    Lease,
    Order,
    QueueCounts,
    QueuedJob,
    clip_error,
    describe_expiry,
)
from ancestral.jobs.units import RowCounts, Unit

#: A unit that may be claimed at once, and before those that failed.
AT_ONCE = -math.inf


@dataclass
class _Holding:
    """A lease from the queue's side; the times are readings of the clock."""

    worker: str
    fence: int
    expires_at: float
    progress: int
    progressed_at: float
    #: Whether a heartbeat was refused its renewal for want of progress.
    stalled: bool = False


@dataclass
class _Trouble:
    """What went wrong with a unit so far."""

    attempts: int = 0
    last_error: str | None = None


@dataclass
class _Job:
    """A job's units by state: each stands in exactly one of `ready`, `leased` and `done`."""

    job_id: str
    output: str
    priority: int
    max_attempts: int
    #: The time from which each may be claimed.
    ready: dict[Unit, float] = field(default_factory=dict)
    leased: dict[Unit, _Holding] = field(default_factory=dict)
    done: set[Unit] = field(default_factory=set)
    troubles: dict[Unit, _Trouble] = field(default_factory=dict)
    rows: RowCounts = field(default_factory=RowCounts)

    def charge(self, unit: Unit, error: str, ready_at: float) -> None:
        """End the unit's lease as a failed attempt."""
        trouble = self.troubles.setdefault(unit, _Trouble())
        trouble.attempts += 1
        trouble.last_error = clip_error(error)
        del self.leased[unit]
        self.ready[unit] = ready_at


class MemoryQueue:
    """A `Queue` for one process: for notebooks, tests, and jobs run without a server."""

    def __init__(
        self,
        lease_seconds: float = LEASE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds and never goes back."""
        self._lease_seconds = lease_seconds
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._fence = 0
        self._jobs: dict[str, _Job] = {}

    def add_job(self, job_id: str, output: str, priority: int, max_attempts: int) -> None:
        with self._lock:
            self._jobs.setdefault(job_id, _Job(job_id, output, priority, max_attempts))

    def add_units(self, job_id: str, units: Iterable[Unit]) -> int:
        with self._lock:
            job = self._known(job_id)
            added = 0
            for unit in units:
                if unit not in job.ready and unit not in job.leased and unit not in job.done:
                    job.ready[unit] = AT_ONCE
                    added += 1
            return added

    def claim(self, worker: str, limit: int, job_id: str | None = None) -> list[Lease]:
        with self._lock:
            now = self._clock()
            self._reap(now, LARGEST_BATCH)
            leases: list[Lease] = []
            for job in self._in_order():
                if job_id is None or job.job_id == job_id:
                    wanted = min(limit, LARGEST_BATCH) - len(leases)
                    leases.extend(self._lease(job, worker, wanted, now))
            return leases

    def heartbeat(self, worker: str, progress: Mapping[Lease, int]) -> dict[Lease, Order]:
        with self._lock:
            now = self._clock()
            return {
                lease: self._renew(worker, lease, reached, now)
                for lease, reached in progress.items()
            }

    def complete(self, job_id: str, unit: Unit, counts: RowCounts) -> None:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or unit in job.done:
                return
            job.ready.pop(unit, None)
            job.leased.pop(unit, None)
            job.done.add(unit)
            job.rows += counts

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        with self._lock:
            job = self._holder(lease)
            if job is None:
                return False
            job.charge(lease.unit, error, self._clock() + delay_seconds)
            return True

    def release(self, lease: Lease) -> bool:
        with self._lock:
            job = self._holder(lease)
            if job is None:
                return False
            del job.leased[lease.unit]
            job.ready[lease.unit] = AT_ONCE
            return True

    def reap(self, limit: int = LARGEST_BATCH) -> int:
        with self._lock:
            return self._reap(self._clock(), min(limit, LARGEST_BATCH))

    def counts(self, job_id: str) -> QueueCounts:
        with self._lock:
            job = self._known(job_id)
            return QueueCounts(
                ready=len(job.ready),
                leased=len(job.leased),
                done=len(job.done),
                rows_ok=job.rows.ok,
                rows_failed=job.rows.failed,
                rows_rejected=job.rows.rejected,
            )

    def jobs(self) -> list[QueuedJob]:
        with self._lock:
            return [QueuedJob(job.job_id, job.output, job.priority) for job in self._in_order()]

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._jobs.pop(job_id, None)

    def check(self) -> None:
        """Nothing outside this process can fail it."""

    def close(self) -> None:
        """It holds no connections."""

    def _known(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJob(f"the queue knows no job {job_id!r}")
        return job

    def _in_order(self) -> list[_Job]:
        """Highest priority first; among equals the oldest, as dicts keep the order of insertion."""
        return sorted(self._jobs.values(), key=lambda job: -job.priority)

    def _holder(self, lease: Lease) -> _Job | None:
        """The job, if the lease still stands."""
        job = self._jobs.get(lease.job_id)
        holding = job.leased.get(lease.unit) if job else None
        return job if holding and holding.fence == lease.fence else None

    def _lease(self, job: _Job, worker: str, limit: int, now: float) -> list[Lease]:
        due = ((ready_at, unit) for unit, ready_at in job.ready.items() if ready_at <= now)
        leases = []
        for _, unit in heapq.nsmallest(limit, due):
            self._fence += 1
            del job.ready[unit]
            job.leased[unit] = _Holding(worker, self._fence, now + self._lease_seconds, 0, now)
            trouble = job.troubles.get(unit, _Trouble())
            leases.append(
                Lease(
                    job_id=job.job_id,
                    output=job.output,
                    unit=unit,
                    fence=self._fence,
                    attempts=trouble.attempts,
                    last_error=trouble.last_error,
                    worker=worker,
                    max_attempts=job.max_attempts,
                )
            )
        return leases

    def _renew(self, worker: str, lease: Lease, reached: int, now: float) -> Order:
        job = self._holder(lease)
        if job is None or job.leased[lease.unit].worker != worker:
            return Order.LOST
        holding = job.leased[lease.unit]
        if reached > holding.progress:
            holding.progress, holding.progressed_at = reached, now
        holding.stalled = now - holding.progressed_at > self._stall_seconds
        if not holding.stalled:
            holding.expires_at = now + self._lease_seconds
        return Order.CONTINUE

    def _reap(self, now: float, limit: int) -> int:
        expired = [
            (holding.expires_at, job.job_id, unit)
            for job in self._jobs.values()
            for unit, holding in job.leased.items()
            if holding.expires_at <= now
        ]
        soonest = heapq.nsmallest(limit, expired)
        for _, job_id, unit in soonest:
            job = self._jobs[job_id]
            holding = job.leased[unit]
            job.charge(unit, describe_expiry(holding.worker, holding.stalled), now)
        return len(soonest)
