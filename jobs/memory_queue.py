"""The queue within one process: the contract's meaning in plain Python."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.intents import Wanted
from ancestral.jobs.memory_job import AT_ONCE, Holding, MemoryJob, Trouble
from ancestral.jobs.memory_state import MemoryState
from ancestral.jobs.queue import (
    LARGEST_BATCH,
    LEASE_SECONDS,
    STALL_SECONDS,
    Lease,
    Order,
    Progress,
    QueueCounts,
    QueuedJob,
    clip_error,
)
from ancestral.jobs.units import RowCounts, Unit


class MemoryQueue:
    """A `Queue` for one process: for notebooks, tests, and jobs run without a server."""

    def __init__(
        self,
        lease_seconds: float = LEASE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds and never goes back."""
        self.lease_seconds = lease_seconds
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._state = MemoryState()

    def snapshot(self) -> object:
        """All that is known now, as a server writes it to its disk; for `restart`."""
        with self._lock:
            return copy.deepcopy(self._state)

    def restart(self, snapshot: object | None) -> None:
        """What befalls a server: its restart from what it once wrote, or FLUSHALL with None.

        The first makes another server of it, to which all jobs are stale. Fences rise over both,
        as long as the clock moved by a microsecond for each lease that was given.
        """
        assert snapshot is None or isinstance(snapshot, MemoryState)
        with self._lock:
            server = self._state.server + (snapshot is not None)
            self._state = copy.deepcopy(snapshot) or MemoryState()
            self._state.server = server

    def begin_rebuild(self, job: QueuedJob, epoch: int) -> bool:
        with self._lock:
            before = self._state.jobs.get(job.job_id)
            built = MemoryJob(job, epoch, self._state.server, self._clock())
            if before is not None:
                if before.epoch >= epoch:
                    # An epoch is one caller's: who says it twice did not hear the first answer.
                    return before.epoch == epoch and before.rebuilding
                built.wanted, built.intent = before.wanted, before.intent
                built.declined_on = before.declined_on
            self._state.jobs[job.job_id] = built
            return True

    def restore(
        self,
        job_id: str,
        epoch: int,
        undecided: Iterable[Unit] = (),
        rows: Iterable[Unit] = (),
        split: Iterable[Unit] = (),
    ) -> bool:
        with self._lock:
            job = self._state.at_epoch(job_id, epoch)
            if job is None:
                return False
            for unit in split:
                job.decide_split(unit)
            for unit in rows:
                job.decide_rows(unit)
            for unit in undecided:
                job.add(unit)
            job.rebuilt_at = self._clock()
            return True

    def end_rebuild(self, job_id: str, epoch: int) -> bool:
        with self._lock:
            job = self._state.at_epoch(job_id, epoch)
            if job is None:
                return False
            job.rebuilding = False
            return True

    def want(self, job_id: str, wanted: Wanted, intent: int) -> bool:
        with self._lock:
            job = self._state.jobs.get(job_id)
            if job is None or intent < job.intent:
                return False
            job.wanted, job.intent = wanted, intent
            return True

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
        with self._lock:
            now = self._clock()
            self._state.see(worker, now, self.lease_seconds)
            last_ticket, given = self._state.tickets.get(worker, ("", []))
            if ticket and ticket == last_ticket:
                return self._state.renew(given, now + self.lease_seconds)
            self._state.reap(now, LARGEST_BATCH)
            if limit < 1 or self._state.is_drained(device):
                return []
            self._state.see_device(device, now, self.lease_seconds)
            if among_others and device in self._state.probation:
                return []
            jobs = self._state.may_claim(job_id, without)
            due = [
                (job, unit)
                for job in jobs
                for unit in self._state.due(job, device, now, self.lease_seconds)
            ]
            free = [each for each in due if not (among_others and each[0].is_charged(each[1]))]
            leases = [
                self._lease(job, unit, worker, device, now)
                for job, unit in free[: min(limit, LARGEST_BATCH)]
            ]
            if not due:
                leases = self._ask_for_more(jobs, worker, device, now)
            if ticket and leases:
                self._state.tickets[worker] = ticket, leases
            return list(leases)

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        with self._lock:
            now = self._clock()
            if progress:
                self._state.see(worker, now, self.lease_seconds)
            return {
                lease: self._renew(worker, lease, each, now) for lease, each in progress.items()
            }

    def complete(
        self,
        job_id: str,
        unit: Unit,
        counts: RowCounts,
        device: str = "",
        sampling_seconds: float = 0.0,
    ) -> None:
        with self._lock:
            job = self._state.jobs.get(job_id)
            if job is None:
                return
            if holdings := job.leased.get(unit):
                since = min(holding.since for holding in holdings)
                job.pace.append((self._clock() - since) / unit.rows)
            if accused := job.trouble(unit).speaks_against(device):
                self._state.accuse(accused, job_id, unit)
            if job.decide_rows(unit, counts):
                job.sampling_seconds += sampling_seconds
                self._state.acquit(device)

    def split(
        self,
        job_id: str,
        unit: Unit,
        at: int,
        attempts: int = 0,
        last_error: str | None = None,
        keep: Lease | None = None,
    ) -> Lease | None:
        with self._lock:
            job = self._state.jobs.get(job_id)
            if job is None or unit in job.rows:
                return None
            held = self._state.standing(keep) if keep else None
            now = self._clock()
            job.decide_split(unit)
            for half in unit.split(at):
                if attempts and half.rows > 1:
                    job.add(half, now, Trouble(attempts, clip_error(last_error or "")))
                else:
                    job.add(half)
            if keep is None or not self._state.is_open(job):
                return None
            return self._keep(job, unit.split(at)[0], keep, held[1] if held else None, now)

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        with self._lock:
            held = self._state.standing(lease)
            if held is None:
                return False
            job, holding = held
            ready_at = self._clock() + delay_seconds
            self._state.charge(job, lease.unit, holding, error, ready_at)
            return True

    def release(self, lease: Lease, declined: str = "") -> bool:
        with self._lock:
            held = self._state.standing(lease)
            if held is None:
                return False
            job, holding = held
            job.end(lease.unit, holding, AT_ONCE)
            if declined:
                job.declined = clip_error(declined)
                job.declined_on |= {holding.device} - {""}
            return True

    def reap(self, limit: int = LARGEST_BATCH) -> int:
        with self._lock:
            now = self._clock()
            self._state.hear(now, self.lease_seconds)
            return self._state.reap(now, min(limit, LARGEST_BATCH))

    def expire(self, worker: str) -> int:
        with self._lock:
            return self._state.expire(worker, self._clock())

    def counts(self, job_id: str) -> QueueCounts:
        with self._lock:
            job = self._state.jobs.get(job_id)
            if job is None:
                raise UnknownJob(f"the queue knows no job {job_id!r}")
            return job.count(self._clock(), stale=job.server != self._state.server)

    def untold(self, job_id: str) -> list[Unit]:
        with self._lock:
            job = self._state.jobs.get(job_id)
            return sorted(unit for unit, told in job.rows.items() if told is None) if job else []

    def jobs(self) -> list[QueuedJob]:
        with self._lock:
            return [job.facts for job in self._state.in_order()]

    def drained_devices(self) -> dict[str, list[str]]:
        with self._lock:
            return self._state.drained_devices()

    def pardon(self, device: str) -> None:
        with self._lock:
            self._state.pardon(device)

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._state.jobs.pop(job_id, None)

    def check(self) -> None:
        """Nothing outside this process can fail it."""

    def close(self) -> None:
        """It holds no connections."""

    def _lease(
        self,
        job: MemoryJob,
        unit: Unit,
        worker: str,
        device: str,
        now: float,
        whole: Holding | None = None,
    ) -> Lease:
        """Lease a unit; if it is what is kept of a whole one, as that was."""
        holding = Holding(
            worker,
            device,
            fence=self._state.next_fence(now),
            since=whole.since if whole else now,
            expires_at=now + self.lease_seconds,
            moved_at=now,
            alone=whole.alone if whole else self._state.draws_alone(job, unit, device),
            kept_from=whole.fence if whole else None,
        )
        job.hold(unit, holding)
        job.declined_on.discard(device)
        return job.lease(unit, holding, len(self._state.workers))

    def _keep(
        self, job: MemoryJob, half: Unit, keep: Lease, whole: Holding | None, now: float
    ) -> Lease | None:
        """Give a half to the holder of the whole; once more, if the answer was lost before."""
        if whole and half in job.ready:
            return self._lease(job, half, whole.worker, whole.device, now, whole)
        kept = job.kept_before(half, keep.worker, keep.fence)
        return job.lease(half, kept, len(self._state.workers)) if kept else None

    def _ask_for_more(
        self, jobs: list[MemoryJob], worker: str, device: str, now: float
    ) -> list[Lease]:
        """Nothing is ready: ask holders to share, and copy a slow unit if there is one."""
        for job in jobs:
            job.hungry, job.hungry_until = worker, now + self.lease_seconds
        for job in jobs:
            unit = job.slow(worker, now)
            if unit is not None:
                return [self._lease(job, unit, worker, device, now)]
        return []

    def _renew(self, worker: str, lease: Lease, progress: Progress, now: float) -> Order:
        job = self._state.jobs.get(lease.job_id)
        if job is None or not self._state.is_open(job):
            return Order.CONTINUE
        holding = job.holding(lease.unit, worker, lease.fence)
        if holding is None:
            return Order.LOST
        self._state.see_device(holding.device, now, self.lease_seconds)
        holding.stalled = not holding.moves(progress.moved, now, self._stall_seconds)
        if not holding.stalled:
            holding.expires_at = now + self.lease_seconds
        return job.order(holding, progress.unbegun, self._state.is_drained(holding.device), now)
