"""A job that a worker cannot draw is left to those who can, and costs no unit an attempt."""

from __future__ import annotations

from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import QueueUnavailable
from ancestral.jobs.queue import Lease, Order
from ancestral.jobs.spec import Job
from ancestral.workers.errors import JobRefused
from ancestral.workers.events import JobDeclined, UnitCommitted, UnitFailed, UnitGivenUp
from ancestral.workers.intake import REFUSED_SECONDS
from ancestral.workers.worker import Worker
from tests.jobs.rigs import beat
from tests.workers.by_hand import ByHand, statuses
from tests.workers.fakes import QUICK, Diary, FakeModels, FakeSampler, House


class Refusing(FakeModels):
    """Models of a device that does not draw some jobs; `asked` are those that it was asked for."""

    def __init__(self, *refused: Job) -> None:
        super().__init__()
        self.refused = [job.job_id for job in refused]
        self.asked: list[str] = []

    def get(self, job: Job) -> FakeSampler:
        self.asked.append(job.job_id)
        if job.job_id in self.refused:
            raise JobRefused(f"cpu does not draw job {job.job_id}: bfloat16 is not here")
        return super().get(job)


class Fleetless(ByHand):
    """A worker for all jobs, in the test's own thread."""

    def __init__(self, house: House, models: FakeModels, name: str = "ann") -> None:
        self.diary = Diary()
        self.models = models
        self.worker = Worker(
            house.queue, models, name, listener=self.diary, pace=QUICK, clock=house.clock
        )
        self._intake_ended = False


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_worker_for_a_job_that_it_cannot_draw_ends_with_the_reason(
    house: House, attempts: int
) -> None:
    # Given
    job = house.submit(["plain"] * 6, max_attempts=attempts)
    diary = Diary()

    # When
    with pytest.raises(JobRefused, match=f"cpu does not draw job {job.job_id}: bfloat16"):
        house.work(job, Refusing(job), listener=diary)

    # Then nothing was charged, nothing recorded, and another draws all of it
    assert not diary.of(UnitFailed) and not diary.of(UnitGivenUp)
    assert house.queue.counts(job.job_id).leased == 0
    assert house.rows(job) == []
    house.work(job, name="bob")
    assert [status for _, status in statuses(house, job)] == ["ok"] * 6


def test_a_worker_for_all_jobs_leaves_one_and_draws_the_others(house: House) -> None:
    # Given a job that comes first and cannot be drawn here, and two others
    first = house.submit(["plain"] * 8, priority=9, max_attempts=1)
    second, third = house.submit(["plain"] * 8), house.submit(["plain"] * 4)
    models = Refusing(first)
    ann = Fleetless(house, models)

    # When
    while len(ann.diary.of(UnitCommitted)) < 3:
        ann.go_on()
    ann.go_on()

    # Then it was asked for once, and told of once
    assert models.asked.count(first.job_id) == 1
    told = ann.diary.of(JobDeclined)
    assert [event.job_id for event in told] == [first.job_id]
    assert "bfloat16" in told[0].reason
    # And the others are drawn, while its units wait for another without a charge
    assert [status for _, status in statuses(house, second)] == ["ok"] * 8
    assert [status for _, status in statuses(house, third)] == ["ok"] * 4
    counts = house.queue.counts(first.job_id)
    assert (counts.ready, counts.leased) == (2, 0)
    assert counts.declined == told[0].reason
    (lease,) = house.queue.claim("bob", 1, first.job_id)
    assert (lease.attempts, lease.alone) == (0, False)


def test_a_job_whose_output_is_gone_is_left_to_others(house: House) -> None:
    # Given a job that comes first and whose spec.json cannot be had here, and another
    gone = house.submit(["plain"] * 4, priority=9, max_attempts=1)
    job = house.submit(["plain"] * 4)
    (house.folder / "lake" / layout.spec_path(gone.job_id)).unlink()
    ann = Fleetless(house, FakeModels())

    # When
    while not ann.diary.of(UnitCommitted):
        ann.go_on()

    # Then it is told of once, and costs no unit an attempt
    assert [event.job_id for event in ann.diary.of(JobDeclined)] == [gone.job_id]
    assert not ann.diary.of(UnitFailed)
    assert [status for _, status in statuses(house, job)] == ["ok"] * 4
    (lease,) = house.queue.claim("bob", 1, gone.job_id)
    assert (lease.attempts, lease.alone) == (0, False)


