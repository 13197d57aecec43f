"""What a tile remembers in one grid, as a preallocated tensor.

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

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ancestral.models.sampling.ops import Grid, Read
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
        own = [read for read in program.reads if read.grid is grid]
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
