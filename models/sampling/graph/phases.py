"""Steps that differ, by where the tile stands: each is a phase, and has a record of its own.

Where a position's cells lie is looked up on the device (`indexed`), for rings of 2, 3, 5, ... 513
columns come back to the same position together only after more steps than any sound has. What is
left is

    frame           modulo the frames that are kept
    row, column     modulo the steps at which ops are due; where each column has weights, windows
                    or offsets of its own, it is a phase of its own
    swept row       where a sweep begins, modulo the rows that are kept: it reads whole rows
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ancestral.models.sampling.grid_memory import Place
from ancestral.models.sampling.ops import differs_by_column
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class Phase:
    """Places with the same phase have the same step."""

    frame: int
    row: int
    column: int
    swept_row: int | None


class Phases:
    """The phases of a program."""

    def __init__(self, program: StepProgram) -> None:
        whens = [when for _, when in program.placed_ops()]
        kept = [grid.rows * grid.row_stride for grid in program.grids]
        #: Whether each column has weights, windows or offsets of its own.
        self.by_column = any(map(differs_by_column, program.ops))
        self._swept = bool(program.row_sweep or program.frame_sweep)
        self._frames = math.lcm(1, *(grid.frames for grid in program.grids))
        self._rows = math.lcm(1, *(when.row_step for when in whens))
        self._columns = math.lcm(1, *(when.column_step for when in whens))
        if self.by_column:
            self._columns = program.columns or 1
        # Rows of a clip are counted from the beginning of their frame.
        self._swept_rows = program.rows if program.frame_sweep else math.lcm(self._rows, *kept)
        rows = (self._swept_rows or 1) if self._swept else self._rows
        #: Positions after which every phase has been met.
        self.cycle = self._frames * rows * (program.columns or self._columns)

    def of(self, place: Place) -> Phase:
        """The phase of a place."""
        swept = self._swept and place.column == 0
        return Phase(
            place.frame % self._frames,
            place.row % self._rows,
            place.column % self._columns,
            place.row % (self._swept_rows or 1) if swept else None,
        )
