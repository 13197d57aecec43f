"""What a tile remembers: registers, grids and projected conditioning, as preallocated tensors.

Every width is padded as that of a grid is (`grid_memory`).

Shapes: S slots, H rows and C columns of a sweep, W padded width.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ancestral.models.sampling.grid_memory import (
    GridMemory,
    Place,
    Span,
    padded_places,
    padded_width,
)
from ancestral.models.sampling.ops import (
    Condition,
    Grid,
    Register,
    Window,
    offset_at,
    width_at,
)
from ancestral.models.sampling.program import StepProgram


class ConditionMemory:
    """The projected conditioning of one scope: one row a slot, each op's share side by side; of a
    spatial map, the cells of the slot's current row of it."""

    def __init__(self, ops: Iterable[Condition], slots: int, zeros: Tensor, cells: int = 1) -> None:
        chosen, places = [torch.arange(0)], [torch.arange(0)]
        self._spans: dict[Condition, slice] = {}
        self._width = 0
        for op in ops:
            first, behind = _extent(op)
            width, parts = behind - first, 1 if isinstance(op.target, Window) else op.target.parts
            chosen.append(torch.arange(first, behind))
            places.append(self._width + padded_places(width, parts))
            self._spans[op] = slice(self._width, self._width + padded_width(width, parts))
            self._width = self._spans[op].stop
        self._from, self._to = torch.cat(chosen), torch.cat(places)
        #: (cells, S, W).
        self.rows = zeros.new_zeros(cells, slots, self._width)

    def share(self, op: Condition) -> Tensor:
        """What `op` takes, (cells, S, W)."""
        return self.rows[:, :, self._spans[op]]

    def pieces(self, op: Condition, columns: int) -> list[Tensor]:
        """What `op` takes at each column, where they differ: (cells, S, width)."""
        first, _ = _extent(op)
        starts = [offset_at(op, column) - first for column in range(columns)]
        widths = [width_at(op.target, column) for column in range(columns)]
        return [
            self.share(op)[:, :, start : start + width]
            for start, width in zip(starts, widths, strict=True)
        ]

    def pack(self, projected: Tensor) -> Tensor:
        """Rows of projected conditioning (N, width) in this memory's layout."""
        packed = self.rows.new_zeros(projected.shape[0], self._width)
        packed[:, self._to] = projected[:, self._from].to(packed)
        return packed


def _extent(op: Condition) -> tuple[int, int]:
    """The first of the projected floats that an op takes at any column, and the one behind them."""
    columns = range(1)
    if isinstance(op.offset, tuple):
        columns = range(len(op.offset))
    elif isinstance(op.target, Window):
        columns = range(len(op.target.widths))
    starts = [offset_at(op, column) for column in columns]
    ends = [offset_at(op, column) + width_at(op.target, column) for column in columns]
    return min(starts), max(ends)


class TileMemory:
    """Everything that the ops of one tile touch."""

    def __init__(
        self, program: StepProgram, slots: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._zeros = torch.zeros(0, device=device, dtype=dtype)
        self._slots = slots
        self._shape = (program.rows or 1, program.columns or 1)
        self._registers: dict[tuple[Register, Span], Tensor] = {}
        self.grids = {grid: self._grid(grid, program, slots) for grid in program.grids}
        conditions = [op for op in program.ops if isinstance(op, Condition)]
        self.fixed = ConditionMemory(
            dict.fromkeys(op for op in conditions if op.scope == "global"), slots, self._zeros
        )
        self.aligned = ConditionMemory(
            dict.fromkeys(op for op in conditions if op.scope == "local"),
            slots,
            self._zeros,
            program.cells,
        )

    def _grid(self, grid: Grid, program: StepProgram, slots: int) -> GridMemory:
        return GridMemory(grid, program, slots, self._zeros)

    @property
    def rows(self) -> int:
        """Rows of an image or a frame; 1 for a sound."""
        return self._shape[0]

    @property
    def columns(self) -> int:
        """Columns of a row; 1 for a sound."""
        return self._shape[1]

    def zeros(self, *shape: int) -> Tensor:
        """Zeros of the tile's device and dtype."""
        return self._zeros.new_zeros(*shape)

    def register(self, register: Register, span: Span) -> Tensor:
        """A register's floats: (S, W); (C·S, W) for a row's columns; (H·C·S, W) for a frame."""
        key = (register, span)
        if key not in self._registers:
            rows, columns = self._shape
            vectors = {
                "position": 1,
                "row": -(-(columns - span.column) // span.column_step),
                "frame": rows * columns,
            }[span.kind]
            width = padded_width(register.width, register.parts)
            self._registers[key] = self.zeros(vectors * self._slots, width)
        return self._registers[key]

    def cell(self, op: Condition, column: int) -> Tensor:
        """What `op` takes of the spatial map at a column of the image, (S, W)."""
        share = self.aligned.share(op)
        return share[column // (self.columns // len(share))]

    def pieces(self, window: Window) -> list[Tensor]:
        """The floats of a window at each column, (S, width)."""
        if isinstance(window.of, Grid):
            floats = self.grids[window.of].at(0, 0, 0)
        else:
            floats = self.register(window.of, Span("position"))
        places = zip(window.starts, window.widths, strict=True)
        return [floats[:, start : start + width] for start, width in places]

    def clear(self, slots: int | Tensor) -> None:
        """Forget everything of one slot, or of several (N,): what was before its first position
        reads as zero."""
        for grid in self.grids.values():
            grid.clear(slots)

    def begin_frame(self) -> None:
        """Forget what is not kept over frames."""
        for grid in self.grids.values():
            grid.begin_frame()

    def saved(self, slot: int, now: Place) -> list[Tensor]:
        """Everything of one slot, grid by grid."""
        return [memory.saved(slot, now) for memory in self.grids.values()]

    def restore(self, slot: int, saved: Iterable[Tensor], now: Place) -> None:
        """Remember for a slot what was saved, of this tile or another."""
        for memory, cells in zip(self.grids.values(), saved, strict=True):
            memory.restore(slot, cells, now)
