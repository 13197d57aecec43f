"""Device memory that runs out costs no row and no attempt."""

from __future__ import annotations

from ancestral.workers.events import SlotsHalved, UnitFailed, UnitReleased
from tests.workers.by_hand import ByHand, check_bytes, statuses
from tests.workers.fakes import SLOW, FakeModels, House


def test_rows_that_were_in_slots_are_drawn_again_fewer_at_once(house: House) -> None:
    # Given twelve rows in units of four, eight slots, and memory for three rows
    job = house.submit(["plain"] * 12, seeds=SLOW[:12])
    ann = ByHand(house, job, models=FakeModels(slots=8, room=3))
    ann.take_in()

    # When
    for _ in range(3):
        ann.turn()
    ann.finish()

    # Then slots were halved until it went on, and rows were begun again in their order
    assert [event.slots for event in ann.diary.of(SlotsHalved)] == [4, 2]
    assert ann.admitted[: 8 + 4 + 2] == [*range(8), *range(4), *range(2)]
    # And all of them are what they would have been, by the same sampler
    assert len(ann.models.samplers) == 1
    assert not ann.diary.of(UnitFailed) and not ann.diary.of(UnitReleased)
    assert [status for _, status in statuses(house, job)] == ["ok"] * 12
    check_bytes(house, job)


def test_units_that_are_given_away_meanwhile_are_not_drawn_again(house: House) -> None:
    # Given two units in slots, of which one is lost before memory runs out
    job = house.submit(["plain"] * 8, seeds=SLOW[:8])
    ann = ByHand(house, job, slots=8, models=FakeModels(slots=8, room=8))
    ann.take_in()
    ann.turn()
    lost = next(hold for lease, hold in ann.worker.held.snapshot().items() if lease.unit.start == 0)
    ann.models.samplers[0].room = 3
    ann.worker.held.lose(lost, lost.lease)

    # When
    for _ in range(3):
        ann.turn()

    # Then the slots that are left are for the other unit
    assert ann.diary.of(SlotsHalved)
    assert set(ann.admitted[8:]) <= {4, 5, 6, 7}


def test_a_drain_hands_back_what_was_not_begun_again(house: House) -> None:
    job = house.submit(["plain"] * 8, seeds=SLOW[:8])
    ann = ByHand(house, job, slots=8, models=FakeModels(slots=8, room=3))
    ann.take_in()
    ann.turn()
    assert ann.diary.of(SlotsHalved)

    ann.worker.drain()
    ann.finish()
    house.work(job, name="bob")

    assert [status for _, status in statuses(house, job)] == ["ok"] * 8
    check_bytes(house, job)
