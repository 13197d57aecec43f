"""A queue is built from the store: whatever it was before, whoever builds it, however often."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs import layout
from ancestral.jobs.errors import AlreadyExists, StoreUnavailable, UnknownJob
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import LARGEST_BATCH, Lease, Queue, QueuedJob
from ancestral.jobs.recovery import audit, latest_epoch, recount, recover
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import RowCounts, Unit
from tests.jobs.deciding import commit, make_job, split
from tests.jobs.test_cover import ROWS, UNIT_ROWS, Decision, decisions, make


def claim_all(queue: Queue) -> list[Unit]:
    leases: list[Lease] = []
    while more := queue.claim("heir", LARGEST_BATCH):
        leases += more
    return [lease.unit for lease in leases if not lease.copy]


@pytest.mark.s3
def test_a_job_is_queued_as_the_store_has_it(queue: Queue, store: Store) -> None:
    # Given a job of which a unit is committed, one is split, and half of that is committed
    job = make_job(20, 5)
    commit(store, job, Unit(0, 5), "oofro")
    split(store, job, Unit(5, 10), 7)
    commit(store, job, Unit(5, 7))
    # When its queue is built
    assert recover(queue, store, job)
    # Then all that is undecided can be claimed, once
    counts = queue.counts(job.job_id)
    assert (counts.epoch, counts.rebuilding, counts.stale) == (1, False, False)
    assert (counts.ready, counts.leased, counts.done, counts.rows_decided) == (3, 0, 2, 7)
    assert claim_all(queue) == [Unit(7, 10), Unit(10, 15), Unit(15, 20)]
    # And nothing is known of how rows ended, until they are counted
    assert (counts.rows_ok, counts.rows_failed, counts.rows_rejected) == (0, 0, 0)
    recount(queue, store, job)
    counts = queue.counts(job.job_id)
    assert (counts.rows_ok, counts.rows_failed, counts.rows_rejected) == (5, 1, 1)
    assert (counts.leased, counts.done, counts.rows_decided) == (3, 2, 7)
    # Each unit took half a second
    assert counts.seconds_per_row == 1 / 7


def test_a_queue_that_is_built_anew_has_the_deadlines_again(
    queue: Queue, local_store: Store
) -> None:
    # Given two jobs, of which the younger is due
    old, due = make_job(20, 5, "old"), make_job(20, 5, "due")
    due = due.model_copy(update={"spec": due.spec.model_copy(update={"deadline": "90s"})})
    deadline = int(datetime(2026, 11, 22, 15, 31, 42, tzinfo=UTC).timestamp())

    # When their queue is built, and built again
    for _ in range(2):
        assert recover(queue, local_store, old) and recover(queue, local_store, due)

        # Then
        assert [(job.job_id, job.deadline) for job in queue.jobs()] == [
            ("due", deadline),
            ("old", None),
        ]


@settings(max_examples=60)
@given(st.lists(decisions(), max_size=8), st.lists(decisions(), max_size=4), st.data())
def test_from_any_state_what_is_undecided_is_ready(
    made: list[Decision], later: list[Decision], data: st.DataObject
) -> None:
    # Given a queue that knows something of the job, much of it wrong or long past
    store, job = open_store(f"memory://{uuid.uuid4().hex}"), make_job(ROWS, UNIT_ROWS)
    queue = MemoryQueue()
    for decision in made:
        make(store, job, decision)
    if data.draw(st.booleans()):
        recover(queue, store, job)
    for lease in queue.claim("ann", data.draw(st.integers(1, 3))):
        match data.draw(st.sampled_from(["hold", "fail", "complete", "split"])):
            case "fail":
                queue.fail(lease, "no luck")
            case "complete":
                queue.complete(job.job_id, lease.unit, RowCounts(ok=lease.unit.rows))
            case "split" if lease.unit.rows > 1:
                queue.split(job.job_id, lease.unit, lease.unit.middle)
    for decision in later:
        make(store, job, decision)
    if data.draw(st.booleans()):
        queue.restart(queue.snapshot() if data.draw(st.booleans()) else None)
    # When it is built anew
    assert recover(queue, store, job)
    # Then exactly the undecided leaves are ready, and exactly the rows of the others are decided
    cover = Ledger(store, job.job_id).cover(job)
    counts = queue.counts(job.job_id)
    assert (counts.ready, counts.leased) == (len(cover.undecided), 0)
    assert counts.rows_decided == sum(unit.rows for unit in cover.rows)
    assert claim_all(queue) == list(cover.undecided)


class Meddled(MemoryQueue):
    """A queue to which something happens once: before the move of that name."""

    def __init__(self, move: str, meddle: Callable[[], object]) -> None:
        super().__init__()
        self._move = move
        self._meddle = meddle

    def _before(self, move: str) -> None:
        if move == self._move:
            self._move = ""
            self._meddle()

    def begin_rebuild(self, job: QueuedJob, epoch: int) -> bool:
        self._before("begin")
        return super().begin_rebuild(job, epoch)

    def restore(self, *args: object, **more: object) -> bool:
        self._before("restore")
        return super().restore(*args, **more)  # type: ignore[arg-type]

    def end_rebuild(self, job_id: str, epoch: int) -> bool:
        self._before("end")
        return super().end_rebuild(job_id, epoch)


@pytest.mark.parametrize("move", ["begin", "restore", "end"])
def test_who_builds_an_older_epoch_is_superseded(local_store: Store, move: str) -> None:
    # Given somebody who builds the queue, and somebody else who does so in the middle of it
    job = make_job(20, 5)
    others: list[bool] = []
    queue = Meddled(move, lambda: others.append(recover(queue, local_store, job)))
    # Then the later one wins, the other is told so, and the job is open
    assert not recover(queue, local_store, job)
    assert others == [True]
    counts = queue.counts(job.job_id)
    assert (counts.epoch, counts.rebuilding) == (2, False)
    assert len(claim_all(queue)) == 4


def test_of_many_who_recover_at_once_the_last_epoch_is_open(queue: Queue, store: Store) -> None:
    job = make_job(40, 5)
    commit(store, job, Unit(5, 10))
    with ThreadPoolExecutor(6) as pool:
        built = list(pool.map(lambda _: recover(queue, store, job), range(6)))
    assert any(built)
    counts = queue.counts(job.job_id)
    assert (counts.epoch, counts.rebuilding) == (6, False)
    assert latest_epoch(store, job.job_id) == 6
    assert (counts.ready, counts.rows_decided) == (7, 5)
    assert claim_all(queue) == [unit for unit in job.units() if unit != Unit(5, 10)]


@pytest.mark.parametrize("move", ["begin", "restore", "end"])
def test_a_pause_in_the_middle_is_heard(local_store: Store, move: str) -> None:
    # Given somebody who pauses a job while its queue is being built
    job = make_job(20, 5)

    def pause() -> None:
        intent = declare(local_store, job.job_id, Wanted.PAUSE)
        queue.want(job.job_id, intent.wanted, intent.number)

    queue = Meddled(move, pause)
    assert recover(queue, local_store, job)
    # Then nothing is claimed, before the job is resumed
    assert queue.claim("ann", 1) == []
    intent = declare(local_store, job.job_id, Wanted.RUN)
    assert queue.want(job.job_id, intent.wanted, intent.number)
    assert len(claim_all(queue)) == 4


@pytest.mark.parametrize("move", ["begin", "restore", "end"])
def test_what_is_decided_in_the_middle_is_decided(local_store: Store, move: str) -> None:
    job = make_job(20, 5)

    def work() -> None:
        record = commit(local_store, job, Unit(5, 10))
        queue.complete(job.job_id, record.unit, record.counts)
        split(local_store, job, Unit(10, 15), 12)
        queue.split(job.job_id, Unit(10, 15), 12)

    queue = Meddled(move, work)
    assert recover(queue, local_store, job)
    assert claim_all(queue) == [Unit(0, 5), Unit(10, 12), Unit(12, 15), Unit(15, 20)]


@pytest.mark.parametrize("wanted", [Wanted.PAUSE, Wanted.CANCEL, Wanted.FAIL])
def test_what_is_wanted_survives_the_queue(queue: Queue, store: Store, wanted: Wanted) -> None:
    job = make_job(20, 5)
    intent = declare(store, job.job_id, wanted, "lunch")
    assert recover(queue, store, job)
    counts = queue.counts(job.job_id)
    assert (counts.wanted, counts.intent) == (wanted, intent.number)
    assert queue.claim("ann", 1) == []


class FailingStore(Store):
    """Cannot list what has `broken` in its path."""

    broken = "ranges"

    def list(self, folder: str = "") -> list[str]:
        if self.broken in folder:
            raise StoreUnavailable("the store went away")
        return super().list(folder)


def test_a_rebuild_that_broke_off_leaves_the_job_closed(local_store: Store) -> None:
    # Given a rebuild that did not come to its end
    job, queue = make_job(20, 5), MemoryQueue()
    with pytest.raises(StoreUnavailable):
        recover(queue, FailingStore(local_store.uri), job)
    assert queue.claim("ann", 1) == []
    assert queue.counts(job.job_id).rebuilding
    # When somebody else does it, then it is open
    assert recover(queue, local_store, job)
    assert len(claim_all(queue)) == 4


class ForgetfulStore(Store):
    """Creates, and is told that somebody else did: the answer of the first try was lost."""

    lost = 1

    def create(self, path: str, data: bytes | memoryview) -> None:
        super().create(path, data)
        if self.lost:
            self.lost -= 1
            raise AlreadyExists("sent twice")


def test_an_epoch_whose_answer_was_lost_is_followed_by_another(local_store: Store) -> None:
    job, queue = make_job(20, 5), MemoryQueue()
    assert recover(queue, ForgetfulStore(local_store.uri), job)
    assert queue.counts(job.job_id).epoch == latest_epoch(local_store, job.job_id) == 2


def test_a_cancelled_job_that_is_sealed_has_nothing_to_claim(local_store: Store) -> None:
    job, queue = make_job(20, 5), MemoryQueue()
    commit(local_store, job, Unit(0, 5))
    declare(local_store, job.job_id, Wanted.CANCEL)
    Ledger(local_store, job.job_id).seal(job)
    assert recover(queue, local_store, job)
    counts = queue.counts(job.job_id)
    assert (counts.ready, counts.rows_decided) == (0, 5)


class Reads(Store):
    """Counts the range records that are read."""

    read_records = 0

    def read(self, path: str) -> bytes:
        self.read_records += layout.unit_of_name(path) is not None
        return super().read(path)


def test_rows_that_are_counted_are_not_read_again(local_store: Store) -> None:
    store, job, queue = Reads(local_store.uri), make_job(20, 5), MemoryQueue()
    commit(store, job, Unit(0, 5), "oofro")
    assert recover(queue, store, job)
    recount(queue, store, job)
    once = store.read_records
    assert once == 1
    recount(queue, store, job)
    assert store.read_records == once
    assert queue.counts(job.job_id).rows_ok == 3


def test_only_what_was_not_told_is_read(local_store: Store) -> None:
    # Given a worker that died between a record and its report, and others that reported
    store, job, queue = Reads(local_store.uri), make_job(20, 5), MemoryQueue()
    assert recover(queue, store, job)
    for start in (0, 5, 10):
        record = commit(store, job, Unit(start, start + 5), "oofro")
        if start != 5:
            queue.complete(job.job_id, record.unit, record.counts)
    assert audit(queue, store, job)
    store.read_records = 0

    # When the rows are counted
    recount(queue, store, job)

    # Then its record is the only one that is read
    assert store.read_records == 1
    counts = queue.counts(job.job_id)
    assert (counts.rows_ok, counts.rows_failed, counts.rows_rejected) == (9, 3, 3)


def test_a_job_that_the_queue_does_not_know_is_not_counted(local_store: Store) -> None:
    queue = MemoryQueue()
    recount(queue, local_store, make_job(4, 4))
    with pytest.raises(UnknownJob):
        queue.counts("digits-1")


def test_a_large_job_is_queued_whole(local_store: Store) -> None:
    job: Job = make_job(1000, 1)
    queue = MemoryQueue()
    assert recover(queue, local_store, job)
    assert claim_all(queue) == list(job.units())
