"""Where a slot's memory lies, for a kernel.

The grids of a slot lie one behind the other, and the slots of a tile too, so that a slot is copied
in one piece. A cell begins on a whole unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ancestral.models.sampling.fused.tables import UNIT
from ancestral.models.sampling.ops import Grid
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class GridPlace:
    """One grid: `rows` of `columns` cells, `stride` floats apart, from `start` on.

    `ring`: the columns go round, else each has a place of its own; rows go round.
    """

    start: int
    rows: int
    columns: int
    stride: int
    ring: bool

    @property
    def floats(self) -> int:
        """All of it."""
        return self.rows * self.columns * self.stride


class Places:
    """All grids of a program, and those that only its kernel knows of."""

    def __init__(self, program: StepProgram, hidden: Iterable[Grid]) -> None:
        self.grids: dict[Grid, GridPlace] = {}
        start = 0
        for grid in (*program.grids, *hidden):
            columns, ring = grid.columns, True
            if program.columns is not None:
                cells = program.columns // grid.column_stride
                columns, ring = min(grid.columns, cells), grid.columns < cells
            stride = -(-grid.width // UNIT) * UNIT
            self.grids[grid] = GridPlace(start, grid.rows, columns, stride, ring)
            start += self.grids[grid].floats
        #: Floats of a slot.
        self.floats = max(start, UNIT)
