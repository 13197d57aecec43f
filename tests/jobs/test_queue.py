"""The laws of a queue, held by both of them.

Time passes for `MemoryQueue` by its clock; for `RedisQueue`, which trusts the server's clock alone,
by setting back every time that it has stored.
"""

import threading
import uuid
from dataclasses import replace
from typing import Protocol

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import LARGEST_BATCH, LONGEST_ERROR, Lease, Order, Queue, QueueCounts
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.units import RowCounts, Unit, plan_units

#: Long beside what a test takes, so that real time decides nothing.
LEASE_SECONDS = 1500.0
STALL_SECONDS = 3500.0


class Rig(Protocol):
    """A queue under test and its time."""

    queue: Queue

    def pass_time(self, seconds: float) -> None: ...


class MemoryRig:
    def __init__(self) -> None:
        self.now = 0.0
        self.queue: Queue = MemoryQueue(LEASE_SECONDS, STALL_SECONDS, clock=self.read_clock)

    def read_clock(self) -> float:
        self.now += 1e-6  # no two calls at the same instant, as on a server
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class RedisRig:
    def __init__(self, url: str, namespace: str) -> None:
        self.queue: Queue = RedisQueue(url, LEASE_SECONDS, STALL_SECONDS, namespace)
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.shard = f"{{{namespace}}}"

    def pass_time(self, seconds: float) -> None:
        back = seconds * 1e6
        timed = [f"{self.shard}:expiry"]
        for job in self.queue.jobs():
            timed.append(f"{self.shard}:ready:{job.job_id}")
            facts = f"{self.shard}:unit:{job.job_id}"
            for field, value in self.client.hgetall(facts).items():
                if field.endswith(":progressed_at"):
                    self.client.hset(facts, field, f"{float(value) - back:.0f}")
        for key in timed:
            for member, score in self.client.zrange(key, 0, -1, withscores=True):
                if score > 0:
                    self.client.zadd(key, {member: score - back})

    def close(self) -> None:
        self.queue.close()
        self.client.close()


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


def add(queue: Queue, job_id: str = "job", units: int = 3, priority: int = 0) -> list[Unit]:
    """A job of units of ten rows."""
    planned = list(plan_units(units * 10, 10))
    queue.add_job(job_id, f"/lake/{job_id}", priority, 3)
    assert queue.add_units(job_id, planned) == units
    return planned


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


# Both queues side by side

JOBS = st.sampled_from(["a", "b:1/2", "c"])
UNITS = st.integers(0, 7).map(lambda index: Unit(index * 10, index * 10 + 10))
WORKERS = st.sampled_from(["ann", "bob"])
ROW_COUNTS = st.builds(RowCounts, *[st.integers(0, 3)] * 3)

Pair = tuple[Lease, Lease]


class Twins(RuleBasedStateMachine):
    """Random operations on both queues, whose answers must agree but for the fences themselves."""

    leases = Bundle("leases")

    def __init__(self, url: str) -> None:
        super().__init__()
        self.memory = MemoryRig()
        self.redis = RedisRig(url, f"twins-{uuid.uuid4().hex}")
        self.last_fences = (0, 0)

    def teardown(self) -> None:
        self.redis.close()

    @initialize()
    def have_something_to_claim(self) -> None:
        for rig in (self.memory, self.redis):
            add(rig.queue, "a", units=4)
            add(rig.queue, "c", units=2)

    @rule(job=JOBS, priority=st.integers(-1, 1), max_attempts=st.integers(1, 3))
    def add_job(self, job: str, priority: int, max_attempts: int) -> None:
        for rig in (self.memory, self.redis):
            rig.queue.add_job(job, f"/lake/{job}", priority, max_attempts)

    @rule(job=JOBS, units=st.lists(UNITS, max_size=6))
    def add_units(self, job: str, units: list[Unit]) -> None:
        assert self.answer(self.memory, job, units) == self.answer(self.redis, job, units)

    @staticmethod
    def answer(rig: Rig, job: str, units: list[Unit]) -> int | None:
        try:
            return rig.queue.add_units(job, units)
        except UnknownJob:
            return None

    @rule(target=leases, worker=WORKERS, limit=st.integers(0, 5), job=st.none() | JOBS)
    def claim(self, worker: str, limit: int, job: str | None) -> object:
        pairs = list(
            zip(
                self.memory.queue.claim(worker, limit, job),
                self.redis.queue.claim(worker, limit, job),
                strict=True,
            )
        )
        for ours, theirs in pairs:
            assert replace(ours, fence=theirs.fence) == theirs
            assert ours.fence > self.last_fences[0]
            assert theirs.fence > self.last_fences[1]
            self.last_fences = (ours.fence, theirs.fence)
        return multiple(*pairs)

    @rule(worker=WORKERS, pairs=st.lists(leases, max_size=4), progress=st.integers(0, 9))
    def heartbeat(self, worker: str, pairs: list[Pair], progress: int) -> None:
        ours = self.memory.queue.heartbeat(worker, {pair[0]: progress for pair in pairs})
        theirs = self.redis.queue.heartbeat(worker, {pair[1]: progress for pair in pairs})
        for pair in pairs:
            assert ours[pair[0]] is theirs[pair[1]]

    @rule(pair=leases, counts=ROW_COUNTS)
    def complete(self, pair: Pair, counts: RowCounts) -> None:
        for rig, lease in zip((self.memory, self.redis), pair, strict=True):
            rig.queue.complete(lease.job_id, lease.unit, counts)

    @rule(job=JOBS, unit=UNITS, counts=ROW_COUNTS)
    def complete_any(self, job: str, unit: Unit, counts: RowCounts) -> None:
        for rig in (self.memory, self.redis):
            rig.queue.complete(job, unit, counts)

    @rule(pair=leases, error=st.text(max_size=5), delay=st.sampled_from([0, 500]))
    def fail(self, pair: Pair, error: str, delay: int) -> None:
        ours, theirs = pair
        assert self.memory.queue.fail(ours, error, delay) is self.redis.queue.fail(
            theirs, error, delay
        )

    @rule(pair=consumes(leases))
    def release(self, pair: Pair) -> None:
        assert self.memory.queue.release(pair[0]) is self.redis.queue.release(pair[1])

    @rule(limit=st.integers(0, 4))
    def reap(self, limit: int) -> None:
        assert self.memory.queue.reap(limit) == self.redis.queue.reap(limit)

    @rule(job=JOBS)
    def forget(self, job: str) -> None:
        for rig in (self.memory, self.redis):
            rig.queue.forget(job)

    # Whole thousands, so that no sum meets a lease (1500), stall (3500) or delay (500) exactly.
    @rule(seconds=st.sampled_from([1000, 2000, 4000]))
    def pass_time(self, seconds: int) -> None:
        for rig in (self.memory, self.redis):
            rig.pass_time(seconds)

    @invariant()
    def both_know_the_same(self) -> None:
        jobs = self.memory.queue.jobs()
        assert jobs == self.redis.queue.jobs()
        for job in jobs:
            assert self.memory.queue.counts(job.job_id) == self.redis.queue.counts(job.job_id)


@pytest.mark.redis
def test_both_queues_answer_alike_whatever_is_asked(redis_url):
    run_state_machine_as_test(
        lambda: Twins(redis_url),
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
