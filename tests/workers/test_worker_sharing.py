"""Leases come, go and are lost; whatever happens, a unit is decided once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import QueueUnavailable
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order, Progress
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.request_shards import Row
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.events import (
    Event,
    UnitAdopted,
    UnitCommitted,
    UnitLost,
    UnitReleased,
    UnitStarted,
)
from ancestral.workers.worker import Worker
from tests.workers.fakes import (
    HOLD,
    QUICK,
    Diary,
    FakeModels,
    House,
    eventually,
)


def test_a_lost_lease_throws_away_what_was_drawn(house: House) -> None:
    # Given a worker that is drawing a unit when its lease runs out and another claims it.
    diary = Diary()
    stolen: list[Lease] = []

    def steal(rows: list[Row]) -> None:
        if not stolen:
            house.clock.now += 61
            stolen.extend(house.queue.claim("thief", 1))
            diary.wait_for(UnitLost)
            # The thief thinks better of it, so that the job can end.
            house.queue.release(stolen[0])

    models = FakeModels(slots=2, before_advance=steal)
    job = house.submit(["plain"] * 3, unit_rows=3)

    # When it goes on.
    house.work(job, models, listener=diary)

    # Then the row that had not ended was dropped and the one that waited was not drawn, and the
    # attempt left nothing behind.
    assert models.admitted == [0, 1, 0, 1, 2]
    assert models.dropped == [1]
    lost, kept = diary.of(UnitStarted)
    assert {row["attempt"] for row in house.rows(job)} == {kept.attempt} != {lost.attempt}
    assert len(house.client.store(job.job_id).list(layout.packs_folder(job.job_id))) == 1
    assert len(diary.of(UnitCommitted)) == 1


def test_who_loses_the_race_for_a_record_adopts_it(house: House) -> None:
    # Given a worker that is drawing while another, of another queue, decides the same unit.
    job = house.submit(["plain"] * 3, unit_rows=3)
    rival_queue = house.another_queue(job)
    rivals: list[Diary] = []

    def race(rows: list[Row]) -> None:
        if not rivals:
            rivals.append(house.work(job, name="bob", queue=rival_queue))

    # When it comes to commit.
    diary = house.work(job, FakeModels(before_advance=race))

    # Then the other's rows stand, and its own queue hears of them.
    assert [row["worker"] for row in house.rows(job)] == ["bob"] * 3
    assert diary.of(UnitCommitted) == []
    assert [event.counts for event in diary.of(UnitAdopted)] == [RowCounts(ok=3)]
    counts = house.queue.counts(job.job_id)
    assert (counts.done, counts.rows_ok) == (1, 3)


class Forgetful(MemoryQueue):
    """A queue that breaks down whenever it is told of a unit's end."""

    def complete(
        self,
        job_id: str,
        unit: Unit,
        counts: RowCounts,
        device: str = "",
        sampling_seconds: float = 0.0,
    ) -> None:
        raise QueueUnavailable("connection refused")


def test_a_unit_decided_by_a_worker_that_died_is_not_drawn_again(tmp_path: Path) -> None:
    # Given a worker that ended between its record and its queue.
    queue = Forgetful(lease_seconds=60, clock=lambda: house.clock.now)
    house = House(tmp_path, queue)
    job = house.submit(["plain", "poison", "plain"], unit_rows=3)
    diary = Diary()
    worker = Worker(queue, FakeModels(), "ann", listener=diary, pace=QUICK)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.run)
        diary.wait_for(UnitCommitted)
        worker.drain()
        running.result()
    assert queue.counts(job.job_id).leased == 1
    before = house.rows(job)

    # When its lease has run out and another worker claims the unit.
    house.clock.now += 61
    models = FakeModels()
    queue.__class__ = MemoryQueue  # type: ignore[assignment]
    diary = house.work(job, models, name="bob")

    # Then nothing is drawn and nothing changes.
    assert models.admitted == []
    assert [event.counts for event in diary.of(UnitAdopted)] == [RowCounts(ok=2, failed=1)]
    assert house.rows(job) == before
    assert queue.counts(job.job_id).rows_ok == 2


