"""A beat renews what advances, hears of what is lost, and outlives a queue that is away."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ancestral.jobs.errors import QueueUnavailable
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.events import Hiccup, UnitLost
from ancestral.workers.heartbeat import Heartbeat
from ancestral.workers.held import HeldLeases
from ancestral.workers.patience import Patience
from ancestral.workers.workplace import Workplace
from tests.workers.fakes import Clock, Diary


class Ward:
    """A worker that holds two units, a heart that beats when told to, and a clock."""

    def __init__(self, queue_class: type[MemoryQueue] = MemoryQueue) -> None:
        self.clock = Clock()
        self.progress = 0
        self.diary = Diary()
        self.queue = queue_class(lease_seconds=60, stall_seconds=100, clock=self.clock)
        self.queue.add_job("job", "lake", 0, 3)
        self.queue.add_units("job", [Unit(0, 2), Unit(2, 4)])
        patience = Patience("ann", self.diary)
        self.held = HeldLeases(self.queue, "ann", self.diary, patience, 0.0)
        place = Workplace("ann", self.queue, self.diary, patience, self.held)
        self.heart = Heartbeat(place, lambda: self.progress, 15.0)
        self.leases = self.queue.claim("ann", 2)
        for lease in self.leases:
            self.held.add(lease)

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
    assert ward.held.snapshot() != []


def test_a_worker_that_hangs_loses_its_leases_however_its_heart_beats() -> None:
    ward = Ward()
    ward.live(10, progress=1)

    for _ in range(10):
        ward.live(50, progress=0)

    assert len(ward.queue.claim("bob", 2)) == 2
    ward.live(1, progress=0)
    assert {event.unit for event in ward.diary.of(UnitLost)} == {Unit(0, 2), Unit(2, 4)}
    assert ward.held.snapshot() == []


def test_only_what_was_lost_is_dropped() -> None:
    ward = Ward()
    ward.queue.complete("job", Unit(0, 2), RowCounts(ok=2))

    ward.live(1, progress=1)

    assert ward.held.snapshot() == [ward.leases[1]]
    assert [event.unit for event in ward.diary.of(UnitLost)] == [Unit(0, 2)]


class Strict(MemoryQueue):
    """A queue that no one may bother for nothing."""

    def heartbeat(self, worker: str, progress: Mapping[Lease, int]) -> dict[Lease, Order]:
        assert progress, "a heartbeat without leases"
        return super().heartbeat(worker, progress)


def test_a_worker_without_leases_is_silent() -> None:
    ward = Ward(Strict)
    for lease in ward.leases:
        ward.held.release(lease, "done")

    ward.live(1, progress=1)

    with pytest.raises(AssertionError, match="without leases"):
        ward.queue.heartbeat("ann", {})


class Away(MemoryQueue):
    """A queue that does not answer its first heartbeat."""

    answers = False

    def heartbeat(self, worker: str, progress: Mapping[Lease, int]) -> dict[Lease, Order]:
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
