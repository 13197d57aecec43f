"""The laws of a queue, held by both of them."""

import threading

import pytest

from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.queue import LARGEST_BATCH, LONGEST_ERROR, Lease, Order, Queue, QueueCounts
from ancestral.jobs.units import RowCounts, Unit, plan_units
from tests.jobs.rigs import LEASE_SECONDS, MemoryRig, RedisRig, add


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def rig(request, namespace):
    if request.param == "memory":
        yield MemoryRig()
    else:
        redis_rig = RedisRig(request.getfixturevalue("redis_url"), namespace)
        yield redis_rig
        redis_rig.close()


@pytest.fixture
def queue(rig) -> Queue:
    return rig.queue


def standing(queue: Queue, job_id: str = "job") -> tuple[int, int, int]:
    counts = queue.counts(job_id)
    return counts.ready, counts.leased, counts.done


# Adding


def test_a_lease_tells_all_that_a_worker_needs(queue):
    add(queue, units=1)

    (lease,) = queue.claim("ann", 5)

    assert lease == Lease(
        job_id="job",
        output="/lake/job",
        unit=Unit(0, 10),
        fence=lease.fence,
        attempts=0,
        last_error=None,
        worker="ann",
        max_attempts=3,
    )


def test_units_known_in_any_state_are_not_added_again(queue):
    units = add(queue, units=3)
    done, leased = queue.claim("ann", 2)
    queue.complete("job", done.unit, RowCounts(ok=10))

    assert queue.add_units("job", [*units, Unit(30, 40)]) == 1
    assert standing(queue) == (2, 1, 1)
    assert queue.heartbeat("ann", {leased: 1}) == {leased: Order.CONTINUE}


def test_more_units_than_one_script_may_loop_over_are_added_from_a_stream(queue):
    queue.add_job("job", "/lake", 0, 3)

    assert queue.add_units("job", plan_units(2505, 10)) == 251
    assert standing(queue) == (251, 0, 0)


def test_a_known_job_stays_as_it_is(queue):
    add(queue, priority=4)

    queue.add_job("job", "/elsewhere", 9, 1)

    assert [(job.output, job.priority) for job in queue.jobs()] == [("/lake/job", 4)]
    assert queue.claim("ann", 1)[0].max_attempts == 3
    assert standing(queue) == (2, 1, 0)


def test_an_unknown_job_is_named(queue):
    with pytest.raises(UnknownJob, match="'nobody'"):
        queue.counts("nobody")
    with pytest.raises(UnknownJob, match="'nobody'"):
        queue.add_units("nobody", [Unit(0, 1)])
    with pytest.raises(UnknownJob, match="'nobody'"):
        queue.add_units("nobody", [])


def test_an_unknown_job_has_nothing_to_claim_complete_or_forget(queue):
    queue.complete("nobody", Unit(0, 1), RowCounts(ok=1))
    queue.forget("nobody")

    assert queue.claim("ann", 1, "nobody") == []
    assert queue.jobs() == []


# Claiming


def test_units_are_claimed_in_the_order_of_rows_and_once(queue):
    units = add(queue, units=5)

    claims = [queue.claim("ann", 2) for _ in range(4)]

    assert [[lease.unit for lease in claim] for claim in claims] == [
        units[:2],
        units[2:4],
        units[4:],
        [],
    ]


def test_fences_rise_over_all_jobs(queue):
    add(queue, "one")
    add(queue, "two")

    fences = [lease.fence for _ in range(3) for lease in queue.claim("ann", 2)]

    assert fences == sorted(set(fences))
    assert len(fences) == 6


def test_a_claim_hands_out_no_more_than_a_batch(queue):
    add(queue, units=LARGEST_BATCH + 7)

    assert len(queue.claim("ann", 1000)) == LARGEST_BATCH
    assert len(queue.claim("ann", 1000)) == 7


@pytest.mark.parametrize("limit", [0, -1])
def test_a_claim_of_nothing_gives_nothing(queue, limit):
    add(queue)

    assert queue.claim("ann", limit) == []
    assert queue.claim("ann", limit, "job") == []


def test_the_highest_priority_goes_first_then_the_oldest(queue):
    for job_id, priority in [("z", 0), ("low", -5), ("a", 0), ("high", 7)]:
        add(queue, job_id, units=2, priority=priority)

    assert [job.job_id for job in queue.jobs()] == ["high", "z", "a", "low"]
    assert [lease.job_id for lease in queue.claim("ann", 7)] == [
        *["high"] * 2,
        *["z"] * 2,
        *["a"] * 2,
        "low",
    ]


