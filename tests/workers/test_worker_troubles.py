"""What breaks costs its unit an attempt; what passes by itself costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from ancestral.jobs.errors import QueueUnavailable, StoreUnavailable
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order
from ancestral.jobs.request_shards import Row
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from ancestral.workers.events import (
    Event,
    Hiccup,
    UnitFailed,
    UnitGivenUp,
    UnitReleased,
    UnitStarted,
)
from ancestral.workers.worker import Pace, Worker
from tests.workers.fakes import (
    QUICK,
    Diary,
    FakeModels,
    House,
    eventually,
)


def test_a_unit_that_always_breaks_is_recorded_as_failed_and_the_others_are_drawn(
    house: House,
) -> None:
    # Given a row on which the writing side breaks, in the second of three units.
    labels = ["plain"] * 6
    labels[2] = "garbled"
    job = house.submit(labels, unit_rows=2, max_attempts=2)
    models = FakeModels(slots=1)

    diary = house.work(job, models)

    # Then that unit is tried twice, and given up without drawing.
    rows = house.rows(job)
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "failed", "ok", "ok"]
    cause = "ZeroDivisionError: symbols of another world"
    for row in rows[2:4]:
        assert row["error"] == f"given up after 2 attempts at its unit; the last: {cause}"
        assert (row["device"], row["numerics"]) == ("none", "none")
    failures = diary.of(UnitFailed)
    assert [(event.unit, event.error) for event in failures] == [(Unit(2, 4), cause)] * 2
    assert "to_media" in failures[0].traceback
    assert [event.unit for event in diary.of(UnitGivenUp)] == [Unit(2, 4)]
    assert models.admitted.count(2) == 2


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
    # The sampler that broke was not trusted with the second attempt.
    assert len(models.samplers) == 2


def test_a_sampler_that_breaks_costs_no_attempt_to_units_that_only_waited(house: House) -> None:
    # Given two slots, a first unit that breaks the sampler after five advances, and a second unit
    # that waits behind it.
    diary = Diary()
    models = FakeModels(slots=2, before_advance=lambda rows: diary.wait_for(UnitStarted, 2))
    labels = ["overloaded", "plain"]
    job = house.submit(labels, seeds=[4, 4], samples=2, unit_rows=2, max_attempts=1)

    house.work(job, models, listener=diary)

    assert [row["status"] for row in house.rows(job)] == ["failed", "failed", "ok", "ok"]
    assert [(event.unit, event.error) for event in diary.of(UnitFailed)] == [
        (Unit(0, 2), "MemoryError: out of memory")
    ]
    assert [event.unit for event in diary.of(UnitReleased)] == [Unit(2, 4)]


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

    def put(self, path: str, data: bytes | memoryview) -> None:
        if Shaky.failures:
            Shaky.failures -= 1
            raise StoreUnavailable("503 slow down")
        super().put(path, data)


@pytest.fixture
def shaky(monkeypatch: pytest.MonkeyPatch) -> type[Shaky]:
    monkeypatch.setattr("ancestral.workers.intake.open_store", Shaky)
    monkeypatch.setattr(Shaky, "failures", 0)
    return Shaky


def test_a_store_that_hiccups_is_asked_again(house: House, shaky: type[Shaky]) -> None:
    shaky.failures = 2
    job = house.submit(["plain"] * 3, unit_rows=3)
    models = FakeModels()

    diary = house.work(job, models, pace=Pace(beat_seconds=0.01, idle_seconds=0.01))

    assert [row["status"] for row in house.rows(job)] == ["ok"] * 3
    hiccups = diary.of(Hiccup)
    assert [event.error for event in hiccups] == ["503 slow down"] * 2
    assert all(event.doing.startswith("writing the pack of unit") for event in hiccups)
    assert models.admitted == [0, 1, 2]


def test_a_store_that_is_away_for_long_costs_no_attempt(house: House, shaky: type[Shaky]) -> None:
    # Given a worker without patience, and four failures where two attempts are allowed.
    shaky.failures = 4
    job = house.submit(["plain"] * 3, unit_rows=3, max_attempts=2)

    diary = house.work(job)

    assert [row["status"] for row in house.rows(job)] == ["ok"] * 3
    assert len(diary.of(UnitReleased)) == 4
    assert diary.of(UnitReleased)[0].reason == "StoreUnavailable: 503 slow down"
    assert diary.of(UnitFailed) == []


class Absent(MemoryQueue):
    """A queue that does not answer the first few times that it is claimed from."""

    absences = 3

    def claim(self, worker: str, limit: int, job_id: str | None = None) -> list[Lease]:
        if self.absences:
            self.absences -= 1
            raise QueueUnavailable("connection refused")
        return super().claim(worker, limit, job_id)


def test_a_queue_that_is_away_is_asked_again(tmp_path: Path) -> None:
    house = House(tmp_path, Absent())
    job = house.submit(["plain"] * 3)

    diary = house.work(job)

    assert len(house.rows(job)) == 3
    assert [event.doing for event in diary.of(Hiccup)] == ["claiming units"] * 3


def test_a_model_that_cannot_be_loaded_fails_its_rows_with_the_reason(house: House) -> None:
    class NoModels(FakeModels):
        def get(self, job: object) -> object:  # type: ignore[override]
            raise FileNotFoundError("no weights")

    job = house.submit(["plain"] * 2, max_attempts=1)

    house.work(job, NoModels())

    assert [row["status"] for row in house.rows(job)] == ["failed"] * 2
    assert house.rows(job)[0]["error"].endswith("FileNotFoundError: no weights")


class Mute(MemoryQueue):
    """A queue that does not answer heartbeats."""

    def heartbeat(self, worker: str, progress: Mapping[Lease, int]) -> dict[Lease, Order]:
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
