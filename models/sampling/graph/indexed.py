"""Memory whose cells are found on the device, so that one record of a step serves all positions.

An op reads the cell that a table names for its position:

    ways        0: the ring of 5, here     1: the same, 4 back     2: the ring of 9, here     ...

    table       position 0      0   1   0                          (K, ways), laid out before a
                position 1      1   2   1                          run; a step takes its row of it

Shapes: S slots, W padded width, K positions of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.sampling.grid_memory import GridMemory
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.ops import Condition, Grid, Read
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class Axis:
    """From a row to a row of cells, or from a column: x // stride + offset, modulo a ring."""

    stride: int = 1
    offset: int = 0
    ring: int | None = None

    def cells(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cells of rows or columns."""
        cells = x // self.stride + self.offset
        return cells if self.ring is None else cells % self.ring


@dataclass(frozen=True)
class Way:
    """From a position to a cell: those of a row lie side by side, `pitch` of them."""

    row: Axis
    column: Axis
    pitch: int


class Cells:
    """The cells of the position at hand, by the ways that ops go."""

    def __init__(self, most: int, device: torch.device) -> None:
        """There are `most` ways at most."""
        self._numbers: dict[Way, int] = {}
        #: (1, most).
        self.here = torch.zeros(1, most, dtype=torch.int64, device=device)

    def add(self, way: Way) -> None:
        """Tables have that way from now on."""
        self._numbers.setdefault(way, len(self._numbers))

    def of(self, way: Way) -> Tensor:
        """The cell of the position at hand, (1,)."""
        number = self._numbers[way]
        return self.here[0, number : number + 1]

    def table(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cells of positions in these rows and columns (K,): (K, most)."""
        table = np.zeros((len(columns), self.here.shape[1]), dtype=np.int64)
        for way, number in self._numbers.items():
            table[:, number] = way.row.cells(rows) * way.pitch + way.column.cells(columns)
        return table


class IndexedGrid(GridMemory):
    """A grid whose cells at a position are found on the device."""

    def __init__(
        self, grid: Grid, program: StepProgram, slots: int, zeros: Tensor, cells: Cells
    ) -> None:
        super().__init__(grid, program, slots, zeros)
        self._found = cells
        cells.add(self._way(0, 0))
        for read in program.reads:
            if read.grid is grid:
                cells.add(self._way(read.dy, read.dx))

    def read(self, frame: int, row: int, column: int, read: Read) -> Tensor:
        there = self._found.of(self._way(read.dy, read.dx))
        return self._flat(frame + read.dz).index_select(0, there)[0]

    def write(self, frame: int, row: int, column: int, source: Tensor) -> None:
        self._flat(frame).index_copy_(0, self._found.of(self._way(0, 0)), source.unsqueeze(0))

    def _flat(self, frame: int) -> Tensor:
        """All cells of a frame, (cells, S, W)."""
        return self._cells[frame % len(self._cells)].flatten(0, 1)

    def _way(self, dy: int, dx: int) -> Way:
        row = Axis(self._row_stride, dy, self._rows)
        if self._whole:
            row = Axis(self._row_stride, dy + self._top)
        column = Axis(self._stride, dx + self._left)
        if self._ring:
            column = Axis(self._stride, dx, self._columns)
        return Way(row, column, pitch=self._cells.shape[2])


class IndexedMemory(TileMemory):
    """A tile's memory of such grids, and of a spatial map whose cell is found likewise."""

    def __init__(
        self, program: StepProgram, slots: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.cells = Cells(len(program.grids) + len(program.reads) + 1, device)
        super().__init__(program, slots, device, dtype)
        self._served = Way(Axis(), Axis(self.columns // program.cells), pitch=0)
        self.cells.add(self._served)

    def cell(self, op: Condition, column: int) -> Tensor:
        return self.aligned.share(op).index_select(0, self.cells.of(self._served))[0]

    def _grid(self, grid: Grid, program: StepProgram, slots: int) -> GridMemory:
        return IndexedGrid(grid, program, slots, self._zeros, self.cells)
