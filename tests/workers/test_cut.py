"""Units are cut under way: shared, handed back, drained; each row is drawn once in the end."""

from __future__ import annotations

import pytest

from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import Order
from ancestral.jobs.units import Unit
from ancestral.workers.events import (
    UnitLost,
    UnitReleased,
    UnitSplit,
)
from tests.workers.by_hand import ByHand, check_bytes, finish_all, lookup, statuses
from tests.workers.fakes import SLOW, House


def test_an_idle_worker_gets_rows_of_a_busy_one(house: House) -> None:
    # Given a worker with four of eight rows in slots, and another that finds nothing to claim.
    job = house.submit(["plain"] * 8, seeds=SLOW[:8], unit_rows=8)
    busy, idle = ByHand(house, job, "ann", slots=4), ByHand(house, job, "bob", slots=4)
    busy.take_in()
    busy.turn()
    idle.take_in()
    assert idle.units == set()

    # When the busy one hears of it.
    busy.beat()

    # Then half of the rows that it has not begun are the other's.
    assert busy.units == {(0, 6)}
    assert [(e.unit, e.at, e.reason) for e in busy.diary.of(UnitSplit)] == [
        (Unit(0, 8), 6, "share")
    ]
    idle.take_in()
    assert idle.units == {(6, 8)}
    finish_all(busy, idle)
    assert busy.admitted[:4] == [0, 1, 2, 3]
    assert idle.admitted[-2:] == [6, 7]
    assert sorted(busy.admitted + idle.admitted) == list(range(8))
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(8)]
    check_bytes(house, job)


def test_a_worker_that_has_begun_all_of_its_rows_shares_nothing(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    busy, idle = ByHand(house, job, "ann"), ByHand(house, job, "bob")
    busy.take_in()
    busy.turn()
    idle.take_in()

    busy.beat()

    assert busy.units == {(0, 4)}
    assert busy.diary.of(UnitSplit) == []


@pytest.mark.parametrize("wanted", [Wanted.PAUSE, Wanted.CANCEL, Wanted.FAIL])
def test_one_heartbeat_hands_back_and_keeps_the_rows_that_are_finished(
    house: House, wanted: Wanted
) -> None:
    # Given two finished rows, two in slots, two that wait, and a unit that waits behind them.
    job = house.submit(["plain"] * 8, seeds=[0, 5, 14, 19, 24, 29, 34, 39], unit_rows=6)
    ann = ByHand(house, job, slots=4)
    ann.take_in()
    ann.turn()
    ann.turn()
    ann.take_in()
    assert ann.units == {(0, 6), (6, 8)}
    steps = ann.models.samplers[0].steps

    # When the job is not to go on.
    house.queue.want(job.job_id, wanted, 1)
    ann.beat()

    # Then no row was drawn any further, and what was finished is committed.
    assert ann.models.samplers[0].steps == steps
    assert sorted(ann.models.dropped) == [2, 3, 4, 5]
    assert ann.units == set()
    assert statuses(house, job) == [(0, "ok"), (1, "ok")]
    assert [(e.unit, e.at, e.reason) for e in ann.diary.of(UnitSplit)] == [
        (Unit(0, 6), 2, "hand back")
    ]
    assert [e.unit for e in ann.diary.of(UnitReleased)] == [Unit(6, 8)]
    counts = house.queue.counts(job.job_id)
    assert (counts.ready, counts.leased, counts.rows_ok) == (2, 0, 2)


def test_a_paused_job_goes_on_where_it_was_with_the_same_bytes(house: House) -> None:
    job = house.submit(["plain"] * 8, unit_rows=8)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    for _ in range(3):
        ann.turn()
    house.queue.want(job.job_id, Wanted.PAUSE, 1)
    ann.beat()
    finished = len(house.rows(job))
    assert 0 < finished < 8

    house.queue.want(job.job_id, Wanted.RUN, 2)
    ann.finish()

    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(8)]
    # What was finished before is not drawn again, and nobody was charged.
    assert ann.admitted.count(0) == 1
    assert {row["attempt"] for row in house.rows(job)[:finished]}.isdisjoint(
        {row["attempt"] for row in house.rows(job)[finished:]}
    )
    check_bytes(house, job)


def test_a_unit_of_which_nothing_is_finished_is_handed_back_whole(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    ann = ByHand(house, job)
    ann.take_in()
    ann.turn()

    house.queue.want(job.job_id, Wanted.PAUSE, 1)
    ann.beat()

    assert [e.unit for e in ann.diary.of(UnitReleased)] == [Unit(0, 4)]
    assert lookup(house, job, 0, 4) is None
    house.queue.want(job.job_id, Wanted.RUN, 2)
    (lease,) = house.queue.claim("bob", 1)
    assert (lease.unit, lease.attempts) == (Unit(0, 4), 0)


def test_a_unit_that_waits_for_its_turn_of_sampling_is_handed_back(house: House) -> None:
    # Given a unit whose rows were read, but of which the sampling thread has not heard.
    job = house.submit(["plain"] * 4, unit_rows=4)
    ann = ByHand(house, job)
    ann.take_in()

    house.queue.want(job.job_id, Wanted.PAUSE, 1)
    ann.beat()

    assert (ann.units, ann.admitted) == (set(), [])
    assert house.queue.counts(job.job_id).ready == 1


def test_a_cancelled_job_ends_with_what_was_finished(house: House) -> None:
    job = house.submit(["plain"] * 6, seeds=[0, 5, 14, 19, 24, 29], unit_rows=6)
    ann = ByHand(house, job)
    ann.take_in()
    ann.turn()
    ann.turn()

    house.client.cancel(job.job_id, "not needed")
    ann.beat()
    ann.finish()

    manifest = finalise(house.client.store(job.job_id), job.job_id)
    assert (manifest.rows_ok, manifest.rows_cancelled, manifest.state) == (2, 4, "cancelled")


def test_draining_finishes_what_is_begun_and_leaves_the_rest_of_the_unit(house: House) -> None:
    # Given a unit of which two rows are in slots, and one that waits behind it.
    job = house.submit(["plain"] * 8, seeds=SLOW[:8], unit_rows=4)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    ann.turn()

    ann.worker.drain()
    ann.finish()

    assert ann.admitted == [0, 1]
    assert statuses(house, job) == [(0, "ok"), (1, "ok")]
    assert [(e.unit, e.at, e.reason) for e in ann.diary.of(UnitSplit)] == [(Unit(0, 4), 2, "drain")]
    bob = ByHand(house, job, "bob")
    bob.finish()
    assert bob.admitted == [2, 3, 4, 5, 6, 7]
    check_bytes(house, job)


def test_a_worker_on_a_sick_device_drains_itself(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    ann.turn()
    (hold,) = ann.worker.held.snapshot().values()

    ann.worker._give_order(hold, Order.DRAIN)
    ann.finish()

    assert statuses(house, job) == [(0, "ok"), (1, "ok")]
    assert house.queue.counts(job.job_id).ready == 1


def test_rows_of_a_lost_unit_free_their_slots(house: House) -> None:
    job = house.submit(["plain"] * 3, seeds=SLOW[:3], unit_rows=3)
    ann = ByHand(house, job)
    ann.take_in()
    ann.turn()
    house.clock.now += 61
    (stolen,) = house.queue.claim("thief", 1)

    ann.beat()

    assert [e.unit for e in ann.diary.of(UnitLost)] == [Unit(0, 3)]
    assert sorted(ann.models.dropped) == [0, 1, 2]
    assert ann.models.samplers[0].free == 4
    house.queue.release(stolen)
