"""Both queues side by side: whatever is asked of them, they answer alike."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

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

from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import Lease, Progress, Queue, QueuedJob
from ancestral.jobs.units import RowCounts, Unit
from tests.jobs.rigs import MemoryRig, RedisRig, add

#: In seconds, so large that what a run takes in real time is nothing beside what passes in it.
HOUR = 1e6
LEASE = 15 * HOUR
STALL = 35 * HOUR

JOBS = st.sampled_from(["a", "b:1/2", "c"])
UNITS = st.integers(0, 7).map(lambda index: Unit(index * 10, index * 10 + 10))
WORKERS = st.sampled_from(["ann", "bob", "cyd/0"])
DEVICES = st.sampled_from(["", "node/cuda:0", "node/cuda:1"])
ROW_COUNTS = st.builds(RowCounts, *[st.integers(0, 3)] * 3)
EPOCHS = st.integers(1, 4)
DEADLINES = st.none() | st.integers(1_790_000_000, 1_790_000_002)
#: Sums of these are exact.
SECONDS = st.sampled_from([0.0, 0.25, 7.5])
ERRORS = st.text(max_size=5)

Pair = tuple[Lease, Lease]
Answer = TypeVar("Answer")


class Twins(RuleBasedStateMachine):
    """Random moves on both queues, whose answers must agree but for the fences themselves."""

    leases = Bundle("leases")

    def __init__(self, url: str) -> None:
        super().__init__()
        self.memory = MemoryRig(LEASE, STALL)
        self.redis = RedisRig(url, f"twins-{uuid.uuid4().hex}", LEASE, STALL)
        self.last_fences = (0, 0)
        self.given: set[tuple[int, int]] = set()
        self.moves = 0

    def teardown(self) -> None:
        self.redis.close()

    def both(self, ask: Callable[[Queue], Answer]) -> Answer:
        """What both answer."""
        ours, theirs = ask(self.memory.queue), ask(self.redis.queue)
        assert ours == theirs
        return ours

    def agree(self, ours: Lease, theirs: Lease) -> list[Pair]:
        """A lease that both gave; none if both gave it before."""
        fences = ours.fence, theirs.fence
        assert replace(ours, fence=theirs.fence) == theirs
        if fences in self.given:
            return []
        assert ours.fence > self.last_fences[0]
        assert theirs.fence > self.last_fences[1]
        self.last_fences = fences
        self.given.add(fences)
        return [(ours, theirs)]

    def let_pass(self, hours: int = 0) -> None:
        """Some hours, and a part of one that differs each time, lest two times be ever equal."""
        self.moves += 1
        for rig in (self.memory, self.redis):
            rig.pass_time((hours + self.moves * 0.6180339887 % 1) * HOUR)

    @initialize()
    def have_something_to_claim(self) -> None:
        for rig in (self.memory, self.redis):
            add(rig.queue, "a", units=4)
            add(rig.queue, "c", units=2)

    @rule(job=JOBS, priority=st.integers(-1, 1), epoch=EPOCHS, deadline=DEADLINES)
    def begin_rebuild(self, job: str, priority: int, epoch: int, deadline: int | None) -> None:
        known = QueuedJob(job, f"/lake/{job}", priority, 80, deadline)
        self.both(lambda queue: queue.begin_rebuild(known, epoch))

    @rule(
        job=JOBS,
        epoch=EPOCHS,
        undecided=st.lists(UNITS, max_size=6),
        rows=st.lists(UNITS, max_size=2),
        split=st.lists(UNITS, max_size=2),
    )
    def restore(
        self,
        job: str,
        epoch: int,
        undecided: list[Unit],
        rows: list[Unit],
        split: list[Unit],
    ) -> None:
        self.both(lambda queue: queue.restore(job, epoch, undecided, rows, split))

    @rule(job=JOBS, epoch=EPOCHS)
    def end_rebuild(self, job: str, epoch: int) -> None:
        self.both(lambda queue: queue.end_rebuild(job, epoch))

    @rule(job=JOBS, wanted=st.sampled_from([Wanted.RUN, *Wanted]), intent=st.integers(0, 5))
    def want(self, job: str, wanted: Wanted, intent: int) -> None:
        self.both(lambda queue: queue.want(job, wanted, intent))

    @rule(
        target=leases,
        worker=WORKERS,
        limit=st.integers(0, 5),
        job=st.none() | JOBS,
        device=DEVICES,
        among_others=st.booleans(),
        ticket=st.sampled_from(["", "one", "two"]),
        without=st.just(set()) | st.sets(JOBS, max_size=2),
    )
    def claim(
        self,
        worker: str,
        limit: int,
        job: str | None,
        device: str,
        among_others: bool,
        ticket: str,
        without: set[str],
    ) -> object:
        self.let_pass()
        asked = worker, limit, job, device, among_others, ticket, without
        ours, theirs = (rig.queue.claim(*asked) for rig in (self.memory, self.redis))
        pairs = zip(ours, theirs, strict=True)
        return multiple(*(new for pair in pairs for new in self.agree(*pair)))

    @rule(
        worker=WORKERS,
        pairs=st.lists(leases, max_size=4, unique=True),
        moved=st.integers(0, 9),
        unbegun=st.integers(0, 3),
    )
    def heartbeat(self, worker: str, pairs: list[Pair], moved: int, unbegun: int) -> None:
        progress = Progress(moved, unbegun)
        ours = self.memory.queue.heartbeat(worker, {pair[0]: progress for pair in pairs})
        theirs = self.redis.queue.heartbeat(worker, {pair[1]: progress for pair in pairs})
        assert list(ours.values()) == list(theirs.values())

    @rule(pair=leases, unbegun=st.integers(0, 3))
    def heartbeat_of_the_holder(self, pair: Pair, unbegun: int) -> None:
        self.heartbeat(pair[0].worker, [pair], self.moves, unbegun)

    @rule(pair=leases, counts=ROW_COUNTS, device=DEVICES, seconds=SECONDS)
    def complete(self, pair: Pair, counts: RowCounts, device: str, seconds: float) -> None:
        self.let_pass()
        job, unit = pair[0].job_id, pair[0].unit
        self.both(lambda queue: queue.complete(job, unit, counts, device, seconds))

    @rule(job=JOBS, unit=UNITS, counts=ROW_COUNTS, device=DEVICES)
    def complete_any(self, job: str, unit: Unit, counts: RowCounts, device: str) -> None:
        self.let_pass()
        self.both(lambda queue: queue.complete(job, unit, counts, device))

    @rule(
        target=leases,
        pair=leases,
        keeps=st.booleans(),
        attempts=st.integers(0, 2),
        error=st.none() | ERRORS,
    )
    def split(self, pair: Pair, keeps: bool, attempts: int, error: str | None) -> object:
        job, unit = pair[0].job_id, pair[0].unit
        if unit.rows == 1:
            return multiple()
        # The first time that a unit is split decides where, as in the store.
        at = unit.start + 1 + unit.start % 7 % (unit.rows - 1)
        kept = [
            rig.queue.split(job, unit, at, attempts, error, lease if keeps else None)
            for rig, lease in zip((self.memory, self.redis), pair, strict=True)
        ]
        ours, theirs = kept
        if ours is None or theirs is None:
            assert ours is theirs
            return multiple()
        return multiple(*self.agree(ours, theirs))

    @rule(pair=leases, error=ERRORS, delay=st.sampled_from([0, 5 * HOUR]))
    def fail(self, pair: Pair, error: str, delay: float) -> None:
        ours, theirs = pair
        assert self.memory.queue.fail(ours, error, delay) is self.redis.queue.fail(
            theirs, error, delay
        )

    @rule(pair=consumes(leases), declined=st.just("") | ERRORS)
    def release(self, pair: Pair, declined: str) -> None:
        ours, theirs = pair
        assert self.memory.queue.release(ours, declined) is self.redis.queue.release(
            theirs, declined
        )

    @rule(limit=st.integers(0, 4))
    def reap(self, limit: int) -> None:
        self.both(lambda queue: queue.reap(limit))

    @rule(worker=WORKERS)
    def expire(self, worker: str) -> None:
        self.both(lambda queue: queue.expire(worker))

    @rule(device=DEVICES)
    def pardon(self, device: str) -> None:
        self.both(lambda queue: queue.pardon(device))

    @rule(job=JOBS)
    def forget(self, job: str) -> None:
        self.both(lambda queue: queue.forget(job))

    @rule(hours=st.sampled_from([5, 10, 40]))
    def pass_time(self, hours: int) -> None:
        self.let_pass(hours)

    @invariant()
    def both_know_the_same(self) -> None:
        for job in self.both(lambda queue: queue.jobs()):
            ours = self.memory.queue.counts(job.job_id)
            theirs = self.redis.queue.counts(job.job_id)
            timed = {"rebuilt_seconds": theirs.rebuilt_seconds, "pace": theirs.pace}
            assert replace(ours, **timed) == theirs
            assert ours.pace == pytest.approx(theirs.pace, abs=HOUR / 100)
            assert self.memory.queue.untold(job.job_id) == self.redis.queue.untold(job.job_id)
            assert ours.rebuilt_seconds == pytest.approx(theirs.rebuilt_seconds, abs=HOUR / 100)
        self.both(lambda queue: queue.drained_devices())


@pytest.mark.redis
def test_both_queues_answer_alike_whatever_is_asked(redis_url: str) -> None:
    run_state_machine_as_test(
        lambda: Twins(redis_url),
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
