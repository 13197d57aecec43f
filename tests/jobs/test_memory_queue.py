"""What is `MemoryQueue`'s own: it can be made to forget, as a server does."""

from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Order, QueuedJob
from tests.jobs.rigs import LEASE_SECONDS, STALL_SECONDS, TEN, MemoryRig, add, beat, standing


def have_queue() -> tuple[MemoryQueue, MemoryRig]:
    rig = MemoryRig()
    return MemoryQueue(LEASE_SECONDS, STALL_SECONDS, clock=rig.read_clock), rig


def test_after_a_restart_a_job_is_as_it_was_written_but_stale() -> None:
    queue, _ = have_queue()
    units = add(queue, units=3)
    (held,) = queue.claim("ann", 1)
    snapshot = queue.snapshot()
    queue.complete("job", held.unit, TEN)

    queue.restart(snapshot)

    assert queue.counts("job").stale
    assert standing(queue) == (2, 1, 0)
    assert queue.claim("bob", 5) == []
    assert queue.claim("bob", 5, "job") == []
    assert beat(queue, held, unbegun=9) is Order.CONTINUE
    assert not queue.fail(held, "broken")
    assert not queue.release(held)
    assert queue.split("job", units[0], 4, keep=held) is None


def test_a_stale_job_opens_in_no_epoch_but_the_next() -> None:
    queue, _ = have_queue()
    units = add(queue, units=3)
    queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 30), 2)
    queue.restart(queue.snapshot())

    assert not queue.restore("job", 2, units)
    assert not queue.end_rebuild("job", 2)

    assert queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 30), 3)
    assert queue.restore("job", 3, units)
    assert queue.end_rebuild("job", 3)
    assert not queue.counts("job").stale
    assert len(queue.claim("ann", 5)) == 3


def test_a_snapshot_is_not_changed_by_what_follows() -> None:
    queue, _ = have_queue()
    add(queue, units=3)
    snapshot = queue.snapshot()
    for _ in range(2):
        queue.restart(snapshot)
        assert standing(queue) == (3, 0, 0)
        queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 30), 2)


def test_a_wiped_queue_knows_nothing_and_its_fences_rise() -> None:
    queue, rig = have_queue()
    add(queue)
    leases = queue.claim("ann", 3)
    rig.pass_time(1)

    queue.restart(None)

    assert queue.jobs() == []
    assert beat(queue, leases[0]) is Order.CONTINUE
    add(queue)
    assert not queue.counts("job").stale
    assert min(lease.fence for lease in queue.claim("ann", 3)) > leases[-1].fence
