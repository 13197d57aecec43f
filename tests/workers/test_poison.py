"""A row that breaks its unit is found by halving, and nobody else pays for it."""

from __future__ import annotations

import pytest

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.intents import Wanted
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.queue import Lease
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job
from ancestral.jobs.units import Unit
from ancestral.workers.events import UnitAdopted, UnitFailed, UnitGivenUp, UnitSplit
from tests.workers.by_hand import ByHand, finish_all, statuses
from tests.workers.fakes import SLOW, Diary, FakeModels, House


def with_one(label: str, at: int, rows: int) -> list[str]:
    """Labels of plain rows, but for one."""
    return ["plain"] * at + [label] + ["plain"] * (rows - at - 1)


@pytest.mark.parametrize(("label", "at"), [("garbled", 77), ("overloaded", 255)])
def test_one_of_256_rows_is_found_by_eight_splits(house: House, label: str, at: int) -> None:
    # Given a row on which the writing side breaks, or the sampler
    job = house.submit(with_one(label, at, 256), unit_rows=256)

    diary = house.work(job, FakeModels(slots=128))

    # Then it alone fails, with the traceback of the row alone
    rows = house.rows(job)
    assert [row["ordinal"] for row in rows if row["status"] != "ok"] == [at]
    assert len(rows) == 256
    error = rows[at]["error"]
    assert error.startswith(
        "given up after 2 attempts; the last: Traceback (most recent call last)"
    )
    assert "fakes.py" in error
    cause = {
        "garbled": "ZeroDivisionError: symbols of another world",
        "overloaded": "MemoryError: out of memory\nsomewhere deep down",
    }
    assert error.endswith(cause[label])
    assert (rows[at]["device"], rows[at]["numerics"]) == ("none", "none")
    # And it was halved until it stood alone
    splits = diary.of(UnitSplit)
    assert len(splits) == 8
    assert {(event.at, event.reason) for event in splits} == {
        (event.unit.middle, "bisect") for event in splits
    }
    assert [event.unit for event in diary.of(UnitGivenUp)] == [Unit(at, at + 1)]
    # And each unit that holds it broke as often as it takes to halve it, or to give it up. (Its
    # neighbour may have shared the slots with it once.)
    broken = [e.unit.rows for e in diary.of(UnitFailed) if e.unit.contains(Unit(at, at + 1))]
    assert broken == [256, 256, 128, 64, 32, 16, 8, 4, 2, 1, 1]


def test_events_tell_of_an_error_in_one_line(house: House) -> None:
    job = house.submit(["overloaded"], unit_rows=1)

    diary = house.work(job)

    told = [event.error for kind in (UnitFailed, UnitGivenUp) for event in diary.of(kind)]
    assert told == ["MemoryError: out of memory"] * 3


def test_with_a_single_attempt_halves_are_tried_without_a_charge(house: House) -> None:
    job = house.submit(with_one("garbled", 1, 4), unit_rows=4, max_attempts=1)

    diary = house.work(job)

    assert statuses(house, job) == [(0, "ok"), (1, "failed"), (2, "ok"), (3, "ok")]
    assert [event.unit.rows for event in diary.of(UnitFailed)] == [4, 2, 1]


def charged(house: House, job: Job, unit: Unit, error: str = "it crashed") -> None:
    """Let a unit break once, in the hands of nobody here."""
    leases: list[Lease] = house.queue.claim("nobody", 100, job.job_id)
    for lease in leases:
        if lease.unit == unit:
            house.queue.fail(lease, error)
        else:
            house.queue.release(lease)


def test_a_suspect_is_drawn_alone(house: House) -> None:
    # Given three units of which the second one broke before, and room for all of them.
    job = house.submit(["plain"] * 6, seeds=SLOW[:6], unit_rows=2)
    charged(house, job, Unit(2, 4))
    together: list[set[int]] = []
    models = FakeModels(
        slots=6, before_advance=lambda rows: together.append({row.ordinal for row in rows})
    )
    ann = ByHand(house, job, models=models)

    ann.finish()

    # Then nobody is in a slot beside it, and it is nobody's neighbour.
    assert {2, 3} in together
    assert all(rows == {2, 3} or rows.isdisjoint({2, 3}) for rows in together)
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(6)]


def test_a_suspect_is_left_to_others_while_anything_is_in_hand(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=2)
    charged(house, job, Unit(2, 4))
    ann = ByHand(house, job, slots=6)
    ann.take_in()

    assert ann.units == {(0, 2)}
    # Written, too: a row that is being written can break as well.
    while ann.worker.held.snapshot():
        ann.take_in()
        assert ann.units == {(0, 2)}
        ann.turn()
    ann.take_in()
    assert ann.units == {(2, 4)}


def test_while_a_suspect_is_in_hand_nothing_is_claimed(house: House) -> None:
    job = house.submit(["plain"] * 4, seeds=SLOW[:4], unit_rows=2)
    charged(house, job, Unit(0, 2))
    (lease,) = house.queue.claim("bob", 1)
    ann = ByHand(house, job, slots=6)
    ann.take_in()
    assert ann.units == {(0, 2)}
    house.queue.release(lease)

    ann.take_in()
    ann.turn()
    ann.take_in()

    assert ann.units == {(0, 2)}
    ann.finish()
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(4)]


