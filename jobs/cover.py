"""The cover of a job: what its range records decide, seen from its root units down.

    root [0, 256) ─ split at 128 ─┬─ [0, 128)   rows
                                  └─ [128, 256) ─ split at 130 ─┬─ [128, 130)  rows
                                                                └─ [130, 256)  undecided

A record counts when it is reached from a root: whatever lies below a range that was committed whole
is nobody's. The leaves cover every row of the job exactly once, whatever happened.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ancestral.jobs.units import Unit


@dataclass(frozen=True)
class Cover:
    """Every row of a job in exactly one of `rows`, `undecided` and `cancelled`; all rise."""

    #: Leaves that were committed.
    rows: tuple[Unit, ...]
    #: Ranges that were split, and where.
    split: Mapping[Unit, int]
    #: Leaves without a record.
    undecided: tuple[Unit, ...]
    #: What a cancelled job was sealed without; what is committed there later is never read.
    cancelled: tuple[Unit, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it is known what became of every row."""
        return not self.undecided


def descend(
    roots: Iterable[Unit],
    recorded: Collection[Unit],
    split: Mapping[Unit, int],
    cancelled: tuple[Unit, ...] = (),
) -> Cover:
    """The cover: `recorded` are the units with a record, `split` those of them that are split.

    `cancelled` are the ranges, merged and rising, that a cancelled job was sealed without.
    """
    rows: list[Unit] = []
    reached: dict[Unit, int] = {}
    undecided: list[Unit] = []
    for root in roots:
        pending = [root]
        while pending:
            unit = pending.pop()
            if within(cancelled, unit):
                continue
            if unit not in recorded:
                undecided.append(unit)
            elif unit not in split:
                rows.append(unit)
            else:
                reached[unit] = split[unit]
                pending.extend(reversed(unit.split(split[unit])))
    return Cover(tuple(rows), reached, tuple(undecided), cancelled)


def within(ranges: Sequence[Unit], unit: Unit) -> bool:
    """Whether one of the ranges, merged and rising, has all rows of the unit."""
    position = bisect.bisect_right(ranges, unit.start, key=lambda each: each.start) - 1
    return position >= 0 and ranges[position].contains(unit)
