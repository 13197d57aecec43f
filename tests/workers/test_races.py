"""A unit in two hands: copies, and units that are decided by another while they are under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ancestral.jobs.ledger import Ledger
from ancestral.jobs.queue import Order, Progress
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.events import (
    UnitAdopted,
    UnitCommitted,
    UnitLost,
    UnitReleased,
    UnitSplit,
)
from tests.workers.by_hand import ByHand, check_bytes, lookup, statuses
from tests.workers.fakes import SLOW, House
from tests.workers.hands import split_record


def test_two_copies_of_a_unit_both_commit_and_one_of_them_counts(house: House) -> None:
    # Given a unit that runs for longer than three others did.
    job = house.submit(["plain"] * 4, seeds=[0, 5, 10, 4], unit_rows=1)
    slow, quick = ByHand(house, job, "ann", slots=4), ByHand(house, job, "bob", slots=1)
    slow.take_in()
    house.clock.now += 1
    slow.turn()
    assert slow.units == {(3, 4)}
    house.clock.now += 9
    slow.beat()

    # When another worker has nothing else to do, and both commit.
    quick.take_in()
    assert quick.units == {(3, 4)}
    quick.finish()
    slow.finish()

    # Then one of them stands, and nothing was cut.
    assert [e.unit for e in quick.diary.of(UnitCommitted)] == [Unit(3, 4)]
    assert slow.diary.of(UnitSplit) + quick.diary.of(UnitSplit) == []
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(4)]
    assert house.queue.counts(job.job_id).rows_ok == 4


def test_a_copy_is_released_where_it_would_be_cut(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    (hold,) = ann.worker.held.snapshot().values()
    hold.lease = replace(hold.lease, copy=True)
    ann.turn()

    ann.worker.drain()
    ann.turn()

    assert [e.unit for e in ann.diary.of(UnitReleased)] == [Unit(0, 4)]
    assert lookup(house, job, 0, 4) is None


def test_a_copy_offers_none_of_its_rows(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    ann.turn()
    (hold,) = ann.worker.held.snapshot().values()
    told: list[Progress] = []

    def heartbeat(worker: str, progress: dict[object, Progress]) -> dict[object, Order]:
        told.extend(progress.values())
        return {}

    house.queue.heartbeat = heartbeat  # type: ignore[method-assign,assignment]
    ann.worker.heartbeat.beat()
    hold.lease = replace(hold.lease, copy=True)
    ann.worker.heartbeat.beat()

    assert [each.unbegun for each in told] == [2, 0]


def test_who_commits_a_unit_that_is_split_meanwhile_discards_its_work(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    ann = ByHand(house, job)
    ann.take_in()
    ann.turn()
    Ledger(house.client.store(job.job_id), job.job_id).decide(split_record(Unit(0, 4), 3))

    ann.finish()

    # Its halves were drawn anew, and stand.
    assert [e.unit for e in ann.diary.of(UnitLost)] == [Unit(0, 4)]
    assert sorted(e.unit for e in ann.diary.of(UnitCommitted)) == [Unit(0, 3), Unit(3, 4)]
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(4)]
    check_bytes(house, job)


@pytest.mark.parametrize("standing", ["rows", "another split", "the same split"])
def test_who_cuts_a_unit_that_is_decided_meanwhile_adopts_that(house: House, standing: str) -> None:
    # Given a unit with two rows that are begun, and a decision of somebody else about it.
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=4)
    ann = ByHand(house, job, slots=2)
    ann.take_in()
    ann.turn()
    ledger = Ledger(house.client.store(job.job_id), job.job_id)
    if standing == "rows":
        elsewhere = ByHand(house, job, "bob", queue=house.another_queue(job))
        elsewhere.finish()
    else:
        ledger.decide(split_record(Unit(0, 4), 2 if standing == "the same split" else 3))

    # When it would cut it at the third row.
    ann.worker.drain()
    ann.finish()

    # Then what stands is what counts; of the same cut, its own rows are still good.
    match standing:
        case "rows":
            assert [e.counts for e in ann.diary.of(UnitAdopted)] == [RowCounts(ok=4)]
            assert house.queue.counts(job.job_id).rows_ok == 4
        case "another split":
            assert [e.unit for e in ann.diary.of(UnitLost)] == [Unit(0, 4)]
            assert house.rows(job) == []
            units = [lease.unit for lease in house.queue.claim("bob", 5)]
            assert units == [Unit(0, 3), Unit(3, 4)]
        case _:
            assert statuses(house, job) == [(0, "ok"), (1, "ok")]
            assert [lease.unit for lease in house.queue.claim("bob", 5)] == [Unit(2, 4)]
