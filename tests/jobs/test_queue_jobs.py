"""The laws of a queue, held by both kinds: many jobs beside each other, and jobs forgotten."""

import pytest

from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import LARGEST_BATCH, Order, Queue, QueuedJob
from ancestral.jobs.units import Unit
from tests.jobs.rigs import LEASE_SECONDS, TEN, Rig, add, beat, standing


def test_the_highest_priority_goes_first_then_the_oldest(queue: Queue) -> None:
    for job_id, priority in [("z", 0), ("low", -5), ("a", 0), ("high", 7)]:
        add(queue, job_id, units=2, priority=priority)

    assert [job.job_id for job in queue.jobs()] == ["high", "z", "a", "low"]
    assert [lease.job_id for lease in queue.claim("ann", 7)] == [
        *["high"] * 2,
        *["z"] * 2,
        *["a"] * 2,
        "low",
    ]


#: In seconds since 1970: a day in 2026, and the end of the year 9999.
DAY, LAST = 1_790_000_000, 253_402_300_799


def test_of_equal_priority_the_earliest_deadline_goes_first_then_the_oldest(queue: Queue) -> None:
    # Given jobs that came in this order
    jobs = [
        ("old", 0, None),
        ("last", 0, LAST),
        ("later", 0, DAY + 1),
        ("z", 0, DAY),
        ("a", 0, DAY),
        ("new", 0, None),
        ("high", 1000, None),
        ("high and due", 1000, LAST),
        ("low and due", -1000, 0),
        ("low", -1000, None),
        ("due long ago", -999, 0),
    ]
    for job_id, priority, deadline in jobs:
        add(queue, job_id, units=1, priority=priority, deadline=deadline)

    # Then
    order = ["high and due", "high", "z", "a", "later", "last", "old", "new"]
    order += ["due long ago", "low and due", "low"]
    assert [job.job_id for job in queue.jobs()] == order
    deadlines = {job_id: deadline for job_id, _, deadline in jobs}
    assert {job.job_id: job.deadline for job in queue.jobs()} == deadlines
    assert [queue.claim("ann", 1)[0].job_id for _ in jobs] == order


def test_a_job_takes_the_deadline_with_which_it_was_built_last(queue: Queue) -> None:
    for job_id in ("old", "new"):
        add(queue, job_id, units=1)

    for epoch, deadline, order in [(2, DAY, ["new", "old"]), (3, None, ["old", "new"])]:
        queue.begin_rebuild(QueuedJob("new", "/lake/new", 0, 10, deadline), epoch)
        queue.restore("new", epoch, [Unit(0, 10)])
        queue.end_rebuild("new", epoch)

        assert [job.job_id for job in queue.jobs()] == order
        leases = queue.claim("ann", 2)
        assert [lease.job_id for lease in leases] == order
        assert all(queue.release(lease) for lease in leases)


def test_a_job_that_is_due_stays_first_as_its_units_come_and_go(queue: Queue) -> None:
    # Given a job whose only unit was claimed and given back
    add(queue, "old", units=1)
    add(queue, "due", units=1, deadline=DAY)
    (lease,) = queue.claim("ann", 1)
    queue.release(lease)

    # Then
    assert [lease.job_id for lease in queue.claim("ann", 2)] == ["due", "old"]


def test_a_job_built_anew_keeps_its_place_among_its_equals(queue: Queue) -> None:
    add(queue, "old", units=1)
    add(queue, "new", units=1)

    queue.begin_rebuild(QueuedJob("old", "/lake/old", 0, 10), 2)

    assert queue.jobs() == [
        QueuedJob("old", "/lake/old", 0, 10),
        QueuedJob("new", "/lake/new", 0, 10),
    ]


def test_a_job_takes_the_priority_with_which_it_was_built_last(queue: Queue) -> None:
    add(queue, "old", units=1)
    add(queue, "new", units=1)

    queue.begin_rebuild(QueuedJob("new", "/lake/new", 3, 10), 2)

    assert [job.job_id for job in queue.jobs()] == ["new", "old"]


def test_a_claim_may_name_its_job(queue: Queue) -> None:
    add(queue, "high", priority=1)
    add(queue, "low")

    assert {lease.job_id for lease in queue.claim("ann", 9, "low")} == {"low"}
    assert standing(queue, "high") == (3, 0, 0)


@pytest.mark.parametrize("named", [None, "high"])
def test_a_claim_may_leave_jobs_to_others(queue: Queue, named: str | None) -> None:
    add(queue, "high", units=1, priority=1)
    add(queue, "low", units=2)

    leases = queue.claim("ann", 2, named, without=["high", "a job that nobody knows"])

    assert [lease.job_id for lease in leases] == ([] if named else ["low", "low"])
    assert standing(queue, "high") == (1, 0, 0)


