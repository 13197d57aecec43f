"""A queue is held against the store: what drifted is mended, and what is wrong is told."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order, Progress, QueuedJob
from ancestral.jobs.recovery import REBUILD_SECONDS, audit, latest_epoch, recover
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import RowCounts, Unit
from tests.jobs.deciding import commit, make_job, split


@pytest.fixture
def job() -> Job:
    return make_job(20, 5)


@pytest.fixture
def queue(local_store: Store, job: Job) -> MemoryQueue:
    """A queue that was built for the job."""
    queue = MemoryQueue(clock=lambda: 0.0)
    assert recover(queue, local_store, job)
    return queue


def claim(queue: MemoryQueue, limit: int = 1) -> list[Lease]:
    leases = queue.claim("ann", limit)
    assert len(leases) == limit
    return leases


def test_a_sound_queue_is_left_as_it_is(local_store: Store, job: Job, queue: MemoryQueue) -> None:
    [lease] = claim(queue)
    before = queue.counts(job.job_id)
    assert audit(queue, local_store, job)
    assert queue.counts(job.job_id) == before
    # No epoch was opened, and the lease stands
    assert latest_epoch(local_store, job.job_id) == 1
    assert queue.heartbeat("ann", {lease: Progress(1)}) == {lease: Order.CONTINUE}


def test_what_the_queue_was_not_told_is_mended(
    local_store: Store, job: Job, queue: MemoryQueue
) -> None:
    # Given workers that committed, and split, and died before they told the queue
    first, second, third = claim(queue, 3)
    commit(local_store, job, first.unit)
    split(local_store, job, second.unit, 7)
    # When the queue is audited
    assert audit(queue, local_store, job)
    # Then it knows
    counts = queue.counts(job.job_id)
    assert (counts.ready, counts.leased, counts.rows_decided) == (3, 1, 5)
    orders = queue.heartbeat("ann", dict.fromkeys((first, second, third), Progress(1)))
    assert list(orders.values()) == [Order.LOST, Order.LOST, Order.CONTINUE]
    assert [lease.unit for lease in claim(queue, 3)] == [Unit(5, 7), Unit(7, 10), Unit(15, 20)]


def test_an_intent_that_was_not_told_is_heard(
    local_store: Store, job: Job, queue: MemoryQueue
) -> None:
    [lease] = claim(queue)
    declare(local_store, job.job_id, Wanted.PAUSE, "lunch")
    assert audit(queue, local_store, job)
    assert queue.claim("bob", 1) == []
    assert queue.heartbeat("ann", {lease: Progress(1)}) == {lease: Order.HAND_BACK}


def test_a_queue_that_forgot_is_not_sound(local_store: Store, job: Job, queue: MemoryQueue) -> None:
    queue.restart(None)
    assert not audit(queue, local_store, job)
    assert queue.jobs() == []


def test_a_queue_of_a_restarted_server_is_not_sound(
    local_store: Store, job: Job, queue: MemoryQueue
) -> None:
    queue.restart(queue.snapshot())
    assert not audit(queue, local_store, job)


def test_a_queue_older_than_the_store_is_not_sound(
    local_store: Store, job: Job, queue: MemoryQueue
) -> None:
    # Given an epoch that was opened somewhere else, to which this queue is the past
    assert recover(MemoryQueue(), local_store, job)
    assert latest_epoch(local_store, job.job_id) == 2
    assert not audit(queue, local_store, job)
    # Then it is so until it is built anew, and an audit opens no epoch
    assert latest_epoch(local_store, job.job_id) == 2
    assert recover(queue, local_store, job)
    assert audit(queue, local_store, job)


def test_rows_without_a_record_are_not_sound(
    local_store: Store, job: Job, queue: MemoryQueue
) -> None:
    # Given a unit that the queue was told of, and whose record is not there
    [lease] = claim(queue)
    queue.complete(job.job_id, lease.unit, RowCounts(ok=5))
    assert not audit(queue, local_store, job)
    # Then it is drawn again once the queue is built anew
    assert recover(queue, local_store, job)
    assert [lease.unit for lease in claim(queue, 4)] == list(job.units())


def test_halves_of_a_split_without_a_record_are_not_sound(
    local_store: Store, job: Job, queue: MemoryQueue
) -> None:
    [lease] = claim(queue)
    queue.split(job.job_id, lease.unit, 2)
    for unit in lease.unit.split(2):
        record = commit(local_store, job, unit)
        queue.complete(job.job_id, unit, record.counts)
    assert not audit(queue, local_store, job)


def test_what_comes_after_the_seal_is_sound(
    local_store: Store, job: Job, queue: MemoryQueue
) -> None:
    # Given a sealed job, and a worker that commits all the same
    [lease] = claim(queue)
    declare(local_store, job.job_id, Wanted.CANCEL)
    Ledger(local_store, job.job_id).seal(job)
    queue.complete(job.job_id, lease.unit, commit(local_store, job, lease.unit).counts)
    assert audit(queue, local_store, job)


def test_a_rebuild_is_left_alone_until_nothing_is_heard_of_it(local_store: Store, job: Job) -> None:
    now = 0.0
    queue = MemoryQueue(clock=lambda: now)
    queued = QueuedJob(job.job_id, "lake", 0, job.rows)
    assert queue.begin_rebuild(queued, 1)
    now = REBUILD_SECONDS - 1
    assert audit(queue, local_store, job)
    # Whoever builds it is heard
    assert queue.restore(job.job_id, 1, [Unit(0, 5)])
    now = 2 * REBUILD_SECONDS - 2
    assert audit(queue, local_store, job)
    now = 2 * REBUILD_SECONDS
    assert not audit(queue, local_store, job)
    # Nothing was done meanwhile
    assert queue.counts(job.job_id).rebuilding


moves = st.tuples(st.sampled_from(["commit", "split", "fail", "hold"]), st.booleans())


@settings(max_examples=50)
@given(st.lists(moves, max_size=12))
def test_whatever_the_queue_was_not_told_an_audit_mends(made: list[tuple[str, bool]]) -> None:
    # Given workers that obey the rules, and die now and then before they tell the queue
    store, job = open_store(f"memory://{uuid.uuid4().hex}"), make_job(20, 5)
    queue = MemoryQueue(clock=lambda: 0.0)
    assert recover(queue, store, job)
    for number, (move, tell) in enumerate(made):
        for lease in queue.claim(f"worker {number}", 1):
            unit = lease.unit
            if move == "commit":
                record = commit(store, job, unit)
                if tell:
                    queue.complete(job.job_id, unit, record.counts)
            elif move == "split" and unit.rows > 1:
                split(store, job, unit, unit.middle)
                if tell:
                    queue.split(job.job_id, unit, unit.middle, keep=lease)
            elif move == "fail":
                queue.fail(lease, "no luck")
    # When it is audited
    assert audit(queue, store, job)
    # Then it knows what is decided, and everything else is ready or held
    cover = Ledger(store, job.job_id).cover(job)
    counts = queue.counts(job.job_id)
    assert counts.ready + counts.leased == len(cover.undecided)
    assert counts.rows_decided == sum(unit.rows for unit in cover.rows)
    # And it stays sound
    assert audit(queue, store, job)
    assert latest_epoch(store, job.job_id) == 1
