"""A worker whose steps are taken by a test, in the test's own thread."""

from __future__ import annotations

from typing import Any

from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import RangeRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.units import Unit
from ancestral.workers.worker import Worker
from tests.workers.fakes import QUICK, Diary, FakeModels, House

#: More turns than any job of a test takes.
MANY = 10_000


class ByHand:
    """A worker of one job in a house; it starts nothing by itself."""

    def __init__(
        self, house: House, job: Job, name: str = "ann", slots: int = 4, **given: Any
    ) -> None:
        self.diary = Diary()
        self.models = given.pop("models", None) or FakeModels(slots, device=name)
        queue = given.pop("queue", house.queue)
        self.worker = Worker(
            queue,
            self.models,
            name,
            job_id=job.job_id,
            listener=self.diary,
            pace=given.pop("pace", QUICK),
            clock=house.clock,
            **given,
        )
        self._intake_ended = False

    def take_in(self) -> None:
        """Claim and start all units for which there is room."""
        while not self._intake_ended:
            pause = self.worker.intake.step()
            self._intake_ended = pause is None
            if pause:
                return

    def turn(self) -> bool:
        """A turn of sampling, and what it gave is written."""
        going_on = self.worker.turn(wait=False)
        self.write()
        return going_on

    def write(self) -> None:
        while self.worker.writer.step(wait=False):
            pass

    def beat(self) -> None:
        """A heartbeat, and a turn that hears of its orders."""
        self.worker.heartbeat.beat()
        self.turn()

    def go_on(self) -> bool:
        """Something of everything; False when the worker has ended."""
        self.take_in()
        self.worker.heartbeat.beat()
        return self.turn()

    def finish(self) -> None:
        """Go on until the worker ends."""
        finish_all(self)

    @property
    def admitted(self) -> list[int]:
        return self.models.admitted

    @property
    def units(self) -> set[tuple[int, int]]:
        """The ranges in hand."""
        units = [lease.unit for lease in self.worker.held.snapshot()]
        return {(unit.start, unit.end) for unit in units}


def finish_all(*workers: ByHand) -> None:
    """Let workers go on by turns until all have ended."""
    going_on = list(workers)
    for _ in range(MANY):
        going_on = [each for each in going_on if each.go_on()]
        if not going_on:
            return
    raise AssertionError(f"{[each.worker.name for each in going_on]} do not come to an end")


def statuses(house: House, job: Job) -> list[tuple[int, str]]:
    """The index of a job, in short."""
    return [(row["ordinal"], row["status"]) for row in house.rows(job)]


def check_bytes(house: House, job: Job) -> None:
    """See that all rows are those of an undisturbed job of the same requests."""
    rows = house.rows(job)
    labels = [row["condition_label"] for row in rows]
    twin = house.submit(labels, seeds=[row["seed"] for row in rows], unit_rows=len(rows))
    house.work(twin, name="twin")
    assert [row["sha256"] for row in rows] == [row["sha256"] for row in house.rows(twin)]


def lookup(house: House, job: Job, start: int, end: int) -> RangeRecord | None:
    """What is decided of a range."""
    return Ledger(house.client.store(job.job_id), job.job_id).lookup(Unit(start, end))
