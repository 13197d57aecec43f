"""A unit of slots as the native executor sees it: 16 side by side, or one.

Shapes: S slots, K positions, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.sampling.aligned import AlignedColumns
from ancestral.models.sampling.native.compiled import CompiledProgram
from ancestral.models.sampling.native.structures import BLOCK, SLOT, UnitStructure
from ancestral.models.sampling.ops import Grid
from ancestral.models.sampling.tile import Drawn, Slot, Tile

#: Vectors lie on the edges of cache lines.
_ALIGNMENT_BYTES = 64


class NativeTile(Tile):
    """One unit: its memory, and what its slots are asked for."""

    def __init__(self, compiled: CompiledProgram, slots: int) -> None:
        super().__init__(compiled.program, slots)
        self._compiled = compiled
        self._grids = self._memory_of(compiled)
        self._grid_addresses = np.array([grid.ctypes.data for grid in self._grids], dtype=np.uint64)
        program = self.program
        self._fixed = aligned_zeros(program.global_width * slots).reshape(-1, slots)
        self._aligned = aligned_zeros(program.cells * program.local_width * slots)
        self._asked = np.zeros(slots, dtype=SLOT)
        self._sequences: dict[int, _Sequence] = {}

    def _memory_of(self, compiled: CompiledProgram) -> list[NDArray[np.float32]]:
        """The grids, in one piece of memory: large enough for large pages."""
        # A tile of a product may reach behind the last cell of a grid.
        floats = [
            (int(np.prod(shape.cells)) + BLOCK) * self.slots for shape in compiled.shapes.values()
        ]
        pieces = np.split(aligned_zeros(sum(floats)), np.cumsum(floats))[: len(floats)]
        return [
            piece[: -BLOCK * self.slots].reshape(*shape.cells, self.slots)
            for piece, shape in zip(pieces, compiled.shapes.values(), strict=True)
        ]

    def begin(self, positions: int, given: NDArray[np.float64] | None = None) -> UnitRun:
        """Everything a run of so many positions needs. `given` (K, C, 1) are all its symbols, for
        a forced run."""
        occupied = list(self._slots)
        self._asked["occupied"] = 0
        self._asked["occupied"][occupied] = 1
        self._asked["age"][occupied] = [slot.age for slot in self._slots.values()]
        sequences = [self._lay_out(number, positions) for number in occupied]
        is_given = None
        found = None if given is not None else self._given_symbols(positions)
        if found is not None:
            is_given, given = found
        symbols = np.zeros((positions, self.program.channels, self.slots))
        structure = UnitStructure(
            clock=self._clock,
            grid=self._grid_addresses.ctypes.data,
            fixed=self._fixed.ctypes.data,
            aligned=self._aligned.ctypes.data,
            slot=self._asked.ctypes.data,
            is_given=None if is_given is None else is_given.ctypes.data,
            given=None if given is None else given.ctypes.data,
            symbols=symbols.ctypes.data,
        )
        # And this tile: a thread may outlive an interrupted caller, and writes to its memory.
        return UnitRun(structure, symbols, (is_given, given, *sequences, self))

    def _lay_out(self, slot: int, positions: int) -> NDArray[np.float32] | None:
        """The columns of aligned conditioning that a slot goes through in so many positions, and
        what is known of those after them."""
        sequence = self._sequences.get(slot)
        if sequence is None:
            return None
        program, age = self.program, self._slots[slot].age
        behind = ((age + positions - 1) // program.hop + 1) * program.cells
        if behind > sequence.behind:
            first = age // program.hop * program.cells
            rows = sequence.aligned.rows_kept(first, behind)
            sequence.columns = columns = np.ascontiguousarray(rows.float().numpy())
            sequence.behind = first + len(columns)
            # The executor counts from the event's first column.
            before = first * columns.shape[1] * columns.itemsize
            self._asked[slot]["sequence"] = (columns.ctypes.data - before) % 2**64
        return sequence.columns

    def end(self, run: UnitRun) -> dict[int, Drawn]:
        """Take what was drawn; the events that ended, by slot."""
        self._asked["begins"] = 0
        return self._record(run.symbols, self._asked["bad"])

    def _set_up(
        self, slot: int, admitted: Slot, grids: Sequence[Tensor] | None, nats: float
    ) -> None:
        start, asked = admitted.start, self._asked[slot]
        if start.projection.fixed is not None:
            self._fixed[:, slot] = start.projection.fixed[0].float().numpy()
        self._sequences.pop(slot, None)
        if start.projection.aligned is not None:
            self._sequences[slot] = _Sequence(AlignedColumns(start))
        asked["seed"], asked["sample"] = start.seed, start.sample
        settings = start.settings
        asked["temperature"] = settings.temperature
        asked["top_k"] = min(settings.top_k or 0, self.program.levels or 0)
        asked["top_p"] = 1.0 if settings.top_p is None else settings.top_p
        asked["log_likelihood"] = nats
        asked["begins"] = grids is None
        if grids is not None:
            self._restore(slot, grids)

    def _remembered(self, slot: int) -> list[Tensor]:
        grids = []
        for (grid, shape), cells in zip(self._compiled.shapes.items(), self._grids, strict=True):
            turned = np.roll(cells[..., slot], [-by for by in self._turned(grid)], (0, 1, 2))
            if shape.ring:
                turned = turned[:, :, -grid.columns :]
                # What lies further back than the event is whoever's had the slot before.
                known = self._slots[slot].age // grid.column_stride
                turned[:, :, : max(0, grid.columns - known)] = 0
            grids.append(torch.from_numpy(np.ascontiguousarray(turned)))
        return grids

    def _restore(self, slot: int, grids: Sequence[Tensor]) -> None:
        named = zip(self._compiled.shapes, self._grids, grids, strict=True)
        for grid, cells, saved in named:
            cells[..., slot] = np.roll(saved.float().numpy(), self._turned(grid), (0, 1, 2))

    def _log_likelihood_nats(self, slot: int) -> float:
        return float(self._asked[slot]["log_likelihood"])

    def _turned(self, grid: Grid) -> tuple[int, int, int]:
        """Where the oldest frame, row and column lie."""
        program, shape = self.program, self._compiled.shapes[grid]
        frame = row = 0
        column = self._clock
        if program.columns is not None and program.rows is not None:
            row, column = divmod(self._clock, program.columns)
            if program.frame_sweep:
                frame, row = divmod(row, program.rows)
        return (
            frame % shape.frames,
            0 if shape.whole else row // grid.row_stride % shape.rows,
            column // grid.column_stride % shape.columns if shape.ring else 0,
        )


@dataclass
class _Sequence:
    """Aligned conditioning of a slot: all of it, and the `columns` before `behind` that were laid
    out for the executor last."""

    aligned: AlignedColumns
    columns: NDArray[np.float32] | None = None
    behind: int = 0


@dataclass(frozen=True)
class UnitRun:
    """The structure of a unit's run, and what it points to."""

    structure: UnitStructure
    symbols: NDArray[np.float64]
    kept: tuple[object, ...]


def aligned_zeros(count: int) -> NDArray[np.float32]:
    """So many zeros, from the edge of a cache line on."""
    spare = _ALIGNMENT_BYTES // 4
    floats = np.zeros(count + spare, dtype=np.float32)
    first = -floats.ctypes.data % _ALIGNMENT_BYTES // 4
    return floats[first : first + count]
