"""The oracle sees through which calls took effect, and which were only said again."""

from __future__ import annotations

import pytest

from ancestral.jobs import layout
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import QueuedJob
from tests.faults.simulated_faults import Faults, Rates
from tests.faults.simulated_oracle import Oracle
from tests.faults.simulated_queue import QueueDoor
from tests.faults.simulated_world import Process, Violation, World
from tests.jobs.deciding import make_job


def begin_twice(*, flushed: bool) -> None:
    """Build a queue, hear in its midst that the building begins again, and open it."""
    world, queue, controller = World(0), MemoryQueue(), Process("controller")
    oracle = Oracle(world, queue)
    door = QueueDoor(queue, oracle, Faults(world, Rates(), 0), controller)
    job = make_job(8, 4)
    queued = QueuedJob(job.job_id, "sim://lake", 0, 8)

    def build() -> None:
        oracle.accepted(job)
        oracle.store.create(layout.epoch_path(job.job_id, 1), b"epoch")
        assert door.begin_rebuild(queued, 1)
        assert door.restore(job.job_id, 1, job.units())
        if flushed:
            queue.restart(None)
            oracle.forgot()
        assert door.begin_rebuild(queued, 1)
        assert door.end_rebuild(job.job_id, 1)

    world.start(controller, build)
    world.run(lambda: False, 60)


def test_to_begin_again_changes_nothing() -> None:
    begin_twice(flushed=False)


def test_a_queue_that_began_anew_and_was_opened_empty_is_seen() -> None:
    with pytest.raises(Violation, match="was opened with no more than"):
        begin_twice(flushed=True)
