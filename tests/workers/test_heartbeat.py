"""A beat renews what advances, brings orders, notices who hangs, outlives a queue that is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from ancestral.jobs.errors import QueueUnavailable
from ancestral.jobs.intents import Wanted
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order, Progress, QueuedJob
from ancestral.jobs.spec import Job
from ancestral.jobs.store import open_store
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.events import Hiccup, UnitLost, WorkerHung
from ancestral.workers.heartbeat import Heartbeat
from ancestral.workers.held import HeldLeases, Hold
from ancestral.workers.patience import Patience
from ancestral.workers.workplace import Workplace
from tests.workers.by_hand import ByHand, statuses
from tests.workers.fakes import Clock, Diary, FakeModels, FakeSampler, House


class Ward:
    """A worker that holds two units, a heart that beats when told to, and a clock."""

    def __init__(self, queue_class: type[MemoryQueue] = MemoryQueue) -> None:
        self.clock = Clock()
        self.progress = 0
        self.diary = Diary()
        self.queue = queue_class(lease_seconds=60, stall_seconds=100, clock=self.clock)
        self.queue.begin_rebuild(QueuedJob("job", "lake", 0, 4), 1)
        self.queue.restore("job", 1, [Unit(0, 2), Unit(2, 4)])
        self.queue.end_rebuild("job", 1)
        patience = Patience("ann", self.diary)
        self.held = HeldLeases(self.queue, "ann", self.diary, patience, 0.0)
        place = Workplace(
            "ann", "host/cpu", self.queue, self.diary, patience, self.held, open_store
        )
        self.busy = False
        self.orders: list[tuple[Hold, Order]] = []
        self.hangs = 0
        self.heart = Heartbeat(
            place,
            lambda: self.progress,
            lambda: self.busy,
            lambda hold, order: self.orders.append((hold, order)),
            self.hang,
            interval_seconds=15.0,
            stall_seconds=100.0,
            clock=self.clock,
        )
        self.holds = [self.held.add(lease) for lease in self.queue.claim("ann", 2)]

    def hang(self) -> None:
        self.hangs += 1

    def live(self, seconds: float, progress: int) -> None:
        """A beat at the end of that time."""
        self.clock.now += seconds
        self.progress += progress
        self.heart.beat()


def test_a_worker_that_advances_keeps_its_leases() -> None:
    ward = Ward()

    for _ in range(20):
        ward.live(50, progress=1)

    assert ward.queue.claim("bob", 2) == []
    assert len(ward.held.snapshot()) == 2
    assert ward.hangs == 0


def test_a_worker_that_hangs_loses_its_leases_however_its_heart_beats() -> None:
    ward = Ward()
    ward.live(10, progress=1)

    for _ in range(10):
        ward.live(50, progress=0)

    assert len(ward.queue.claim("bob", 2)) == 2
    ward.live(1, progress=0)
    assert {event.unit for event in ward.diary.of(UnitLost)} == {Unit(0, 2), Unit(2, 4)}
    assert ward.held.empty


def test_a_worker_that_hangs_is_told_of_while_it_hangs() -> None:
    ward = Ward()
    ward.live(10, progress=1)

    ward.live(99, progress=0)
    assert ward.hangs == 0
    ward.live(1, progress=0)
    assert ward.hangs == 1
    ward.live(99, progress=0)
    ward.live(1, progress=0)

    assert ward.hangs == 2
    assert [event.seconds for event in ward.diary.of(WorkerHung)] == [100, 100]


def test_a_worker_that_hangs_in_rows_of_a_lost_unit_is_told_of() -> None:
    ward = Ward()
    ward.live(10, progress=1)
    for hold in ward.holds:
        ward.held.lose(hold, hold.lease)
    ward.busy = True

    ward.live(100, progress=0)

    assert ward.hangs == 1


def test_a_worker_that_has_nothing_to_do_does_not_hang() -> None:
    ward = Ward()
    ward.live(10, progress=1)
    for hold in ward.holds:
        ward.held.release(hold, "done")

    ward.live(1000, progress=0)
    ward.held.add(ward.queue.claim("ann", 1)[0])
    ward.live(99, progress=0)

    assert ward.hangs == 0


def test_orders_for_units_in_hand_are_passed_on() -> None:
    ward = Ward()

    ward.queue.want("job", Wanted.PAUSE, 1)
    ward.live(1, progress=1)

    assert ward.orders == [(hold, Order.HAND_BACK) for hold in ward.holds]
    assert len(ward.held.snapshot()) == 2


def test_only_what_was_lost_is_dropped() -> None:
    ward = Ward()
    ward.queue.complete("job", Unit(0, 2), RowCounts(ok=2))

    ward.live(1, progress=1)

    assert list(ward.held.snapshot().values()) == [ward.holds[1]]
    assert ward.orders == []
    assert [event.unit for event in ward.diary.of(UnitLost)] == [Unit(0, 2)]


class Strict(MemoryQueue):
    """A queue that no one may bother for nothing."""

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        assert progress, "a heartbeat without leases"
        return super().heartbeat(worker, progress)


def test_a_worker_without_leases_is_silent() -> None:
    ward = Ward(Strict)
    for hold in ward.holds:
        ward.held.release(hold, "done")

    ward.live(1, progress=1)

    with pytest.raises(AssertionError, match="without leases"):
        ward.queue.heartbeat("ann", {})


class Away(MemoryQueue):
    """A queue that does not answer its first heartbeat."""

    answers = False

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        if self.answers:
            return super().heartbeat(worker, progress)
        self.answers = True
        raise QueueUnavailable("refused")


def test_a_queue_that_is_away_is_asked_again_at_the_next_beat() -> None:
    ward = Ward(Away)

    ward.live(40, progress=1)
    ward.live(15, progress=1)
    ward.live(40, progress=1)

    assert [event.doing for event in ward.diary.of(Hiccup)] == ["renewing leases"]
    assert ward.queue.claim("bob", 2) == []


class Loading(FakeModels):
    """Models that take `seconds` to load, during which a heart beats every 50 seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = seconds
        self.beat: Callable[[], None]

    def get(self, job: Job) -> FakeSampler:
        if not self.samplers:
            end = self.clock.now + self.seconds
            while self.clock.now < end:
                self.clock.now += 50
                self.beat()
        return super().get(job)


@pytest.mark.parametrize(("minutes", "hangs"), [(69, 0), (71, 1)])
def test_a_model_may_take_longer_to_load_than_a_worker_may_stand_still(
    house: House, minutes: int, hangs: int
) -> None:
    # Given a model that takes longer than the ten minutes after which a worker hangs
    job = house.submit(["plain"] * 4)
    models = Loading(house.clock, minutes * 60)
    ann = ByHand(house, job, models=models)

    def beat() -> None:
        house.queue.reap()
        ann.worker.heartbeat.beat()

    models.beat = beat

    # When it is loaded
    ann.finish()

    # Then the worker is said to hang, and its unit lost, only where that took more than an hour and
    # those ten minutes
    assert len(ann.diary.of(WorkerHung)) == hangs
    assert len(ann.diary.of(UnitLost)) == hangs
    assert [status for _, status in statuses(house, job)] == ["ok"] * 4
