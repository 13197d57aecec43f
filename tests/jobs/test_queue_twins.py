"""Both queues side by side: whatever is asked of them, they answer alike."""

import uuid
from dataclasses import replace

import pytest
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
from ancestral.jobs.queue import Lease
from ancestral.jobs.units import RowCounts, Unit
from tests.jobs.rigs import MemoryRig, RedisRig, Rig, add

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
