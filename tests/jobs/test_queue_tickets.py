"""The laws of a queue, held by both kinds: claims that are said again, as their answer was lost."""

from ancestral.jobs.intents import Wanted
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import LONGEST_ERROR, Order, Queue, QueuedJob
from tests.jobs.rigs import LEASE_SECONDS, TEN, Rig, add, beat, standing, units_of


def test_a_claim_said_again_gives_the_same_leases_and_nothing_new(queue: Queue) -> None:
    add(queue, "one", units=1, priority=1)
    add(queue, "two", units=4)
    leases = queue.claim("ann", 3, ticket="a")

    assert len(leases) == 3
    for _ in range(2):
        assert queue.claim("ann", 9, ticket="a") == leases
    assert queue.claim("ann", 0, "other", "node/cpu", among_others=True, ticket="a") == leases
    assert standing(queue, "two") == (2, 2, 0)


def test_the_leases_given_again_are_as_they_were_told(queue: Queue) -> None:
    add(queue, units=2)
    failed, other = queue.claim("ann", 2)
    queue.fail(failed, 'ValueError: "é" \\ \x00/' * LONGEST_ERROR)
    leases = queue.claim("ann", 1, ticket="a")
    queue.complete("job", other.unit, TEN)

    assert leases[0].attempts == 1
    assert queue.claim("ann", 1, ticket="a") == leases


def test_another_ticket_or_none_is_another_claim(queue: Queue) -> None:
    units = add(queue, units=4)

    claims = [queue.claim("ann", 1, ticket=ticket) for ticket in ("", "", "a", "b")]

    assert [units_of(leases) for leases in claims] == [[unit] for unit in units]
    assert queue.claim("ann", 1, ticket="b") == claims[-1]


def test_a_ticket_is_its_workers_own(queue: Queue) -> None:
    units = add(queue, units=2)
    leases = queue.claim("ann", 1, ticket="a")

    assert units_of(queue.claim("bob", 1, ticket="a")) == units[1:]
    assert queue.claim("ann", 1, ticket="a") == leases


def test_a_claim_that_gave_nothing_is_made_anew(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("bob", 1)
    assert queue.claim("ann", 1, ticket="a") == []
    queue.release(lease)

    assert units_of(queue.claim("ann", 1, ticket="a")) == [lease.unit]


def test_what_ended_is_not_given_again(rig: Rig) -> None:
    add(rig.queue, units=6)
    decided, cut, failed, released, held = rig.queue.claim("ann", 5, ticket="a")
    rig.queue.complete("job", decided.unit, TEN)
    rig.queue.split("job", cut.unit, cut.unit.start + 4, keep=cut)
    rig.queue.fail(failed, "broken")
    rig.queue.release(released)

    assert rig.queue.claim("ann", 5, ticket="a") == [held]
    rig.queue.expire("ann")
    assert rig.queue.claim("ann", 5, ticket="a") == []


def test_of_a_job_that_is_built_anew_or_forgotten_nothing_is_given_again(queue: Queue) -> None:
    units = add(queue, "gone", units=1) + add(queue, units=1)
    assert len(queue.claim("ann", 5, ticket="a")) == 2
    queue.forget("gone")
    queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 10), 2)
    assert queue.claim("ann", 5, ticket="a") == []
    queue.restore("job", 2, units[1:])
    queue.end_rebuild("job", 2)

    assert queue.claim("ann", 5, ticket="a") == []
    assert [lease.attempts for lease in queue.claim("ann", 5, ticket="b")] == [0]


def test_what_is_given_again_hears_of_a_pause_by_its_heartbeat(queue: Queue) -> None:
    add(queue, units=2)
    leases = queue.claim("ann", 1, ticket="a")
    queue.want("job", Wanted.PAUSE, 1)

    assert queue.claim("ann", 1, ticket="a") == leases
    assert beat(queue, leases[0]) is Order.HAND_BACK


def test_a_claim_said_again_renews_its_leases(rig: Rig) -> None:
    add(rig.queue, units=1)
    leases = rig.queue.claim("ann", 1, ticket="a")

    for _ in range(3):
        rig.pass_time(LEASE_SECONDS - 100)
        assert rig.queue.claim("bob", 1) == []
        assert rig.queue.claim("ann", 1, ticket="a") == leases


def test_a_claim_said_again_late_saves_a_lease_that_nobody_took(rig: Rig) -> None:
    add(rig.queue, units=1)
    leases = rig.queue.claim("ann", 1, ticket="a")
    rig.pass_time(LEASE_SECONDS + 100)

    assert rig.queue.claim("ann", 1, ticket="a") == leases
    assert rig.queue.reap() == 0


def test_a_ticket_is_forgotten_with_its_worker(rig: Rig) -> None:
    add(rig.queue, units=3)
    rig.queue.claim("ann", 1, ticket="a")
    rig.pass_time(LEASE_SECONDS + 100)
    rig.queue.claim("bob", 1)

    assert [lease.attempts for lease in rig.queue.claim("ann", 1, ticket="a")] == [0]


def test_a_snapshot_knows_the_tickets() -> None:
    queue = MemoryQueue()
    add(queue, units=3)
    queue.claim("ann", 1, ticket="a")
    snapshot = queue.snapshot()
    queue.claim("ann", 1, ticket="b")

    queue.restart(snapshot)

    # What the ticket gave is stale, and no other job's units are given for it.
    add(queue, "new", units=1)
    assert queue.claim("ann", 1, ticket="a") == []
    assert len(queue.claim("ann", 1, ticket="b")) == 1
