"""The queue of a simulated world: a real `MemoryQueue`, and the doors of the world's processes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from ancestral.jobs.errors import QueueUnavailable, UnknownJob
from ancestral.jobs.intents import Wanted
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import LARGEST_BATCH, Lease, Order, Progress, QueueCounts, QueuedJob
from ancestral.jobs.units import RowCounts, Unit
from tests.faults.simulated_faults import Faults
from tests.faults.simulated_oracle import Oracle
from tests.faults.simulated_world import Process

Answer = TypeVar("Answer")


class QueueDoor:
    """The queue as one process sees it, with all that goes wrong; the oracle sees what it does."""

    def __init__(
        self, queue: MemoryQueue, oracle: Oracle, faults: Faults, process: Process
    ) -> None:
        self._queue = queue
        self._oracle = oracle
        self._faults = faults
        self._process = process
        self.lease_seconds = queue.lease_seconds

    def begin_rebuild(self, job: QueuedJob, epoch: int) -> bool:
        def effect() -> bool:
            begun_before = self._builds(job.job_id, epoch)
            begun = self._queue.begin_rebuild(job, epoch)
            if begun and not begun_before:
                self._oracle.began(job.job_id, epoch)
            return begun

        return self._call(f"begins epoch {epoch} of {job.job_id}", effect, growing=True)

    def restore(
        self,
        job_id: str,
        epoch: int,
        undecided: Iterable[Unit] = (),
        rows: Iterable[Unit] = (),
        split: Iterable[Unit] = (),
    ) -> bool:
        waiting, decided, halved = list(undecided), list(rows), list(split)

        def effect() -> bool:
            restored = self._queue.restore(job_id, epoch, waiting, decided, halved)
            if restored:
                self._oracle.restored(job_id, waiting + decided)
            return restored

        return self._call(f"restores epoch {epoch} of {job_id}", effect, growing=True)

    def end_rebuild(self, job_id: str, epoch: int) -> bool:
        def effect() -> bool:
            opened = self._queue.end_rebuild(job_id, epoch)
            if opened:
                self._oracle.ended(job_id)
            return opened

        return self._call(f"ends epoch {epoch} of {job_id}", effect)

    def want(self, job_id: str, wanted: Wanted, intent: int) -> bool:
        def effect() -> bool:
            taken = self._queue.want(job_id, wanted, intent)
            if taken:
                self._oracle.told(job_id, wanted)
            return taken

        return self._call(f"wants {job_id} to {wanted.value} by intent {intent}", effect)

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
        def effect() -> list[Lease]:
            open_before = self._oracle.open_jobs()
            leases = self._queue.claim(worker, limit, job_id, device, among_others, ticket, without)
            self._oracle.claimed(leases, among_others, open_before)
            for lease in leases:
                self._faults.world.tell(f"{worker} has {_named(lease.job_id, lease.unit)}: {lease}")
            return leases

        # Said again much later, it leases what its worker will never hear of.
        return self._call("claims", effect, growing=True, again_charges=True)

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        def effect() -> dict[Lease, Order]:
            orders = self._queue.heartbeat(worker, progress)
            self._oracle.renewed(orders)
            return orders

        return self._call("beats", effect)

    def complete(
        self,
        job_id: str,
        unit: Unit,
        counts: RowCounts,
        device: str = "",
        sampling_seconds: float = 0.0,
    ) -> None:
        def effect() -> None:
            self._queue.complete(job_id, unit, counts, device, sampling_seconds)
            self._oracle.completed(job_id, unit, counts)

        self._call(f"completes {_named(job_id, unit)}", effect)

    def split(
        self,
        job_id: str,
        unit: Unit,
        at: int,
        attempts: int = 0,
        last_error: str | None = None,
        keep: Lease | None = None,
    ) -> Lease | None:
        def effect() -> Lease | None:
            kept = self._queue.split(job_id, unit, at, attempts, last_error, keep)
            self._oracle.divided(job_id, unit, at, keep, kept)
            return kept

        return self._call(f"splits {_named(job_id, unit)} at {at}", effect)

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        return self._give_back(
            "fails", lease, lambda: self._queue.fail(lease, error, delay_seconds)
        )

    def release(self, lease: Lease, declined: str = "") -> bool:
        return self._give_back("releases", lease, lambda: self._queue.release(lease, declined))

    def reap(self, limit: int = LARGEST_BATCH) -> int:
        return self._call("reaps", lambda: self._queue.reap(limit))

    def expire(self, worker: str) -> int:
        def effect() -> int:
            count = self._queue.expire(worker)
            self._oracle.buried(worker)
            return count

        return self._call(f"expires {worker}", effect)

    def counts(self, job_id: str) -> QueueCounts:
        return self._call(f"counts {job_id}", lambda: self._queue.counts(job_id), again=False)

    def untold(self, job_id: str) -> list[Unit]:
        return self._call(f"asks after {job_id}", lambda: self._queue.untold(job_id), again=False)

    def jobs(self) -> list[QueuedJob]:
        return self._call("lists jobs", self._queue.jobs, again=False)

    def drained_devices(self) -> dict[str, list[str]]:
        return self._call("lists devices", self._queue.drained_devices, again=False)

    def pardon(self, device: str) -> None:
        self._call(f"pardons {device}", lambda: self._queue.pardon(device))

    def forget(self, job_id: str) -> None:
        self._call(f"forgets {job_id}", lambda: self._queue.forget(job_id))

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def close(self) -> None:
        """It holds no connections."""

    def _builds(self, job_id: str, epoch: int) -> bool:
        """Whether the queue is being built at that epoch, so that to begin it changes nothing."""
        try:
            counts = self._queue.counts(job_id)
        except UnknownJob:
            return False
        return counts.rebuilding and counts.epoch == epoch and not counts.stale

    def _give_back(self, name: str, lease: Lease, call: Callable[[], bool]) -> bool:
        def effect() -> bool:
            was_void = self._oracle.is_void(lease) or not self._oracle.open_jobs()[lease.job_id]
            accepted = call()
            self._oracle.given_back(lease, accepted, was_void)
            return accepted

        return self._call(f"{name} {_named(lease.job_id, lease.unit)}, fence {lease.fence}", effect)

    def _call(
        self,
        name: str,
        effect: Callable[[], Answer],
        *,
        growing: bool = False,
        again: bool = True,
        again_charges: bool = False,
    ) -> Answer:
        """`growing`: whether it is refused by a server whose memory is full."""
        service = "queue that grows" if growing else "queue"

        def heard() -> Answer:
            """A client that lost its connection says it again, and goes by the second answer."""
            answer = effect()
            if again and self._faults.happens(self._faults.rates.lost):
                self._faults.world.tell(f"{self._process.name} {name}: said again")
                answer = effect()
            return answer

        return self._faults.call(
            self._process,
            service,
            name,
            heard,
            QueueUnavailable,
            again=again,
            again_charges=again_charges,
        )


def _named(job_id: str, unit: Unit) -> str:
    return f"{job_id}[{unit.start}, {unit.end})"