def test_a_claim_may_name_its_job(queue):
    add(queue, "high", priority=1)
    add(queue, "low")

    assert {lease.job_id for lease in queue.claim("ann", 9, "low")} == {"low"}
    assert standing(queue, "high") == (3, 0, 0)


def test_a_job_without_ready_units_does_not_stand_in_the_way(queue):
    add(queue, "high", units=1, priority=1)
    add(queue, "low", units=1)
    (held,) = queue.claim("ann", 1)

    assert [lease.job_id for lease in queue.claim("bob", 5)] == ["low"]
    assert queue.release(held)
    assert [lease.job_id for lease in queue.claim("bob", 5)] == ["high"]


@pytest.mark.parametrize("end", ["claimed", "completed"])
def test_more_used_up_jobs_than_one_script_may_look_at_do_not_stand_in_the_way(queue, end):
    for number in range(LARGEST_BATCH + 1):
        (unit,) = add(queue, f"high-{number}", units=1, priority=1)
        if end == "completed":
            queue.complete(f"high-{number}", unit, RowCounts(ok=10))
        else:
            assert len(queue.claim("ann", 1)) == 1
    add(queue, "low", units=1)

    assert [lease.job_id for lease in queue.claim("ann", 5)] == ["low"]


def test_eight_threads_claim_each_of_500_units_once(queue):
    units = add(queue, units=500)
    claimed: list[list[Unit]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def work(mine: list[Unit]) -> None:
        start.wait()
        while leases := queue.claim("ann", 3):
            mine.extend(lease.unit for lease in leases)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(unit for mine in claimed for unit in mine) == units


# Giving back


def test_a_failed_unit_comes_back_after_the_others_with_its_error(queue):
    units = add(queue, units=3)
    (lease,) = queue.claim("ann", 1)

    assert queue.fail(lease, "ValueError: broken")

    leases = queue.claim("bob", 3)
    assert [lease.unit for lease in leases] == [units[1], units[2], units[0]]
    assert [(lease.attempts, lease.last_error) for lease in leases] == [
        (0, None),
        (0, None),
        (1, "ValueError: broken"),
    ]


def test_a_failed_unit_waits_for_its_delay(rig):
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    rig.queue.fail(lease, "busy", delay_seconds=500)

    rig.pass_time(400)
    assert rig.queue.claim("ann", 1) == []
    assert standing(rig.queue) == (1, 0, 0)
    rig.pass_time(200)
    assert [lease.attempts for lease in rig.queue.claim("ann", 1)] == [1]


def test_adding_a_unit_that_waits_does_not_hasten_it(rig):
    units = add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    rig.queue.fail(lease, "busy", delay_seconds=500)

    assert rig.queue.add_units("job", units) == 0

    assert rig.queue.claim("ann", 1) == []


def test_a_job_whose_units_all_wait_does_not_stand_in_the_way(queue):
    add(queue, "high", units=1, priority=1)
    add(queue, "low", units=1)
    (lease,) = queue.claim("ann", 1)
    queue.fail(lease, "busy", delay_seconds=500)

    assert [lease.job_id for lease in queue.claim("ann", 2)] == ["low"]


def test_the_end_of_a_long_error_is_kept(queue):
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.fail(lease, "traceback\n" * LONGEST_ERROR + "ValueError: é")

    (lease,) = queue.claim("ann", 1)
    assert lease.last_error is not None
    assert len(lease.last_error) == LONGEST_ERROR
    assert lease.last_error.endswith("\nValueError: é")


def test_a_released_unit_is_charged_no_attempt_and_comes_first(queue):
    units = add(queue, units=3)
    (lease,) = queue.claim("ann", 1)

    assert queue.release(lease)

    assert [(lease.unit, lease.attempts) for lease in queue.claim("bob", 1)] == [(units[0], 0)]


def test_a_release_keeps_what_was_charged_before(queue):
    add(queue, units=1)
    queue.fail(queue.claim("ann", 1)[0], "broken")
    queue.release(queue.claim("ann", 1)[0])

    (lease,) = queue.claim("ann", 1)
    assert (lease.attempts, lease.last_error) == (1, "broken")


def test_a_unit_out_of_attempts_stays_claimable_and_says_so(queue):
    add(queue, units=1)
    exhausted = []
    for _ in range(5):
        (lease,) = queue.claim("ann", 1)
        exhausted.append(lease.exhausted)
        queue.fail(lease, "broken")

    assert exhausted == [False, False, False, True, True]


def test_a_lease_is_given_back_once(queue):
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)

    assert queue.fail(lease, "broken")
    assert not queue.fail(lease, "broken")
    assert not queue.release(lease)
    assert [lease.attempts for lease in queue.claim("ann", 1)] == [1]