class Listening(MemoryQueue):
    """A queue that remembers how far its worker had come at each heartbeat."""

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        moved = max(each.moved for each in progress.values())
        self.reached = [*getattr(self, "reached", []), moved]
        return super().heartbeat(worker, progress)


def test_heartbeats_tell_how_far_the_sampler_has_come(tmp_path: Path) -> None:
    # Given a row of five advances, with a heartbeat before each.
    queue = Listening()
    house = House(tmp_path, queue)
    job = house.submit(["plain"], seeds=[4])

    def await_a_beat(rows: list[Row]) -> None:
        beats = len(getattr(queue, "reached", []))
        eventually(lambda: len(getattr(queue, "reached", [])) > beats)

    house.work(job, FakeModels(before_advance=await_a_beat))

    assert [row["status"] for row in house.rows(job)] == ["ok"]
    assert set(queue.reached) >= {1, 2, 3, 4}
    assert queue.reached == sorted(queue.reached)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def shared_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house with each kind of queue in turn."""
    if request.param == "memory":
        yield House(tmp_path)
        return
    url, namespace = request.getfixturevalue("redis_url"), request.getfixturevalue("namespace")
    queue = RedisQueue(url, namespace=namespace)
    yield House(tmp_path, queue)
    queue.close()


def test_two_workers_share_a_job(shared_house: House) -> None:
    # Given two workers that both hold a unit before either goes on.
    house = shared_house
    job = house.submit(["plain"] * 40, unit_rows=4)
    both = threading.Barrier(2)
    met = threading.local()

    def meet(rows: list[Row]) -> None:
        if not hasattr(met, "once"):
            met.once = True
            both.wait(60)

    models = [FakeModels(slots=3, before_advance=meet) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        running = [
            pool.submit(house.work, job, model, name)
            for model, name in zip(models, ("ann", "bob"), strict=True)
        ]
        for one in running:
            one.result()

    rows = house.rows(job)
    assert [row["ordinal"] for row in rows] == list(range(40))
    assert {row["worker"] for row in rows} == {"ann", "bob"}
    # Some may be drawn by both: near the end, slow units are copied.
    assert {*models[0].admitted, *models[1].admitted} == set(range(40))


def test_draining_finishes_what_was_begun_and_hands_back_the_rest(house: House) -> None:
    # Given two slots, a unit of two rows in them, and another unit that waits.
    diary = Diary()
    job = house.submit(["plain"] * 8, unit_rows=2)

    def drain(rows: list[Row]) -> None:
        diary.wait_for(UnitStarted, 2)
        worker.drain()

    models = FakeModels(slots=2, before_advance=drain)
    worker = Worker(house.queue, models, "ann", listener=diary, pace=QUICK)

    # When it is told to drain.
    worker.run()

    # Then the begun unit is committed, and the other one is there for others, without a charge.
    assert [event.unit for event in diary.of(UnitCommitted)] == [Unit(0, 2)]
    assert models.admitted == [0, 1]
    assert Unit(2, 4) in [event.unit for event in diary.of(UnitReleased)]
    counts = house.queue.counts(job.job_id)
    assert (counts.ready, counts.leased, counts.done) == (3, 0, 1)
    assert [lease.attempts for lease in house.queue.claim("bob", 10)] == [0, 0, 0]


def test_a_worker_drained_before_it_runs_ends_at_once(house: House) -> None:
    job = house.submit(["plain"])
    worker = Worker(house.queue, FakeModels(), pace=QUICK)

    worker.drain()
    worker.run()

    assert house.queue.counts(job.job_id).ready == 1


def test_a_worker_claims_no_more_than_its_slots_need(house: House) -> None:
    # Given a sampler of two slots that goes on only when as many rows wait as are in its slots.
    diary = Diary()
    models = FakeModels(slots=2)
    waiting = []

    def listen(event: Event) -> None:
        if isinstance(event, UnitStarted):
            # Told before the sampler can know of the unit.
            waiting.append(len(diary.of(UnitStarted)) + 1 - len(models.admitted))
        diary(event)

    models.before_advance = lambda rows: HOLD if len(diary.of(UnitStarted)) < 4 else None
    job = house.submit(["plain"] * 30, unit_rows=1)

    house.work(job, models, listener=listen)

    assert len(house.rows(job)) == 30
    assert max(waiting) <= 2