def test_on_a_device_on_probation_a_unit_is_drawn_alone_and_then_others_together(
    house: House,
) -> None:
    # Given a worker with room for four units, on whose device a unit broke.
    job = house.submit(["plain"] * 10, seeds=SLOW[:10], unit_rows=2)
    ann = ByHand(house, job, slots=8)
    (broken,) = house.queue.claim("bob", 1, device=ann.worker.device)
    house.queue.fail(broken, "it crashed")

    # Then it draws a unit alone, though that never broke.
    ann.take_in()
    assert ann.units == {(2, 4)}
    while (2, 4) in ann.units:
        assert ann.units == {(2, 4)}
        ann.turn()
        ann.take_in()
    # And when that is completed, others together again.
    assert ann.units == {(4, 6), (6, 8), (8, 10)}
    ann.finish()
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(10)]


def test_when_the_device_comes_on_probation_nothing_is_claimed_beside_what_is_in_hand(
    house: House,
) -> None:
    job = house.submit(["plain"] * 6, seeds=SLOW[:6], unit_rows=2)
    ann = ByHand(house, job, slots=6)
    (broken,) = house.queue.claim("bob", 1, device=ann.worker.device)
    ann.worker.intake.step()
    house.queue.fail(broken, "it crashed")

    ann.take_in()

    assert ann.units == {(2, 4)}
    ann.finish()
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(6)]


def test_a_suspect_that_was_decided_meanwhile_is_adopted(house: House) -> None:
    job = house.submit(["plain"] * 2, unit_rows=2)
    elsewhere = ByHand(house, job, "bob", queue=house.another_queue(job))
    elsewhere.finish()
    charged(house, job, Unit(0, 2))
    ann = ByHand(house, job)

    ann.finish()

    assert ann.admitted == []
    assert len(ann.diary.of(UnitAdopted)) == 1


def test_a_unit_that_is_too_large_is_begun_in_part(house: House) -> None:
    # Given a unit that is more than twice what a worker should have now.
    job = house.submit(["plain"] * 30, unit_rows=30)
    ann, bob = ByHand(house, job, "ann", slots=4), ByHand(house, job, "bob", slots=4)

    ann.take_in()
    bob.take_in()

    # Then it keeps that much: a quarter of what is left, or what fills its slots.
    assert [(e.unit, e.at, e.reason) for e in ann.diary.of(UnitSplit)] == [
        (Unit(0, 30), 7, "guide")
    ]
    assert ann.units == {(0, 7)}
    assert bob.units != set()
    finish_all(ann, bob)
    assert statuses(house, job) == [(ordinal, "ok") for ordinal in range(30)]


def test_a_unit_that_fills_the_slots_twice_is_not_split(house: House) -> None:
    job = house.submit(["plain"] * 8, unit_rows=8)
    ann = ByHand(house, job, slots=4)

    ann.take_in()

    assert ann.units == {(0, 8)}


def test_a_row_that_never_ends_fails_when_its_steps_are_over(house: House) -> None:
    # Given a row that ends in no number of steps, beside others in the same slots.
    labels = with_one("endless", 2, 8)
    job = house.submit(labels, seeds=SLOW[:8], unit_rows=4)
    ann = ByHand(house, job, slots=4)

    ann.finish()

    # Then it fails at once and alone, and its slot is free for others.
    rows = house.rows(job)
    assert [row["ordinal"] for row in rows if row["status"] != "ok"] == [2]
    assert rows[2]["error"] == "it did not end within 5 steps of the sampler"
    assert ann.models.dropped == [2]
    assert ann.diary.of(UnitFailed) == []
    assert sorted(ann.admitted) == list(range(8))


def test_a_job_of_which_not_even_failures_can_be_recorded_has_failed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given requests that cannot be read any more.
    job = house.submit(["plain"] * 2, unit_rows=1)

    def corrupt(*given: object) -> list[Row]:
        raise CorruptObject("not what was written")

    monkeypatch.setattr("ancestral.workers.starting.read_rows", corrupt)
    ann = ByHand(house, job)

    # When a row has no attempts left.
    for _ in range(10):
        ann.take_in()

    # Then somebody has to mend something, and says so.
    assert house.queue.counts(job.job_id).wanted is Wanted.FAIL
    status = house.client.status(job.job_id)
    assert status.state == "failed"
    assert "CorruptObject: not what was written" in str(status.reason)
    # And it goes on when that is done.
    monkeypatch.undo()
    house.client.resume(job.job_id)
    ann.finish()
    record = Ledger(house.client.store(job.job_id), job.job_id).lookup(Unit(1, 2))
    assert isinstance(record, RowsRecord)


def test_a_model_that_cannot_be_loaded_fails_the_whole_unit_with_the_reason(house: House) -> None:
    class NoModels(FakeModels):
        def get(self, job: object) -> object:  # type: ignore[override]
            raise FileNotFoundError("no weights")

    job = house.submit(["plain"] * 4, unit_rows=4)
    diary = Diary()

    house.work(job, NoModels(), listener=diary)

    # No row is at fault: nothing is split.
    rows = house.rows(job)
    assert [row["status"] for row in rows] == ["failed"] * 4
    assert {row["error"].splitlines()[-1] for row in rows} == {"FileNotFoundError: no weights"}
    assert diary.of(UnitSplit) == []
    assert len(diary.of(UnitFailed)) == 1
