"""A worker's hands with two units in them, and records that decide these."""

from __future__ import annotations

from datetime import UTC, datetime

from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import QueuedJob
from ancestral.jobs.records import FileFact, RowsRecord, SplitRecord
from ancestral.jobs.units import Unit
from ancestral.workers.held import HeldLeases
from ancestral.workers.patience import Patience
from tests.workers.fakes import Clock, Diary


class Hands:
    """A queue with two units of a job, both of them held."""

    def __init__(self, queue: MemoryQueue | None = None, rest_seconds: float = 0.0) -> None:
        self.clock = Clock()
        self.queue = queue or MemoryQueue(clock=self.clock)
        self.diary = Diary()
        patience = Patience("ann", self.diary, seconds=0.0)
        self.held = HeldLeases(self.queue, "ann", self.diary, patience, rest_seconds)
        self.queue.begin_rebuild(QueuedJob("job", "lake", 0, 4), 1)
        self.queue.restore("job", 1, [Unit(0, 2), Unit(2, 4)])
        self.queue.end_rebuild("job", 1)
        self.holds = [self.held.add(lease) for lease in self.queue.claim("ann", 2)]

    def states(self) -> tuple[int, int, int]:
        counts = self.queue.counts("job")
        return counts.ready, counts.leased, counts.done


def rows_record(unit: Unit, device: str = "host/cpu") -> RowsRecord:
    """That all rows of a unit are ok."""
    return RowsRecord(
        start=unit.start,
        end=unit.end,
        attempt="attempt",
        worker="ann",
        device=device,
        numerics="fake",
        model_digest="digest",
        code_version="1",
        statuses="o" * unit.rows,
        index_part=FileFact("part", 0, ""),
        packs=(),
        created_at=datetime.now(UTC),
        sampling_seconds=0.0,
    )


def split_record(unit: Unit, at: int, attempts: int = 0) -> SplitRecord:
    return SplitRecord(
        start=unit.start,
        end=unit.end,
        at=at,
        attempt="attempt",
        worker="ann",
        reason="share",
        attempts=attempts,
        last_error="it broke" if attempts else None,
        created_at=datetime.now(UTC),
    )
