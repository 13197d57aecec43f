"""A house with a queue that can be lost, and what is needed to look after a job of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ancestral.jobs.manifest import Manifest
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import LEASE_SECONDS, Queue
from ancestral.jobs.spec import Job
from ancestral.orchestration.controller import Controller
from ancestral.orchestration.serve import LOOK_SECONDS
from ancestral.workers.events import UnitCommitted
from ancestral.workers.worker import Worker
from tests.workers.fakes import QUICK, Clock, Diary, FakeModels, House

#: Rows of a unit, and of a job: five units.
UNIT_ROWS = 4
ROWS = 20


class Desk:
    """Time passes only while somebody waits."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.queue = MemoryQueue(LEASE_SECONDS, clock=self.clock)
        self.house = House(folder, self.queue)
        self.client = self.house.client
        self.said: list[str] = []

    def submit(self, **spec: Any) -> Job:
        return self.house.submit(["plain"] * ROWS, UNIT_ROWS, **spec)

    def controller(self, job: Job) -> Controller:
        store = self.client.store(job.job_id)
        return Controller(self.queue, store, job, self.said.append, clock=self.clock)

    def draw(self, job: Job, units: int, queue: Queue | None = None) -> None:
        """Commit so many units, by a worker that then hands back what it holds and is gone."""
        diary = Diary()
        worker = Worker(
            queue or self.queue, FakeModels(), job_id=job.job_id, listener=diary, pace=QUICK
        )
        while len(diary.of(UnitCommitted)) < units:
            worker.intake.step()
            worker.turn(wait=False)
            while worker.writer.step(wait=False):
                pass
        for lease in worker.held.snapshot():
            self.queue.release(lease)

    def draw_the_rest(self, job: Job) -> None:
        self.house.work(job)

    def wait(self, controller: Controller, seconds: float) -> Manifest | None:
        """Look, again and again, for so long, or until the job is published."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            manifest = controller.look()
            if manifest is not None:
                return manifest
            self.clock.now += LOOK_SECONDS
        return None

    def publish(self, controller: Controller) -> Manifest:
        """The job is published, soon."""
        manifest = self.wait(controller, 5.0)
        assert manifest is not None, f"the job is not published: {controller.counts}"
        return manifest
