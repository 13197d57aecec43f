"""How often a worker looks for units, and how soon it stops looking."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ancestral.jobs.errors import QueueUnavailable
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease
from ancestral.workers.events import Hiccup
from ancestral.workers.patience import LONGEST_PAUSE_SECONDS
from ancestral.workers.worker import Pace, Worker
from tests.workers.fakes import Diary, FakeModels, House

IDLE = 0.25


def idle_worker(house: House, diary: Diary | None = None) -> Worker:
    """A worker for all jobs that does nothing by itself."""
    pace = Pace(idle_seconds=IDLE)
    return Worker(house.queue, FakeModels(), "ann", listener=diary or Diary(), pace=pace)


def test_who_has_nothing_in_hand_looks_for_units_less_and_less_often(house: House) -> None:
    # Given a worker that found nothing for a while
    intake = idle_worker(house).intake
    pauses = [intake.step() for _ in range(6)]
    assert pauses == [IDLE, 2 * IDLE, 4 * IDLE, 8 * IDLE, 10 * IDLE, 10 * IDLE]

    # When there is a unit of fewer rows than it has slots
    job = house.submit(["plain"] * 2)
    assert intake.step() == 0.0

    # Then it looks for more as often as ever, and still when that one is gone
    assert [intake.step() for _ in range(3)] == [IDLE] * 3
    house.queue.forget(job.job_id)
    worker_held = intake._place.held
    for hold in worker_held.snapshot().values():
        worker_held.release(hold, "done")
    assert [intake.step() for _ in range(2)] == [2 * IDLE, 4 * IDLE]


def test_sampling_wakes_it_only_when_rows_wait_no_more(house: House) -> None:
    # Given a worker whose slots are full for a while
    intake = idle_worker(house).intake

    # When turn after turn takes no row, then it rests
    intake.take(0)
    assert not intake._wake.is_set()

    # Until one does, or rows wait again
    for rows in (1, -1):
        intake._wake.clear()
        intake.take(rows)
        assert intake._wake.is_set()


class Away(MemoryQueue):
    """A queue that does not answer claims."""

    def claim(self, *given: Any, **named: Any) -> list[Lease]:
        raise QueueUnavailable("refused")


def test_who_waits_for_the_queue_stops_soon(tmp_path: Path) -> None:
    # Given a worker that has lost its queue long ago, and waits for it
    diary = Diary()
    intake = idle_worker(House(tmp_path, Away()), diary).intake
    intake._outages = 20
    waiting = threading.Thread(target=intake.run)
    waiting.start()
    diary.wait_for(Hiccup)
    assert diary.of(Hiccup)[0].retry_seconds == LONGEST_PAUSE_SECONDS

    # When it is closed, then it ends long before the queue would be asked again
    intake.close()
    waiting.join(LONGEST_PAUSE_SECONDS / 2)
    assert not waiting.is_alive()