# Leases that run out


def test_a_silent_worker_loses_its_unit_to_the_next_claim(rig):
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


def test_a_unit_taken_back_comes_after_the_others(rig):
    units = add(rig.queue, units=2)
    rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)

    assert [lease.unit for lease in rig.queue.claim("bob", 2)] == [units[1], units[0]]


def test_what_a_zombie_says_of_its_lost_lease_changes_nothing(rig):
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)
    (lease,) = rig.queue.claim("bob", 1)

    assert rig.queue.heartbeat("ann", {lost: 5}) == {lost: Order.LOST}
    assert not rig.queue.fail(lost, "too late")
    assert not rig.queue.release(lost)

    assert standing(rig.queue) == (0, 1, 0)
    assert rig.queue.heartbeat("bob", {lease: 1}) == {lease: Order.CONTINUE}


def test_a_zombie_of_the_same_name_is_told_apart_by_its_fence(rig):
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)
    (lease,) = rig.queue.claim("ann", 1)

    assert rig.queue.heartbeat("ann", {lost: 5, lease: 1}) == {
        lost: Order.LOST,
        lease: Order.CONTINUE,
    }


def test_heartbeats_with_progress_hold_a_lease_for_as_long_as_it_takes(rig):
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    for step in range(1, 8):
        rig.pass_time(1000)
        assert rig.queue.heartbeat("ann", {lease: step}) == {lease: Order.CONTINUE}
        assert rig.queue.claim("bob", 1) == []


def test_a_late_heartbeat_saves_a_lease_that_nobody_took(rig):
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    rig.pass_time(LEASE_SECONDS + 100)
    assert rig.queue.heartbeat("ann", {lease: 1}) == {lease: Order.CONTINUE}

    assert rig.queue.claim("bob", 1) == []


def test_a_worker_that_hangs_loses_its_unit_though_it_still_beats(rig):
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(1000)
    rig.queue.heartbeat("ann", {lost: 7})

    for _ in range(4):  # beyond the stall time; the last of these is not granted
        rig.pass_time(1000)
        assert rig.queue.reap() == 0
        rig.queue.heartbeat("ann", {lost: 7})
    rig.pass_time(1000)
    (lease,) = rig.queue.claim("bob", 1)

    assert lease.last_error == "lease expired: the worker ann made no progress"
    assert rig.queue.heartbeat("ann", {lost: 7}) == {lost: Order.LOST}


def test_a_lease_that_never_starts_to_advance_is_lost_after_the_stall_time(rig):
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    for _ in range(4):
        rig.pass_time(1000)
        assert rig.queue.reap() == 0
        rig.queue.heartbeat("ann", {lease: 0})
    rig.pass_time(1000)

    assert rig.queue.reap() == 1


def test_progress_after_a_stall_wins_the_lease_back(rig):
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    for _ in range(4):
        rig.pass_time(1000)
        rig.queue.heartbeat("ann", {lease: 0})

    rig.queue.heartbeat("ann", {lease: 1})
    rig.pass_time(1000)

    assert rig.queue.claim("bob", 1) == []
    rig.pass_time(1000)
    assert rig.queue.claim("bob", 1)[0].last_error == "lease expired: the worker ann went silent"


def test_another_worker_cannot_renew_a_lease(rig):
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    rig.pass_time(1000)
    assert rig.queue.heartbeat("bob", {lease: 1}) == {lease: Order.LOST}
    rig.pass_time(1000)

    assert rig.queue.reap() == 1


def test_a_heartbeat_renews_more_leases_than_one_script_may_loop_over(rig):
    add(rig.queue, units=150)
    leases = [lease for _ in range(2) for lease in rig.queue.claim("ann", 100)]
    rig.pass_time(1000)

    orders = rig.queue.heartbeat("ann", dict.fromkeys(leases, 1))

    assert orders == dict.fromkeys(leases, Order.CONTINUE)
    rig.pass_time(1000)
    assert rig.queue.reap() == 0


