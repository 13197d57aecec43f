"""Units: the contiguous ranges of rows that are leased, retried and committed.

A job's rows are numbered by ordinals; its root units cut them into equal ranges:

    rows 0 ─────────────────────────────────── 999
    units [0, 256) [256, 512) [512, 768) [768, 1000)

A unit can be split in two: to find a row that breaks it, to share it at the end of a job, or to
hand back the part that is not drawn yet. Its halves are units like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

#: A unit should be big enough that its commit (two or three objects) is cheap beside its sampling.
LARGEST_UNIT_ROWS = 256

#: A job has at least this many units where it has the rows, so that a small fleet shares it.
FEWEST_UNITS = 16

#: A worker holds the requests of its units in memory, media and all: units are smaller when so many
#: bytes of requests would be one.
LARGEST_UNIT_BYTES = 64 * 2**20

#: What a spec may ask for, at most.
MOST_UNIT_ROWS = 2**16

#: Units of a job, at most: its controller holds them all in memory.
MOST_UNITS = 2**22

#: Called with how many rows or files are done so far, and how many there are.
OnProgress: TypeAlias = Callable[[int, int], None]


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

    @property
    def middle(self) -> int:
        """Where a unit of two rows or more is cut in half."""
        return (self.start + self.end) // 2

    def split(self, at: int) -> tuple[Unit, Unit]:
        """The two units that meet at the row `at`, which lies within."""
        assert self.start < at < self.end, f"{self} cannot be split at {at}"
        return Unit(self.start, at), Unit(at, self.end)

    def cut(self, rows: int) -> Iterator[Unit]:
        """The unit in pieces of so many rows and a rest, in order."""
        for start in range(self.start, self.end, rows):
            yield Unit(start, min(start + rows, self.end))

    def contains(self, other: Unit) -> bool:
        """Whether all rows of `other` are rows of this unit."""
        return self.start <= other.start and other.end <= self.end

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
    #: Rows of a cancelled job that nobody drew before it was sealed.
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.ok + self.failed + self.rejected + self.cancelled

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.ok + other.ok,
            self.failed + other.failed,
            self.rejected + other.rejected,
            self.cancelled + other.cancelled,
        )


def plan_units(rows: int, unit_rows: int) -> Iterator[Unit]:
    """The root units of a job of that many rows, in order."""
    return Unit(0, rows).cut(unit_rows)


def is_root(unit: Unit, rows: int, unit_rows: int) -> bool:
    """Whether it is one of the root units of such a job."""
    return unit.start % unit_rows == 0 and unit.end == min(unit.start + unit_rows, rows)


def merge(units: Iterable[Unit]) -> list[Unit]:
    """Units that do not overlap, by rising rows, with neighbours made one."""
    merged: list[Unit] = []
    for unit in units:
        if merged and merged[-1].end == unit.start:
            merged[-1] = Unit(merged[-1].start, unit.end)
        else:
            merged.append(unit)
    return merged


def default_unit_rows(rows: int, row_bytes: int) -> int:
    """Rows per unit when the spec does not say; the request of a row takes so many bytes."""
    fitting = LARGEST_UNIT_BYTES // max(1, row_bytes)
    wanted = min(LARGEST_UNIT_ROWS, rows // FEWEST_UNITS, fitting)
    return max(1, wanted, math.ceil(rows / MOST_UNITS))