def test_a_job_that_is_left_to_others_is_not_shared(queue: Queue) -> None:
    for job_id in ("one", "two"):
        add(queue, job_id, units=1)
    leases = queue.claim("ann", 2)

    assert queue.claim("bob", 1, without={"one"}) == []

    orders = [beat(queue, lease, unbegun=9) for lease in leases]
    assert orders == [Order.CONTINUE, Order.SHARE]


def test_more_jobs_left_to_others_than_one_script_may_look_at_do_not_stand_in_the_way(
    queue: Queue,
) -> None:
    others = [f"high-{number}" for number in range(LARGEST_BATCH + 1)]
    for job_id in others:
        add(queue, job_id, units=1, priority=1)
    add(queue, "low", units=1)

    (lease,) = queue.claim("ann", 5, without=others)
    assert lease.job_id == "low"

    queue.claim("bob", 5, without=others)
    assert beat(queue, lease, unbegun=9) is Order.SHARE


def test_a_job_without_ready_units_does_not_stand_in_the_way(queue: Queue) -> None:
    add(queue, "high", units=1, priority=1)
    add(queue, "low", units=1)
    (held,) = queue.claim("ann", 1)

    assert [lease.job_id for lease in queue.claim("bob", 5)] == ["low"]
    assert queue.release(held)
    assert [lease.job_id for lease in queue.claim("bob", 5)] == ["high"]


@pytest.mark.parametrize("end", ["claimed", "completed", "paused", "being built"])
def test_more_used_up_jobs_than_one_script_may_look_at_do_not_stand_in_the_way(
    queue: Queue, end: str
) -> None:
    for number in range(LARGEST_BATCH + 1):
        job_id = f"high-{number}"
        (unit,) = add(queue, job_id, units=1, priority=1)
        match end:
            case "claimed":
                assert len(queue.claim("ann", 1)) == 1
            case "completed":
                queue.complete(job_id, unit, TEN)
            case "paused":
                queue.want(job_id, Wanted.PAUSE, 1)
            case _:
                queue.begin_rebuild(QueuedJob(job_id, "/lake", 1, 10), 2)
                queue.restore(job_id, 2, [unit])
    add(queue, "low", units=1)

    assert [lease.job_id for lease in queue.claim("ann", 5)] == ["low"]


def test_a_job_whose_units_all_wait_does_not_stand_in_the_way(queue: Queue) -> None:
    add(queue, "high", units=1, priority=1)
    add(queue, "low", units=1)
    (lease,) = queue.claim("ann", 1)
    queue.fail(lease, "busy", delay_seconds=500)

    assert [lease.job_id for lease in queue.claim("ann", 2)] == ["low"]


# Forgetting


def test_a_forgotten_job_is_gone_with_its_leases(rig: Rig) -> None:
    add(rig.queue, "job", units=3)
    add(rig.queue, "other", units=1)
    (lease,) = rig.queue.claim("ann", 1)

    rig.queue.forget("job")

    assert [job.job_id for job in rig.queue.jobs()] == ["other"]
    assert beat(rig.queue, lease) is Order.CONTINUE  # of an unknown job the record decides
    assert not rig.queue.release(lease)
    assert not rig.queue.fail(lease, "broken")
    assert rig.queue.split("job", lease.unit, 4, keep=lease) is None
    rig.queue.complete("job", lease.unit, TEN)
    assert rig.queue.expire("ann") == 0
    rig.pass_time(LEASE_SECONDS + 100)
    assert rig.queue.reap() == 0
    assert [lease.job_id for lease in rig.queue.claim("ann", 5)] == ["other"]


def test_a_job_built_after_it_was_forgotten_starts_anew(rig: Rig) -> None:
    add(rig.queue, units=3)
    failed, done, held = rig.queue.claim("ann", 3)
    rig.queue.fail(failed, "broken")
    rig.queue.complete("job", done.unit, TEN)
    rig.queue.want("job", Wanted.PAUSE, 4)
    rig.queue.forget("job")

    add(rig.queue, units=3)

    counts = rig.queue.counts("job")
    assert (counts.epoch, counts.wanted, counts.intent) == (1, Wanted.RUN, 0)
    assert (counts.ready, counts.done, counts.rows_ok) == (3, 0, 0)
    leases = rig.queue.claim("bob", 3)
    assert [lease.attempts for lease in leases] == [0, 0, 0]
    assert min(lease.fence for lease in leases) > held.fence
    rig.pass_time(1000)
    assert [beat(rig.queue, lease) for lease in leases] == [Order.CONTINUE] * 3
    rig.pass_time(1000)
    assert rig.queue.reap() == 0
