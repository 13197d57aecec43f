"""What a tile remembers: registers, grids and projected conditioning, as preallocated tensors.

Every width is padded to a multiple of 16 floats, part by part; the padding stays zero. Grids lie as
(rows kept, columns, slots, width), so that what one op reads at a position, and what a sweep reads
in a row, are views and never copies:

    an image, margin 1          columns −1 │ 0   1   2   3 │ 4        the margins stay zero:
                                         0 │ ·   ·   ·   · │ 0        they are the padding left
                                         0 │ ·   ·   ·   · │ 0        and right of the image

Shapes: S slots, C columns of a row, W padded width.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ancestral.models.sampling.program import (
    Condition,
    Grid,
    Read,
    Register,
    StepProgram,
    sources,
)

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


class GridMemory:
    """One grid of a tile."""

    def __init__(self, grid: Grid, program: StepProgram, slots: int, zeros: Tensor) -> None:
        self._rows = grid.rows
        self._margin = 0
        columns = grid.columns
        if program.columns:
            reads = [s for op in program.ops for s in sources(op) if isinstance(s, Read)]
            self._margin = max(abs(read.dx) for read in reads)
            columns = program.columns + 2 * self._margin
        # A ring wraps round; in an image a column is never beyond its margins.
        self._columns = columns
        width = padded_width(grid.width, grid.parts)
        self._cells = zeros.new_zeros(grid.rows, columns, slots, width)
        self._views = [list(row.unbind(0)) for row in self._cells.unbind(0)]
        self._across = program.columns or 0

    def at(self, row: int, column: int) -> Tensor:
        """The floats at one position of the event, (S, W)."""
        return self._views[row % self._rows][(column + self._margin) % self._columns]

    def across(self, row: int, dx: int) -> Tensor:
        """The floats of a whole row, moved by dx columns, (C·S, W)."""
        first = self._margin + dx
        return self._cells[row % self._rows, first : first + self._across].flatten(0, 1)

    def clear(self, slot: int) -> None:
        """Forget everything of one slot."""
        self._cells[:, :, slot] = 0


class ConditionMemory:
    """The projected conditioning of one scope: one row a slot, each op's share side by side."""

    def __init__(self, ops: Iterable[Condition], slots: int, zeros: Tensor) -> None:
        chosen, places = [torch.arange(0)], [torch.arange(0)]
        self._spans: dict[Condition, slice] = {}
        self._width = 0
        for op in ops:
            width, parts = op.target.width, op.target.parts
            chosen.append(torch.arange(op.offset, op.offset + width))
            places.append(self._width + padded_places(width, parts))
            self._spans[op] = slice(self._width, self._width + padded_width(width, parts))
            self._width = self._spans[op].stop
        self._from, self._to = torch.cat(chosen), torch.cat(places)
        self.rows = zeros.new_zeros(slots, self._width)

    def share(self, op: Condition) -> Tensor:
        """What `op` adds, (S, W)."""
        return self.rows[:, self._spans[op]]

    def pack(self, projected: Tensor) -> Tensor:
        """Rows of projected conditioning (N, width) in this memory's layout."""
        packed = self.rows.new_zeros(projected.shape[0], self._width)
        packed[:, self._to] = projected[:, self._from].to(packed)
        return packed


class TileMemory:
    """Everything that the ops of one tile touch."""

    def __init__(
        self, program: StepProgram, slots: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._zeros = torch.zeros(0, device=device, dtype=dtype)
        self._slots = slots
        self._columns = program.columns or 1
        self._registers: dict[tuple[Register, bool], Tensor] = {}
        self.grids = {g: GridMemory(g, program, slots, self._zeros) for g in program.grids}
        conditions = [op for op in program.ops if isinstance(op, Condition)]
        self.fixed = ConditionMemory(
            dict.fromkeys(op for op in conditions if op.scope == "global"), slots, self._zeros
        )
        self.aligned = ConditionMemory(
            dict.fromkeys(op for op in conditions if op.scope == "local"), slots, self._zeros
        )

    def zeros(self, *shape: int) -> Tensor:
        """Zeros of the tile's device and dtype."""
        return self._zeros.new_zeros(*shape)

    def register(self, register: Register, swept: bool) -> Tensor:
        """A register's floats: (S, W), or (C·S, W) for all columns of a sweep."""
        key = (register, swept)
        if key not in self._registers:
            rows = self._slots * (self._columns if swept else 1)
            width = padded_width(register.width, register.parts)
            self._registers[key] = self.zeros(rows, width)
        return self._registers[key]

    def clear(self, slot: int) -> None:
        """Forget everything of one slot: what was before its first position reads as zero."""
        for grid in self.grids.values():
            grid.clear(slot)
