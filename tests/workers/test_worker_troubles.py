"""What breaks costs its unit an attempt; what passes by itself costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.errors import QueueUnavailable, StoreDenied, StoreError, StoreUnavailable
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order, Progress
from ancestral.jobs.recovery import recover
from ancestral.jobs.request_shards import Row
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from ancestral.workers.events import (
    Event,
    Hiccup,
    UnitCommitted,
    UnitFailed,
    UnitReleased,
    UnitSplit,
    UnitStarted,
)
from ancestral.workers.worker import Pace, Worker
from tests.workers.by_hand import ByHand, statuses
from tests.workers.fakes import QUICK, SLOW, Diary, FakeModels, House, eventually


def test_a_unit_that_breaks_once_is_drawn_at_the_next_attempt(house: House) -> None:
    job = house.submit(["plain"] * 3, unit_rows=3)
    accidents = iter([OSError("cosmic ray")])

    def accident(rows: list[Row]) -> None:
        for error in accidents:
            raise error

    models = FakeModels(before_advance=accident)

    diary = house.work(job, models)

    assert [row["status"] for row in house.rows(job)] == ["ok"] * 3
    assert [event.error for event in diary.of(UnitFailed)] == ["OSError: cosmic ray"]
    assert "in advance" in diary.of(UnitFailed)[0].traceback
    # The sampler that broke was not trusted with the second attempt.
    assert len(models.samplers) == 2


def test_a_sampler_that_breaks_costs_no_attempt_to_units_that_only_waited(house: House) -> None:
    # Given two slots, a unit that breaks the sampler after five advances, and one that waits.
    labels = ["overloaded", "plain", "plain", "plain"]
    job = house.submit(labels, seeds=SLOW[:4], unit_rows=2)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    ann.turn()
    ann.take_in()
    assert ann.units == {(0, 2), (2, 4)}

    for _ in range(4):
        ann.turn()

    assert [(event.unit, event.error) for event in ann.diary.of(UnitFailed)] == [
        (Unit(0, 2), "MemoryError: out of memory")
    ]
    assert [event.unit for event in ann.diary.of(UnitReleased)] == [Unit(2, 4)]
    assert ann.units == set()
    ann.finish()
    assert [status for _, status in statuses(house, job)] == ["failed", "ok", "ok", "ok"]


def test_a_unit_that_arrives_for_a_broken_sampler_waits_for_a_new_one(house: House) -> None:
    # Given a first unit that breaks the sampler at once, while the second one is being read.
    diary = Diary()
    advancing = threading.Event()

    def listen(event: Event) -> None:
        diary(event)
        if len(diary.of(UnitStarted)) == 2:
            assert advancing.wait(60)

    def let_the_second_unit_come(rows: list[Row]) -> None:
        advancing.set()
        diary.wait_for(UnitStarted, 2)

    models = FakeModels(slots=2, before_advance=let_the_second_unit_come)
    job = house.submit(["overloaded", "plain"], seeds=[0, 0], unit_rows=1, max_attempts=1)

    house.work(job, models, listener=listen)

    assert [row["status"] for row in house.rows(job)] == ["failed", "ok"]
    assert [event.unit for event in diary.of(UnitReleased)] == [Unit(1, 2)]


class Shaky(Store):
    """A store whose writes fail as long as there are failures left."""

    failures = 0
    error: type[StoreError] = StoreUnavailable

    def put(self, path: str, data: bytes | memoryview) -> None:
        if Shaky.failures:
            Shaky.failures -= 1
            raise Shaky.error("503 slow down")
        super().put(path, data)


@pytest.fixture
def shaky(monkeypatch: pytest.MonkeyPatch) -> type[Shaky]:
    monkeypatch.setattr(Shaky, "failures", 0)
    monkeypatch.setattr(Shaky, "error", StoreUnavailable)
    return Shaky


def test_a_store_that_hiccups_is_asked_again(house: House, shaky: type[Shaky]) -> None:
    shaky.failures = 2
    job = house.submit(["plain"] * 3, unit_rows=3)
    models = FakeModels()

    pace = Pace(beat_seconds=0.01, idle_seconds=0.01)
    diary = house.work(job, models, pace=pace, opener=Shaky)

    assert [row["status"] for row in house.rows(job)] == ["ok"] * 3
    hiccups = diary.of(Hiccup)
    assert [event.error for event in hiccups] == ["503 slow down"] * 2
    assert all(event.doing.startswith("writing the pack of unit") for event in hiccups)
    assert models.admitted == [0, 1, 2]


@pytest.mark.parametrize("error", [StoreUnavailable, StoreDenied])
def test_a_store_that_is_in_trouble_for_long_costs_no_attempt(
    house: House, shaky: type[Shaky], error: type[StoreError]
) -> None:
    # Given a worker without patience, and four failures where two attempts are allowed.
    shaky.failures, shaky.error = 4, error
    job = house.submit(["plain"] * 3, unit_rows=3, max_attempts=2)

    diary = house.work(job, opener=Shaky)

    assert [row["status"] for row in house.rows(job)] == ["ok"] * 3
    released = diary.of(UnitReleased)
    assert [event.reason for event in released] == ["503 slow down"] * 4
    assert all(isinstance(event.error, error) for event in released)
    assert diary.of(UnitFailed) == []


def test_in_trouble_units_are_claimed_less_and_less_often(house: House, shaky: type[Shaky]) -> None:
    shaky.failures = 3
    job = house.submit(["plain"] * 4, seeds=[0, 5, 10, 15], unit_rows=1)
    ann = ByHand(house, job, slots=1, opener=Shaky)
    pauses = []

    # When each unit in turn cannot be written, and the fourth one can.
    for _ in range(5):
        pauses.append(ann.worker.intake.step())
        ann.turn()

    assert pauses == [0.0, 0.02, 0.04, 0.08, 0.0]


def test_an_outage_of_the_queue_in_the_middle_of_a_cut_loses_no_row(tmp_path: Path) -> None:
    # Given a queue that cannot be told of a split, which is decided already.
    house = House(tmp_path, Deaf(lease_seconds=60, clock=lambda: house.clock.now))
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    ann.turn()
    ann.worker.drain()
    ann.finish()
    assert [event.at for event in ann.diary.of(UnitSplit)] == [2]
    assert house.rows(job) == []

    # When its lease has run out.
    house.clock.now += 61
    house.queue.__class__ = MemoryQueue
    bob = ByHand(house, job, "bob")
    bob.finish()

    # Then the next worker finds the split, and draws its halves.
    assert sorted(event.unit for event in bob.diary.of(UnitCommitted)) == [Unit(0, 2), Unit(2, 4)]
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(4)]


class Deaf(MemoryQueue):
    """A queue that cannot be told of splits."""

    def split(self, *given: object, **named: object) -> Lease | None:
        raise QueueUnavailable("connection refused")


class Absent(MemoryQueue):
    """A queue that does not answer the first few times that it is claimed from."""

    absences = 3

    def claim(self, *given: Any, **named: Any) -> list[Lease]:
        if self.absences:
            self.absences -= 1
            raise QueueUnavailable("connection refused")
        return super().claim(*given, **named)


def test_a_queue_that_is_away_is_asked_again(tmp_path: Path) -> None:
    house = House(tmp_path, Absent())
    job = house.submit(["plain"] * 3)

    diary = house.work(job)

    assert len(house.rows(job)) == 3
    assert [event.doing for event in diary.of(Hiccup)] == ["claiming units"] * 3


class Interrupted(MemoryQueue):
    """A queue whose answers to every other claim that is given leases are lost on the wire."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.tickets: list[str] = []

    def claim(self, *given: Any, **named: Any) -> list[Lease]:
        leases = super().claim(*given, **named)
        if leases:
            self.tickets.append(named["ticket"])
            if len(self.tickets) % 2:
                raise QueueUnavailable("connection reset")
        return leases


