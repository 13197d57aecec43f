"""The torch executor of step programs: one tile of slots, on any device.

A tile always computes all its slots, whoever is there. Matrix libraries choose their inner loops by
the shape of a product, and a sum taken in another order can end in another bit; with the slots of a
tile fixed and every width padded to 16, no product's shape depends on a neighbour. Together with
one thread (a product split over threads is another sum) this makes each slot's bits its own.

Shapes: S slots of the tile, K steps of a run.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ancestral.models.sampling.aligned import AlignedColumns
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.step import TileStep
from ancestral.models.sampling.tile import Drawn, Slot
from ancestral.models.sampling.torch_state import numerics_class
from ancestral.models.sampling.torch_tile import TorchExecutor, TorchTile

#: Slots of a tile. Fixed, because the shape of a product is part of what decides its bits.
TILE_SLOTS = 64


class ReferenceTile(TorchTile):
    """`TILE_SLOTS` slots that run one program in step."""

    def __init__(self, program: StepProgram, device: torch.device, dtype: torch.dtype) -> None:
        memory = TileMemory(program, TILE_SLOTS, device, dtype)
        super().__init__(program, memory, self._new_step(program, memory))
        self._aligned: dict[int, AlignedColumns] = {}

    def _new_step(self, program: StepProgram, memory: TileMemory) -> TileStep:
        return TileStep(program, memory, TILE_SLOTS)

    def run(self, positions: int) -> dict[int, Drawn]:
        """Go on by so many positions in every slot; the events that ended, by slot.

        `positions` is a whole number of periods and at most `positions_to_end`.
        """
        assert positions % self.program.period == 0
        step, channels = self._step, self.program.channels
        numbers = self._uniforms(positions)
        is_given, given = self._given_on_device(positions)
        step.settings = self._settings_batch()
        symbols = step.symbols.new_zeros(positions, channels, TILE_SLOTS)
        sums = self._memory.zeros(positions, channels, TILE_SLOTS)
        for k in range(positions):
            self._turn_columns(k)
            step.uniform.copy_(numbers[k])
            step.is_given = None if is_given is None else is_given[k]
            if given is not None:
                step.given = given[k]
            step.run(self._place_at(self._clock + k))
            symbols[k] = step.symbols
            sums[k] = step.parameters_sum
        return self._take(symbols, sums)

    def _set_up(
        self, slot: int, admitted: Slot, grids: Sequence[Tensor] | None, nats: float
    ) -> None:
        program, memory, projection = self.program, self._memory, admitted.start.projection
        if projection.fixed is not None:
            memory.fixed.rows[0, slot] = memory.fixed.pack(projection.fixed)[0]
        self._aligned.pop(slot, None)
        if projection.aligned is not None:
            self._aligned[slot] = AlignedColumns(admitted.start)
            self._turn_column(slot, admitted.age // program.hop)
        self._step.log_likelihood[slot] = nats
        if grids is None:
            memory.clear(slot)
        else:
            memory.restore(slot, grids, self._place_at(self._clock))

    def _log_likelihood_nats(self, slot: int) -> float:
        return float(self._step.log_likelihood[slot])

    def _given_on_device(self, positions: int) -> tuple[Tensor | None, Tensor | None]:
        """Which symbols of the next positions are given, and what they are: (K, channels, S)."""
        found = self._given_symbols(positions)
        if found is None:
            return None, None
        is_given, given = (torch.from_numpy(array).to(self._device) for array in found)
        return is_given, given.to(self._symbol_dtype)

    def _turn_columns(self, k: int) -> None:
        """Let slots that come to their next column of aligned conditioning go on to it."""
        for number in self._aligned:
            slot = self._slots.get(number)
            if slot is not None and (slot.age + k) % self.program.hop == 0:
                self._turn_column(number, (slot.age + k) // self.program.hop)

    def _turn_column(self, slot: int, column: int) -> None:
        cells = self.program.cells
        rows = self._aligned[slot].rows(column * cells, (column + 1) * cells)
        self._memory.aligned.rows[:, slot] = self._memory.aligned.pack(rows)


class ReferenceExecutor(TorchExecutor):
    """Step by step, by torch."""

    def __init__(self, program: StepProgram, device: torch.device, dtype: torch.dtype) -> None:
        self._program = program
        self._device = device
        self._dtype = dtype
        self.numerics = numerics_class("reference", device, dtype)

    def new_tile(self) -> ReferenceTile:
        return ReferenceTile(self._program, self._device, self._dtype)
