"""What must hold at every step of a simulated world, whoever does what.

store    nothing counts before what it names is there; what is published is whole
queue    fences rise; who lost a lease changes nothing; nothing is reported that the store does
         not hold; no unit of a job that should not run is given out
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover
from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.intents import Wanted, latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order
from ancestral.jobs.records import RowsRecord, SplitRecord, parse_record
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts, Unit
from tests.faults.simulated_store import Objects
from tests.faults.simulated_world import Violation, World


@dataclass
class _Told:
    """What is known of one job besides the store."""

    job: Job
    #: What the queue was told last to be wanted of it.
    wanted: Wanted = Wanted.RUN
    #: What its user believes to be wanted; None while that is not certain.
    believed: Wanted | None = Wanted.RUN
    #: What was believed, and what stood in the store, when the queue began to be built.
    owed: tuple[Wanted | None, Wanted] = (Wanted.RUN, Wanted.RUN)
    epoch: int = 0
    #: Units that the queue was told of in this epoch before it opened.
    restored: list[Unit] = field(default_factory=list)
    #: Leases with fences up to this one are void.
    void: int = 0
    void_of: dict[Unit, int] = field(default_factory=dict)


class Oracle:
    """Watches the store and the queue; raises `Violation`."""

    def __init__(self, world: World, queue: MemoryQueue) -> None:
        self._world = world
        self._queue = queue
        self.objects = Objects(self.before_object)
        self.store = Store("sim://lake", self.objects)
        self.jobs: dict[str, _Told] = {}
        #: The jobs without a _SUCCESS.
        self.unfinished: set[str] = set()
        #: The processes that hold the queue against the store just now.
        self.auditing: set[str] = set()
        self._fence = 0
        self._void_of_worker: dict[str, int] = {}
        self._ended: set[int] = set()
        # By fence, what was given with it.
        self._given: dict[int, Unit] = {}
        # By the fence of a lease, that of what was kept of it.
        self._kept: dict[int, int] = {}

    def accepted(self, job: Job) -> None:
        """A job is watched from here on."""
        self.jobs[job.job_id] = _Told(job)
        self.unfinished.add(job.job_id)

    def before_object(self, path: str, data: bytes) -> None:
        """An object is about to be made."""
        job_id = path.split("/")[1] if path.startswith("_jobs/") else ""
        told = self.jobs.get(job_id)
        if told is None:
            return
        if path.startswith(layout.epochs_folder(job_id)):
            if self._world.running.name in self.auditing:
                raise Violation(f"{path} was made by an audit")
        if path.startswith(layout.intents_folder(job_id)):
            intent = json.loads(data)
            if intent["wanted"] == Wanted.FAIL.value:
                raise Violation(f"{job_id} is made to fail: {intent['reason']}")
        if path == layout.manifest_path(job_id) and self._cover(told).undecided:
            raise Violation(f"{path} is written though rows are undecided")
        if path == layout.success_path(job_id):
            if layout.manifest_path(job_id) not in self.stored:
                raise Violation(f"{path} is written without a manifest")
            self.unfinished.discard(job_id)
        if path.startswith(layout.records_folder(job_id)):
            record = parse_record(data)
            if isinstance(record, RowsRecord):
                for fact in (record.index_part, *record.packs):
                    if len(self.stored.get(fact.path, b"")) != fact.bytes:
                        raise Violation(f"{path} names {fact.path}, which is not there")

    @property
    def stored(self) -> Mapping[str, bytes]:
        return self.objects.stored

    def believed(self, job_id: str, wanted: Wanted | None) -> None:
        """The user was told that this is wanted of the job from now on; None: is asking for it."""
        self.jobs[job_id].believed = wanted

    def told(self, job_id: str, wanted: Wanted) -> None:
        """The queue took in what is wanted of a job."""
        self.jobs[job_id].wanted = wanted

    def forgot(self) -> None:
        """The queue's server came back with less than it had."""
        for told in self.jobs.values():
            told.wanted = Wanted.RUN

    def began(self, job_id: str, epoch: int) -> None:
        """The queue began to be built anew, at an epoch that it was not being built at."""
        told = self.jobs[job_id]
        if layout.epoch_path(job_id, epoch) not in self.stored:
            raise Violation(f"epoch {epoch} of job {job_id} is not in the store")
        if epoch <= told.epoch and self._is_open(job_id):
            raise Violation(f"epoch {epoch} of job {job_id} came after epoch {told.epoch}")
        told.epoch, told.restored, told.void = epoch, [], self._fence
        told.owed = (told.believed, self._stands(job_id))

    def restored(self, job_id: str, units: list[Unit]) -> None:
        """The queue was told of these units."""
        self.jobs[job_id].restored.extend(units)

    def ended(self, job_id: str) -> None:
        """The queue was opened to claims."""
        told = self.jobs[job_id]
        # What was wanted all the while, the queue has to know now.
        for before, after in zip(told.owed, (told.believed, self._stands(job_id)), strict=True):
            if before is after and before not in (None, Wanted.RUN):
                told.wanted = before
        sealed = Ledger(self.store, job_id).cancelled()
        known = sorted({*told.restored, *sealed})
        if not _covers(known, told.job.rows):
            raise Violation(f"job {job_id} was opened with no more than {known}")

    def claimed(
        self, leases: list[Lease], among_others: bool, open_before: Mapping[str, bool]
    ) -> None:
        """These leases were given; `open_before` says of which jobs there could be any."""
        for lease in leases:
            if self._given.get(lease.fence) == lease.unit and not self.is_void(lease):
                # Under the same ticket the same lease is given again.
                continue
            if among_others and lease.alone:
                raise Violation(f"{lease} is not to be drawn among others")
            if lease.attempts and (lease.copy or not lease.alone):
                raise Violation(f"{lease} is a suspect, and would not be drawn alone")
            told = self.jobs[lease.job_id]
            if not open_before[lease.job_id]:
                raise Violation(f"{lease} was given while its job was closed")
            if told.wanted is not Wanted.RUN:
                raise Violation(f"{lease} was given though its job should {told.wanted.value}")
            self._new(lease)
            if not lease.copy:
                told.void_of[lease.unit] = lease.fence - 1

    def renewed(self, orders: Mapping[Lease, Order]) -> None:
        """A heartbeat was answered."""
        for lease, order in orders.items():
            if order is Order.LOST or not self._is_open(lease.job_id):
                continue
            if self.is_void(lease):
                raise Violation(f"{lease} is void, and was answered {order}")
            wanted = self.jobs[lease.job_id].wanted
            if wanted is not Wanted.RUN and order is not Order.HAND_BACK:
                raise Violation(f"{lease} was answered {order}, and should {wanted.value}")

    def given_back(self, lease: Lease, accepted: bool, was_void: bool) -> None:
        """A lease was failed or released."""
        if accepted and was_void:
            raise Violation(f"{lease} is void, and was taken back")
        if accepted:
            self._ended.add(lease.fence)

    def completed(self, job_id: str, unit: Unit, counts: RowCounts) -> None:
        """A unit was reported as decided."""
        data = self.stored.get(layout.record_path(job_id, unit))
        record = None if data is None else parse_record(data)
        if not isinstance(record, RowsRecord) or record.counts != counts:
            raise Violation(f"{unit} was reported with {counts}; its record is {record}")
        self._void(job_id, unit)

    def divided(
        self, job_id: str, unit: Unit, at: int, keep: Lease | None, kept: Lease | None
    ) -> None:
        """A unit was reported as split; `kept` is what became of the lease `keep`."""
        data = self.stored.get(layout.record_path(job_id, unit))
        record = None if data is None else parse_record(data)
        if not isinstance(record, SplitRecord) or record.at != at:
            raise Violation(f"a split of {unit} at {at} was reported; its record is {record}")
        # Asked again, the queue gives the same lease again.
        if kept is not None and (keep is None or self._kept.get(keep.fence) != kept.fence):
            if keep is None or self.is_void(keep):
                raise Violation(f"{keep} is void, and was renewed by a split as {kept}")
            if kept.unit != Unit(unit.start, at):
                raise Violation(f"{kept} is not the first half of {unit} at {at}")
            self._new(kept)
            self._kept[keep.fence] = kept.fence
        self._void(job_id, unit)

    def buried(self, worker: str) -> None:
        """The queue was told that a worker is dead."""
        self._void_of_worker[worker] = self._fence

    def is_void(self, lease: Lease) -> bool:
        """Whether the lease has ended, for all that can be known without the queue."""
        told = self.jobs[lease.job_id]
        void = max(
            told.void,
            told.void_of.get(lease.unit, 0),
            self._void_of_worker.get(lease.worker, 0),
        )
        return lease.fence <= void or lease.fence in self._ended

    def open_jobs(self) -> dict[str, bool]:
        """By job, whether the queue may give out units of it."""
        return {job_id: self._is_open(job_id) for job_id in self.jobs}

    def _is_open(self, job_id: str) -> bool:
        try:
            counts = self._queue.counts(job_id)
        except UnknownJob:
            return False
        return not counts.rebuilding and not counts.stale

    def _stands(self, job_id: str) -> Wanted:
        return latest_intent(self.store, job_id).wanted

    def _new(self, lease: Lease) -> None:
        if lease.fence <= self._fence:
            raise Violation(f"{lease} was given after fence {self._fence}")
        self._fence = lease.fence
        self._given[lease.fence] = lease.unit

    def _void(self, job_id: str, unit: Unit) -> None:
        self.jobs[job_id].void_of[unit] = self._fence

    def _cover(self, told: _Told) -> Cover:
        return Ledger(self.store, told.job.job_id).cover(told.job)


def _covers(units: list[Unit], rows: int) -> bool:
    """Whether rising units leave out none of so many rows."""
    end = 0
    for unit in units:
        if unit.start > end:
            return False
        end = max(end, unit.end)
    return end == rows
