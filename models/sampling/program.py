"""A step is a small program.

Sampling one symbol needs the same few things in every family: read what was remembered some steps
ago, multiply, gate, add, remember, draw. So a network *emits* its step once, as plain data, and an
executor runs it for many slots at a time.

    registers   float vectors, one per slot, alive within a step
    grids       memories (frames, rows and columns kept, width), one per slot, read relative to the
                position

An image is drawn in raster order; a clip frame by frame; a sound is an image of one row, without an
end; a vector (MADE, DARN) is an image of one row:

            columns →                           a grid that keeps two rows of an image
      row   ┌───┬───┬───┬───┬───┐
       r−1  │ · │ a │ b │ c │ · │               a = Read(grid, -1, -1)   b = Read(grid, -1, 0)
        r   │ · │ d │ ● │   │   │               d = Read(grid, 0, -1)    ● = the position
            └───┴───┴───┴───┴───┘
                                                a grid of one row that keeps four columns is a ring
            ┌───┬───┬───┬───┐
            │ t │t-3│t-2│t-1│                   Read(grid, 0, -3) and Read(grid, 0, -1), where
            └───┴───┴───┴───┘                   column t lies at t mod 4

A read outside the event (of a frame: outside the frame), or before a slot's first position, gives
zeros: that *is* the causal padding.

A program has three op lists, and each runs over more at once than the next:

    frame_sweep   when a frame begins, over all its rows and columns: a video's encoder, which knows
                  the frames before
    row_sweep     when a row begins, over all its columns: the vertical stack of a gated PixelCNN
                  looks to the right of a pixel in the rows above, which are known by then
    step          at every position: it draws its symbol, or one symbol for each colour; ops behind
                  a draw see what was drawn

In a sweep a register holds one vector per slot and column (and row). Ops that are not always due
stand in a `When`: layers of a coarser grid are due at every second row and column. Grids have
strides: with strides 2, one cell serves 2 x 2 positions, and offsets count cells.

    position (row, column) reads cell (row // row_stride + dy, column // column_stride + dx)

In a program of one row whose length is known, a step need not be the same at every column.
`ByColumn` has weights of its own for each column, and a `Window` is a piece of a register, or of a
*vector*, which is a grid of a single cell that lasts for the event. So MADE and DARN touch no
weight that is masked. A unit pulls what is known when it is due, and a sum is pushed to by what
becomes known, each in a triangle:

    pull        x0 x1 x2 x3      u  the units due at this column: Window(units, first of them, ...)
    column 2     w  w            x  the pixels before it: Window(pixels, 0, ...)
                                 u = relu(condition + weight[column] x)

    push        y0 y1 y2 y3      y  the sums that are due later: Window(sums, column, ...)
    column 2           w  w      y += weight[column] u

Slots that share a tile stand at the same column, so a slot is admitted on a *period* boundary: any
step for a sound, the start of a row for a swept image, of a frame for a clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ancestral.models.sampling.checks import check_program
from ancestral.models.sampling.ops import (
    ByColumn,
    Dense,
    Draw,
    Grid,
    Op,
    Read,
    When,
    changed,
    placed,
    sources,
)


@dataclass(frozen=True)
class StepProgram:
    """One step of a network, ready for an executor.

    `rows` and `columns` are an image's or a frame's, or None for a sound, whose length each request
    decides; a vector has one row. `global_width` and `local_width` are the floats of projected
    conditioning per slot and per column of its aligned sequence. One such column serves `hop`
    positions of a sound. Of an image's spatial map, `cells` columns lie side by side, and `hop` is
    the positions that a row of them serves.
    """

    rows: int | None
    columns: int | None
    step: tuple[Op | When, ...]
    row_sweep: tuple[Op | When, ...] = ()
    frame_sweep: tuple[Op, ...] = ()
    global_width: int = 0
    local_width: int = 0
    hop: int = 1
    cells: int = 1

    def __post_init__(self) -> None:
        check_program(self)

    @cached_property
    def period(self) -> int:
        """Positions between two moments at which a slot can be admitted."""
        blocks = [item for item in (*self.row_sweep, *self.step) if isinstance(item, When)]
        row_step = math.lcm(1, *(block.row_step for block in blocks))
        if self.columns is None:
            return math.lcm(1, *(block.column_step for block in blocks))
        if self.frame_sweep:
            return (self.rows or 1) * self.columns
        # The second row of an image lies under the first: all its slots stand at one column.
        return row_step * self.columns

    @cached_property
    def draws(self) -> tuple[Draw, ...]:
        """The draws of a step, channel by channel."""
        return tuple(op for op in self.step if isinstance(op, Draw))

    @property
    def channels(self) -> int:
        """Symbols that a step draws."""
        return len(self.draws)

    @property
    def levels(self) -> int | None:
        """How many symbols there are; None when they are real numbers."""
        return self.draws[0].distribution.levels

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """Every op of the three lists, in the order in which they first run."""
        return tuple(op for op, _ in self.placed_ops())

    def placed_ops(self) -> Iterator[tuple[Op, When]]:
        """Every op of the three lists, and when it is due."""
        return placed((*self.frame_sweep, *self.row_sweep, *self.step))

    @cached_property
    def reads(self) -> tuple[Read, ...]:
        """What ops read of grids."""
        return tuple(s for op in self.ops for s in sources(op) if isinstance(s, Read))

    def whole_periods(self, positions: int) -> int:
        """So many positions, cut to whole periods; one period at least."""
        return max(positions // self.period, 1) * self.period

    @cached_property
    def grids(self) -> tuple[Grid, ...]:
        """Every grid, in the order of first writing."""
        written = (changed(op) for op in self.ops)
        return tuple(dict.fromkeys(place for place in written if isinstance(place, Grid)))

    @property
    def multiply_adds_per_step(self) -> float:
        """Products that one position costs, in the mean where it depends on the position; each
        column of a sweep serves one position."""
        total = 0.0
        for op, when in self.placed_ops():
            if isinstance(op, Dense):
                total += op.weight.numel() / (when.row_step * when.column_step)
            elif isinstance(op, ByColumn):
                due = op.weight[when.column :: when.column_step]
                total += sum(weight.numel() for weight in due) / len(op.weight)
        return total