def test_a_mixed_fleet_draws_what_one_of_it_cannot(house: House) -> None:
    # Given
    job = house.submit(["plain"] * 12, max_attempts=1)
    ann = Fleetless(house, Refusing(job), "ann")
    bob = Fleetless(house, FakeModels(), "bob")

    # When
    while len(bob.diary.of(UnitCommitted)) < 3:
        ann.go_on()
        bob.go_on()

    # Then
    assert [status for _, status in statuses(house, job)] == ["ok"] * 12
    assert not ann.diary.of(UnitCommitted)


def test_a_worker_that_left_a_job_to_others_takes_what_is_ready_before_it_asks_them_to_share(
    house: House,
) -> None:
    # Given a worker that left a job to others, a job that is all in hand, and one that is ready
    refused = house.submit(["plain"] * 4, priority=9)
    ann = Fleetless(house, Refusing(refused))
    ann.go_on()
    held = house.submit(["plain"] * 4, priority=5)
    (lease,) = house.queue.claim("bob", 1, held.job_id)
    house.submit(["plain"] * 4)

    # When it claims a unit
    ann.worker.intake.step()

    # Then it is one of those that are ready, and nobody shares
    assert len(ann.units) == 1
    assert beat(house.queue, lease, unbegun=4) is Order.CONTINUE


def test_a_job_that_was_refused_is_looked_at_again_after_a_minute(house: House) -> None:
    # Given a job that two looks, a minute apart, found not to be there
    job = house.submit(["plain"] * 4, max_attempts=1)
    spec = house.folder / "lake" / layout.spec_path(job.job_id)
    away = spec.rename(house.folder / "away")
    ann = Fleetless(house, FakeModels())
    ann.go_on()
    house.clock.now += REFUSED_SECONDS
    ann.go_on()
    assert house.queue.counts(job.job_id).ready == 1

    # When it is there, no other look is taken before the minute is over
    away.rename(spec)
    house.clock.now += REFUSED_SECONDS - 1
    ann.go_on()
    assert house.queue.counts(job.job_id).ready == 1
    house.clock.now += 1
    while not ann.diary.of(UnitCommitted):
        ann.go_on()

    # Then it is drawn without a charge, and was told of once
    assert [status for _, status in statuses(house, job)] == ["ok"] * 4
    assert not ann.diary.of(UnitFailed)
    assert [event.job_id for event in ann.diary.of(JobDeclined)] == [job.job_id]


def test_a_job_that_is_refused_after_it_was_drawn_is_told_of_again(house: House) -> None:
    # Given a job that was refused, and drawn a minute later
    job = house.submit(["plain"] * 8)
    models = Refusing(job)
    ann = Fleetless(house, models)
    ann.go_on()
    models.refused = []
    house.clock.now += REFUSED_SECONDS
    ann.worker.intake.step()
    assert len(ann.units) == 1

    # When it is refused once more
    models.refused = [job.job_id]
    while not ann.diary.of(UnitCommitted):
        ann.go_on()

    # Then its other unit waits for others, and that is told
    assert house.queue.counts(job.job_id).ready == 1
    assert len(ann.diary.of(JobDeclined)) == 2


def test_a_claim_whose_answer_was_lost_is_not_lost_beside_a_refused_job(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that refused a job, and a queue whose next answer with a lease gets lost
    refused = house.submit(["plain"] * 4, priority=9)
    job = house.submit(["plain"] * 4)
    ann = Fleetless(house, Refusing(refused))
    claim, lost = house.queue.claim, []

    def losing(*given: Any, **more: Any) -> list[Lease]:
        leases = claim(*given, **more)
        if leases and leases[0].job_id == job.job_id and not lost:
            lost.extend(leases)
            raise QueueUnavailable("the answer was lost")
        return leases

    monkeypatch.setattr(house.queue, "claim", losing)

    # When
    while not ann.diary.of(UnitCommitted):
        ann.go_on()

    # Then the same lease was given again
    assert len(lost) == 1
    assert house.queue.counts(job.job_id).done == 1
