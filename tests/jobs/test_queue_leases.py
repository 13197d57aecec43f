"""The laws of a queue, held by both kinds: units given back, and leases that run out."""

import pytest

from ancestral.jobs.queue import LONGEST_ERROR, Lease, Order, Progress, Queue, QueuedJob
from ancestral.jobs.units import Unit
from tests.jobs.rigs import LEASE_SECONDS, Rig, add, beat, standing, units_of

# Giving back


def test_a_failed_unit_comes_back_after_the_others_with_its_error(queue: Queue) -> None:
    units = add(queue, units=3)
    (lease,) = queue.claim("ann", 1)

    assert queue.fail(lease, "ValueError: broken")

    leases = queue.claim("bob", 3)
    assert units_of(leases) == [units[1], units[2], units[0]]
    assert [(lease.attempts, lease.last_error, lease.alone) for lease in leases] == [
        (0, None, False),
        (0, None, False),
        (1, "ValueError: broken", True),
    ]


def test_a_failed_unit_waits_for_its_delay(rig: Rig) -> None:
    units = add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    rig.queue.fail(lease, "busy", delay_seconds=500)

    rig.pass_time(400)
    assert rig.queue.restore("job", 1, units)  # does not hasten it
    assert rig.queue.claim("ann", 1) == []
    assert standing(rig.queue) == (1, 0, 0)
    rig.pass_time(200)
    assert [lease.attempts for lease in rig.queue.claim("ann", 1)] == [1]


def test_the_end_of_a_long_error_is_kept(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.fail(lease, "traceback\n" * LONGEST_ERROR + 'ValueError: "é" \\ \x00/')

    (lease,) = queue.claim("ann", 1)
    assert lease.last_error is not None
    assert len(lease.last_error) == LONGEST_ERROR
    assert lease.last_error.endswith('\nValueError: "é" \\ \x00/')


def test_a_released_unit_is_charged_no_attempt_and_comes_first(queue: Queue) -> None:
    units = add(queue, units=3)
    (lease,) = queue.claim("ann", 1)

    assert queue.release(lease)

    assert [(lease.unit, lease.attempts) for lease in queue.claim("bob", 1)] == [(units[0], 0)]


def test_why_a_worker_left_the_job_to_others_is_told_until_it_is_built_anew(queue: Queue) -> None:
    add(queue, units=3)
    assert queue.counts("job").declined == ""
    queue.release(queue.claim("ann", 1)[0], "no cuda here")
    queue.release(queue.claim("bob", 1)[0])
    assert queue.counts("job").declined == "no cuda here"

    queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 100), 2)
    assert queue.counts("job").declined == ""


def test_a_release_keeps_what_was_charged_before(queue: Queue) -> None:
    add(queue, units=1)
    for error in ("broken", "broken again"):
        queue.fail(queue.claim("ann", 1)[0], error)
    queue.release(queue.claim("ann", 1)[0])

    (lease,) = queue.claim("ann", 1)
    assert (lease.attempts, lease.last_error) == (2, "broken again")


def test_a_lease_is_given_back_once(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)

    assert queue.fail(lease, "broken")
    assert not queue.fail(lease, "broken")
    assert not queue.release(lease)
    assert [lease.attempts for lease in queue.claim("ann", 1)] == [1]


def test_a_claim_among_others_leaves_units_that_were_charged(queue: Queue) -> None:
    units = add(queue, units=3)
    failed, released = queue.claim("ann", 2)
    queue.fail(failed, "broken")
    queue.release(released)

    assert units_of(queue.claim("ann", 9, among_others=True)) == [units[1], units[2]]
    assert queue.claim("ann", 9, among_others=True) == []
    assert queue.claim("ann", 9, "job", among_others=True) == []
    assert units_of(queue.claim("ann", 9)) == [units[0]]


# Leases that run out


def test_a_silent_worker_loses_its_unit_to_the_next_claim(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)

    rig.pass_time(LEASE_SECONDS - 100)
    assert rig.queue.claim("bob", 1) == []
    rig.pass_time(200)
    (lease,) = rig.queue.claim("bob", 1)

    assert lease.unit == lost.unit
    assert lease.fence > lost.fence
    assert lease.attempts == 1
    assert lease.last_error == "lease expired: the worker ann went silent"


def test_a_unit_taken_back_comes_after_the_others(rig: Rig) -> None:
    units = add(rig.queue, units=2)
    rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)

    assert units_of(rig.queue.claim("bob", 2)) == [units[1], units[0]]


def test_what_a_zombie_says_of_its_lost_lease_changes_nothing(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)
    (lease,) = rig.queue.claim("bob", 1)

    assert beat(rig.queue, lost, moved=5) is Order.LOST
    assert not rig.queue.fail(lost, "too late")
    assert not rig.queue.release(lost)

    assert standing(rig.queue) == (0, 1, 0)
    assert beat(rig.queue, lease) is Order.CONTINUE


def test_a_zombie_of_the_same_name_is_told_apart_by_its_fence(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)
    (lease,) = rig.queue.claim("ann", 1)

    orders = rig.queue.heartbeat("ann", {lost: Progress(5), lease: Progress(1)})
    assert orders == {lost: Order.LOST, lease: Order.CONTINUE}


