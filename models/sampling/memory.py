"""What a tile remembers: registers, grids and projected conditioning, as preallocated tensors.

Every width is padded to a multiple of 16 floats, part by part; the padding stays zero. Grids lie as
(frames kept, rows kept, columns, slots, width), so that what one op reads at a position, and what a
sweep reads in a row, are views and never copies:

    an image, margin 1          columns −1 │ 0   1   2   3 │ 4        the margins stay zero:
                                         0 │ ·   ·   ·   · │ 0        they are the padding left
                                         0 │ ·   ·   ·   · │ 0        and right of the image

Rows are a ring, as slots stand at different rows of their images. Slots of a clip stand at the same
row of their frames: a grid that keeps all rows has margins above and below, and one that keeps a
few forgets them when a frame begins.

Shapes: S slots, H rows and C columns of a sweep, W padded width.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ancestral.models.sampling.ops import (
    Condition,
    Grid,
    Read,
    Register,
    Window,
    offset_at,
    sources,
    width_at,
)
from ancestral.models.sampling.program import StepProgram

#: Widths are padded to a multiple of this many floats.
LANE_FLOATS = 16


def padded_width(width: int, parts: int = 1) -> int:
    """Floats that `width` floats in equal parts take when each part is padded."""
    part = width // parts
    return parts * -(-part // LANE_FLOATS) * LANE_FLOATS


def padded_places(width: int, parts: int = 1) -> Tensor:
    """Where each of `width` floats lies in the padded layout: (width,) int64."""
    part, padded_part = width // parts, padded_width(width, parts) // parts
    return torch.cat([torch.arange(part) + p * padded_part for p in range(parts)])


@dataclass(frozen=True)
class Place:
    """Where a tile stands. Rows of images are counted on from image to image."""

    frame: int
    row: int
    column: int


@dataclass(frozen=True)
class Span:
    """What an op list works on: a position, the columns of a row, or all of a frame. In a row it
    may be every `column_step`-th column, from `column` on."""

    kind: Literal["position", "row", "frame"]
    column_step: int = 1
    column: int = 0


class GridMemory:
    """One grid of a tile."""

    def __init__(self, grid: Grid, program: StepProgram, slots: int, zeros: Tensor) -> None:
        reads = [s for op in program.ops for s in sources(op) if isinstance(s, Read)]
        own = [read for read in reads if read.grid is grid]
        rows, columns = (program.rows or 1) // grid.row_stride, program.columns
        width_in_cells = None if columns is None else columns // grid.column_stride
        self._stride = grid.column_stride
        self._row_stride = grid.row_stride
        self._floats = padded_places(grid.width, grid.parts)
        self._framed = bool(program.frame_sweep)
        self._whole = self._framed and grid.rows == rows
        self._ring = width_in_cells is None or grid.columns < width_in_cells
        self._rows, self._columns = grid.rows, grid.columns if self._ring else width_in_cells or 1
        self._top = max((abs(read.dy) for read in own), default=0) if self._whole else 0
        self._left = 0 if self._ring else max((abs(read.dx) for read in own), default=0)
        self._cells = zeros.new_zeros(
            grid.frames,
            self._rows + 2 * self._top,
            self._columns + 2 * self._left,
            slots,
            padded_width(grid.width, grid.parts),
        )
        #: Without the margins.
        self._kept = self._cells[
            :, self._top : self._top + self._rows, self._left : self._left + self._columns
        ]
        self._views: list[list[list[Tensor]]] = [
            [list(row.unbind(0)) for row in frame.unbind(0)] for frame in self._cells.unbind(0)
        ]

    def read(self, frame: int, row: int, column: int, read: Read) -> Tensor:
        """The floats that `read` finds from a position, (S, W)."""
        return self.at(
            frame + read.dz, row // self._row_stride + read.dy, column // self._stride + read.dx
        )

    def write(self, frame: int, row: int, column: int, source: Tensor) -> None:
        """Remember (S, W) at a position."""
        self.at(frame, row // self._row_stride, column // self._stride).copy_(source)

    def at(self, frame: int, row: int, column: int) -> Tensor:
        """The floats at one cell, (S, W)."""
        columns = self._views[frame % len(self._views)][self._row(row)]
        return columns[column % self._columns if self._ring else column + self._left]

    def across(self, frame: int, row: int, dx: int, span: Span) -> Tensor:
        """The floats of a row, moved by dx cells, in the columns of a span: (C·S, W)."""
        first = self._left + span.column // self._stride + dx
        step = span.column_step // self._stride
        stop = first + self._columns - span.column // self._stride
        cells = self._cells[frame % len(self._views), self._row(row), first:stop:step]
        return cells.flatten(0, 1)

    def write_across(self, frame: int, row: int, span: Span, source: Tensor) -> None:
        """Remember (C·S, W) in the columns of a span."""
        first = self._left + span.column // self._stride
        step = span.column_step // self._stride
        stop = self._left + self._columns
        cells = self._cells[frame % len(self._views), self._row(row), first:stop:step]
        cells.copy_(source.view_as(cells))

    def everywhere(self, frame: int, dy: int, dx: int) -> Tensor:
        """The floats of a whole frame, moved by dy rows and dx columns: (H, C, S, W)."""
        top, left = self._top + dy, self._left + dx
        rows, columns = slice(top, top + self._rows), slice(left, left + self._columns)
        return self._cells[frame % len(self._views), rows, columns]

    def begin_frame(self) -> None:
        """Forget the last rows of the frame before."""
        if not self._whole:
            self._cells.zero_()

    def clear(self, slots: int | Tensor) -> None:
        """Forget everything of one slot, or of several (N,)."""
        self._cells[..., slots, :] = 0

    def saved(self, slot: int, now: Place) -> Tensor:
        """Everything of one slot, (frames, rows, columns, width): what goes round has its oldest
        frame, row and column first."""
        cells = self._kept[..., slot, :][..., self._floats]
        return torch.roll(cells, [-shift for shift in self._turned(now)], (0, 1, 2))

    def restore(self, slot: int, saved: Tensor, now: Place) -> None:
        """Remember for a slot what was saved."""
        self.clear(slot)  # padding too: behind an event that was not finite it is not zero
        cells = torch.roll(saved, self._turned(now), (0, 1, 2))
        self._kept[..., slot, :][..., self._floats] = cells.to(self._cells)

    def _turned(self, now: Place) -> list[int]:
        """Where the oldest frame, row and column lie."""
        frames, rows, columns = self._kept.shape[:3]
        turned = [0, 0, 0]
        if self._framed:
            turned[0] = now.frame % frames
        if not self._whole:
            turned[1] = now.row // self._row_stride % rows
        if self._ring:
            turned[2] = now.column // self._stride % columns
        return turned

    def _row(self, row: int) -> int:
        return row + self._top if self._whole else row % self._rows


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
