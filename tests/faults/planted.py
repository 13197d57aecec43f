"""Bugs that a system like this one has had, each planted as a small patch of the real code.

A simulation that does not find them proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from ancestral.jobs import recovery
from ancestral.jobs.intents import Intent, Wanted, latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.memory_state import MemoryState
from ancestral.jobs.queue import Queue, QueuedJob
from ancestral.jobs.records import STATUS_LETTERS, RangeRecord, RowsRecord, SplitRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts
from ancestral.workers import commit as commits
from ancestral.workers.work import Work
from ancestral.workers.workplace import Workplace

_decide = Ledger.decide
_reap = MemoryState.reap
_next_fence = MemoryState.next_fence


def _own_record_taken_for_a_loss(self: Ledger, record: RangeRecord) -> RangeRecord:
    """Somebody has the unit, it seems: what was written for it is cleared away."""
    standing = _decide(self, record)
    if standing is not record and isinstance(record, RowsRecord):
        for fact in (record.index_part, *record.packs):
            self._store.delete(fact.path)
    return standing


def _complete_before_the_record(place: Workplace, work: Work) -> None:
    """The queue hears of rows that are not committed yet."""
    statuses = [outcome.status for outcome in work.outcomes.values()]
    counts = RowCounts(**{status: statuses.count(status) for status in STATUS_LETTERS})
    place.queue.complete(work.hold.lease.job_id, work.hold.lease.unit, counts)
    commits.commit(place, work)


def _reap_without_a_new_fence(self: MemoryState, now: float, limit: int) -> int:
    """Who claims next gets the fence of the one who lost the unit."""
    lost = [holding.fence for _, _, holding in self.holdings() if holding.expires_at <= now]
    if lost:
        self.next_fence = lambda now: lost.pop() if lost else _next_fence(self, now)  # type: ignore[method-assign]
    return _reap(self, now, limit)


def _split_without_a_record(self: Ledger, record: RangeRecord) -> RangeRecord:
    """The queue hears of a split that the store will never know."""
    return record if isinstance(record, SplitRecord) else _decide(self, record)


def _opened_too_early(queue: Queue, store: Store, job: Job) -> bool:
    """Units are claimed while the store is still being read."""
    epoch = recovery._open_epoch(store, job.job_id)
    queued = QueuedJob(job.job_id, job.spec.output, job.spec.priority, job.rows)
    if not queue.begin_rebuild(queued, epoch) or not queue.end_rebuild(job.job_id, epoch):
        return False
    return recovery._restore(queue, job, epoch, recovery._read_into(queue, store, job))


def _audit_that_raises_the_epoch(queue: Queue, store: Store, job: Job) -> bool:
    """An audit that takes its leases from everybody, each minute."""
    return recovery.recover(queue, store, job)


def _paused_in_the_queue_alone(
    store: Store, job_id: str, wanted: Wanted, reason: str | None = None
) -> Intent:
    """Nothing is written down."""
    return Intent(latest_intent(store, job_id).number + 1, wanted, reason)


#: By name: what is patched, and by what.
PLANTED: Mapping[str, tuple[str, Callable[..., object] | property]] = {
    "own record taken for a loss": (
        "ancestral.jobs.ledger.Ledger.decide",
        _own_record_taken_for_a_loss,
    ),
    "complete before the record": (
        "ancestral.workers.writer.commit",
        _complete_before_the_record,
    ),
    "reap without a new fence": (
        "ancestral.jobs.memory_state.MemoryState.reap",
        _reap_without_a_new_fence,
    ),
    "split without a record": ("ancestral.jobs.ledger.Ledger.decide", _split_without_a_record),
    "rebuild that opens too early": (
        "ancestral.orchestration.controller.recover",
        _opened_too_early,
    ),
    "audit that raises the epoch": (
        "ancestral.jobs.recovery.audit",
        _audit_that_raises_the_epoch,
    ),
    "finaliser content with a part": (
        "ancestral.jobs.cover.Cover.complete",
        property(lambda cover: bool(cover.rows) or not cover.undecided),
    ),
    "pause in the queue alone": ("ancestral.jobs.client.declare", _paused_in_the_queue_alone),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Inside, the real code has this bug."""
    target, bug = PLANTED[name]
    with mock.patch(target, bug):
        yield