def test_reaping_is_bounded_and_goes_on_where_it_stopped(rig):
    add(rig.queue, units=150)
    for _ in range(2):
        rig.queue.claim("ann", 100)
    rig.pass_time(LEASE_SECONDS + 100)

    assert [rig.queue.reap(10), rig.queue.reap(1000), rig.queue.reap(), rig.queue.reap()] == [
        10,
        100,
        40,
        0,
    ]
    assert standing(rig.queue) == (150, 0, 0)


def test_leases_of_a_forgotten_job_are_not_among_those_reaped(rig):
    for job_id in ("gone", "job"):
        add(rig.queue, job_id, units=2)
        rig.queue.claim("ann", 2, job_id)
    rig.queue.forget("gone")
    rig.pass_time(LEASE_SECONDS + 100)

    assert [rig.queue.reap(1), rig.queue.reap(5), rig.queue.reap(5)] == [1, 1, 0]


def test_a_claim_reaps_a_batch_even_where_it_takes_nothing(rig):
    add(rig.queue, units=150)
    for _ in range(2):
        rig.queue.claim("ann", 100)
    rig.pass_time(LEASE_SECONDS + 100)

    rig.queue.claim("bob", 0)

    assert standing(rig.queue) == (100, 50, 0)


# Completing


def test_a_completed_unit_counts_once(queue):
    add(queue, units=2)
    first, second = queue.claim("ann", 2)

    queue.complete("job", first.unit, RowCounts(ok=7, failed=2, rejected=1))
    queue.complete("job", first.unit, RowCounts(ok=10))
    queue.complete("job", second.unit, RowCounts(ok=10))

    assert queue.counts("job") == QueueCounts(0, 0, 2, 17, 2, 1)


def test_the_loser_of_a_race_completes_and_the_holder_learns_of_it(rig):
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)
    (lease,) = rig.queue.claim("bob", 1)

    rig.queue.complete("job", lost.unit, RowCounts(ok=10))

    assert rig.queue.heartbeat("bob", {lease: 1}) == {lease: Order.LOST}
    assert not rig.queue.fail(lease, "broken")
    rig.queue.complete("job", lease.unit, RowCounts(ok=10))
    assert rig.queue.counts("job") == QueueCounts(0, 0, 1, 10, 0, 0)
    rig.pass_time(LEASE_SECONDS + 100)
    assert rig.queue.reap() == 0


def test_a_ready_unit_may_be_completed(queue):
    units = add(queue, units=2)

    queue.complete("job", units[0], RowCounts(ok=10))

    assert [lease.unit for lease in queue.claim("ann", 5)] == [units[1]]
    assert standing(queue) == (0, 1, 1)


def test_a_unit_that_the_queue_never_had_counts_when_its_record_is_found(queue):
    queue.add_job("job", "/lake", 0, 3)

    queue.complete("job", Unit(0, 10), RowCounts(ok=9, failed=1))

    assert queue.add_units("job", [Unit(0, 10), Unit(10, 20)]) == 1
    assert queue.counts("job") == QueueCounts(1, 0, 1, 9, 1, 0)


# Forgetting


def test_a_forgotten_job_is_gone_with_its_leases(rig):
    add(rig.queue, "job", units=3)
    add(rig.queue, "other", units=1)
    (lease,) = rig.queue.claim("ann", 1)

    rig.queue.forget("job")

    assert [job.job_id for job in rig.queue.jobs()] == ["other"]
    assert rig.queue.heartbeat("ann", {lease: 1}) == {lease: Order.LOST}
    assert not rig.queue.release(lease)
    rig.queue.complete("job", lease.unit, RowCounts(ok=10))
    rig.pass_time(LEASE_SECONDS + 100)
    assert rig.queue.reap() == 0
    assert [lease.job_id for lease in rig.queue.claim("ann", 5)] == ["other"]


def test_a_job_added_again_after_it_was_forgotten_starts_anew(rig):
    add(rig.queue, units=3)
    failed, done, held = rig.queue.claim("ann", 3)
    rig.queue.fail(failed, "broken")
    rig.queue.complete("job", done.unit, RowCounts(ok=10))
    rig.queue.forget("job")

    add(rig.queue, units=3)

    assert rig.queue.counts("job") == QueueCounts(3, 0, 0, 0, 0, 0)
    leases = rig.queue.claim("bob", 3)
    assert [lease.attempts for lease in leases] == [0, 0, 0]
    assert min(lease.fence for lease in leases) > held.fence
    rig.pass_time(1000)
    rig.queue.heartbeat("bob", dict.fromkeys(leases, 1))
    rig.pass_time(1000)
    assert rig.queue.reap() == 0