def test_a_fence_is_worth_nothing_in_another_workers_hand(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    stolen = Lease("job", "/lake/job", lease.unit, lease.fence, "bob")

    rig.pass_time(1000)
    assert rig.queue.heartbeat("bob", {lease: Progress(1)}) == {lease: Order.LOST}
    assert beat(rig.queue, stolen) is Order.LOST
    assert not rig.queue.fail(stolen, "broken")
    assert not rig.queue.release(stolen)
    rig.pass_time(1000)

    assert rig.queue.reap() == 1


def test_heartbeats_with_progress_hold_a_lease_for_as_long_as_it_takes(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    for step in range(1, 8):
        rig.pass_time(1000)
        assert beat(rig.queue, lease, moved=step) is Order.CONTINUE
        assert rig.queue.claim("bob", 1) == []


def test_a_late_heartbeat_saves_a_lease_that_nobody_took(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    rig.pass_time(LEASE_SECONDS + 100)
    assert beat(rig.queue, lease) is Order.CONTINUE

    assert rig.queue.claim("bob", 1) == []


def test_a_worker_that_hangs_loses_its_unit_though_it_still_beats(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(1000)
    beat(rig.queue, lost, moved=7)

    for _ in range(4):  # beyond the stall time; the last of these is not granted
        rig.pass_time(1000)
        assert rig.queue.reap() == 0
        beat(rig.queue, lost, moved=7)
    rig.pass_time(1000)
    (lease,) = rig.queue.claim("bob", 1)

    assert lease.last_error == "lease expired: the worker ann made no progress"
    assert beat(rig.queue, lost, moved=7) is Order.LOST


def test_a_lease_that_never_starts_to_advance_is_lost_after_the_stall_time(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    for _ in range(4):
        rig.pass_time(1000)
        assert rig.queue.reap() == 0
        beat(rig.queue, lease, moved=0)
    rig.pass_time(1000)

    assert rig.queue.reap() == 1


def test_progress_after_a_stall_wins_the_lease_back(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    for _ in range(4):
        rig.pass_time(1000)
        beat(rig.queue, lease, moved=0)

    beat(rig.queue, lease, moved=1)
    rig.pass_time(1000)

    assert rig.queue.claim("bob", 1) == []
    rig.pass_time(1000)
    assert rig.queue.claim("bob", 1)[0].last_error == "lease expired: the worker ann went silent"


def test_a_heartbeat_renews_more_leases_than_one_script_may_loop_over(rig: Rig) -> None:
    add(rig.queue, units=150)
    leases = [lease for _ in range(2) for lease in rig.queue.claim("ann", 100)]
    rig.pass_time(1000)

    orders = rig.queue.heartbeat("ann", dict.fromkeys(leases, Progress(1)))

    assert orders == dict.fromkeys(leases, Order.CONTINUE)
    rig.pass_time(1000)
    assert rig.queue.reap() == 0


def test_reaping_is_bounded_and_goes_on_where_it_stopped(rig: Rig) -> None:
    add(rig.queue, units=150)
    for _ in range(2):
        rig.queue.claim("ann", 100)
    rig.pass_time(LEASE_SECONDS + 100)

    reaped = [rig.queue.reap(10), rig.queue.reap(1000), rig.queue.reap(), rig.queue.reap()]

    assert reaped == [10, 100, 40, 0]
    assert standing(rig.queue) == (150, 0, 0)


def test_leases_of_a_forgotten_job_are_not_among_those_reaped(rig: Rig) -> None:
    for job_id in ("gone", "job"):
        add(rig.queue, job_id, units=2)
        rig.queue.claim("ann", 2, job_id)
    rig.queue.forget("gone")
    rig.pass_time(LEASE_SECONDS + 100)

    assert [rig.queue.reap(1), rig.queue.reap(5), rig.queue.reap(5)] == [1, 1, 0]


@pytest.mark.parametrize("limit", [0, 1])
def test_a_claim_reaps_a_batch_whatever_it_takes(rig: Rig, limit: int) -> None:
    add(rig.queue, units=150)
    for _ in range(2):
        rig.queue.claim("ann", 100)
    rig.pass_time(LEASE_SECONDS + 100)

    rig.queue.claim("bob", limit)

    assert standing(rig.queue) == (100 - limit, 50 + limit, 0)


def test_the_leases_of_a_dead_worker_are_taken_back_at_once(rig: Rig) -> None:
    add(rig.queue, "one", units=150)
    add(rig.queue, "two", units=2)
    for _ in range(2):
        rig.queue.claim("ann", 100, "one")
    rig.queue.claim("ann", 1, "two")
    (other,) = rig.queue.claim("bob", 1, "two")

    assert rig.queue.expire("ann") == 151
    assert rig.queue.expire("ann") == 0

    assert standing(rig.queue, "one") == (150, 0, 0)
    assert beat(rig.queue, other) is Order.CONTINUE
    (lease,) = rig.queue.claim("bob", 1, "two")
    assert (lease.unit, lease.attempts) == (Unit(0, 10), 1)
    assert lease.last_error == "lease expired: the worker ann went silent"