def test_a_claim_whose_answer_was_lost_is_said_again(house: House) -> None:
    queue = Interrupted(lease_seconds=60, clock=house.clock)
    job = house.submit(["plain"] * 6, unit_rows=2)
    assert recover(queue, house.client.store(job.job_id), job)
    ann = ByHand(house, job, slots=6, queue=queue)

    for _ in range(4):
        ann.take_in()

    # No unit is leased that the worker does not know of, and each claim has a ticket of its own.
    assert ann.units == {(0, 2), (2, 4), (4, 6)}
    assert queue.tickets[::2] == queue.tickets[1::2]
    assert len(set(queue.tickets)) == 3
    ann.finish()
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(6)]


class Mute(MemoryQueue):
    """A queue that does not answer heartbeats."""

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        raise QueueUnavailable("connection refused")


def test_what_breaks_outside_of_any_unit_ends_the_worker_and_hands_its_units_back(
    tmp_path: Path,
) -> None:
    # Given a listener that breaks in the heartbeat's thread while rows of five advances are drawn.
    house = House(tmp_path, Mute())
    job = house.submit(["plain"] * 4, seeds=[4, 9, 14, 19], unit_rows=2)
    broke = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Hiccup):
            broke.set()
            raise LookupError("nobody listens")

    models = FakeModels(slots=2, before_advance=lambda rows: eventually(broke.is_set))
    worker = Worker(house.queue, models, job_id=job.job_id, listener=listen, pace=QUICK)

    with pytest.raises(LookupError, match="nobody listens"):
        worker.run()

    counts = house.queue.counts(job.job_id)
    assert (counts.ready, counts.leased, counts.done) == (2, 0, 0)
    assert [lease.attempts for lease in house.queue.claim("bob", 2)] == [0, 0]
