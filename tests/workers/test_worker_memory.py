"""Device memory that runs out costs no row and no attempt; what cannot be drawn here is said."""

from __future__ import annotations

import pytest

from ancestral.jobs.spec import Job
from ancestral.workers.errors import JobRefused
from ancestral.workers.events import SlotsHalved, UnitFailed, UnitGivenUp, UnitReleased
from tests.workers.by_hand import ByHand, check_bytes, statuses
from tests.workers.fakes import SLOW, FakeModels, FakeSampler, House


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


class Refusing(FakeModels):
    """Models of a device that does not draw as the job asks."""

    def get(self, job: Job) -> FakeSampler:
        raise JobRefused("cpu does not draw in bfloat16")


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_job_that_no_worker_can_draw_fails_with_one_sentence(house: House, attempts: int) -> None:
    job = house.submit(["plain"] * 3, max_attempts=attempts)

    diary = house.work(job, Refusing())

    assert [event.error for event in diary.of(UnitGivenUp)] == ["cpu does not draw in bfloat16"]
    rows = house.rows(job)
    assert [row["status"] for row in rows] == ["failed"] * 3
    assert {row["error"] for row in rows} == {
        f"given up after {attempts} attempts; the last: cpu does not draw in bfloat16"
    }
