"""Units: the contiguous ranges of rows that are leased, retried and committed.

A job's rows are numbered by ordinals; its root units cut them into equal ranges:

    rows 0 ─────────────────────────────────── 999
    units [0, 256) [256, 512) [512, 768) [768, 1000)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: A unit should be big enough that its commit (two or three objects) is cheap beside its sampling.
LARGEST_UNIT_ROWS = 256

#: A job has at least this many units where it has the rows, so that a small fleet shares it.
FEWEST_UNITS = 16


@dataclass(frozen=True, order=True)
class Unit:
    """The rows with start <= ordinal < end."""

    start: int
    end: int

    @property
    def rows(self) -> int:
        return self.end - self.start

    @property
    def name(self) -> str:
        """As it stands in object names and queue keys; sorts like the range."""
        return f"{self.start:012d}-{self.end:012d}"

    @staticmethod
    def parse(name: str) -> Unit:
        """The unit of that `name`."""
        start, end = name.split("-")
        return Unit(int(start), int(end))


@dataclass(frozen=True)
class RowCounts:
    """How many rows of a unit or a job ended in which way."""

    ok: int = 0
    failed: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        return self.ok + self.failed + self.rejected

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.ok + other.ok, self.failed + other.failed, self.rejected + other.rejected
        )


def plan_units(rows: int, unit_rows: int) -> Iterator[Unit]:
    """The root units of a job of that many rows, in order."""
    for start in range(0, rows, unit_rows):
        yield Unit(start, min(start + unit_rows, rows))


def default_unit_rows(rows: int) -> int:
    """Rows per unit when the spec does not say."""
    return max(1, min(LARGEST_UNIT_ROWS, rows // FEWEST_UNITS))
