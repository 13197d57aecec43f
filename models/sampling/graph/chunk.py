"""What the positions of a run take in and give out, on the device, in memory that stays.

It is filled before the run and read after it. In between, each step takes its own part and counts
on, all of it on the device, so that a record of a step serves every position.

Shapes: S slots, K positions at most, C channels, N columns of aligned conditioning at most.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.models.sampling.graph.indexed import Cells
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.step import TileStep


class Chunk:
    """Inputs and outputs of up to K positions of a tile.

    uniform     (K, C, S)           is_given, given     (K, C, S)
    symbols     (K, C, S)           sums                (K, C, S)   of parameters, finite or not
    cells       (K, ways)           the cells that ops look at
    columns     (cells, N · S, W)   aligned conditioning of all columns that slots go through
    turns       (K, S)              which of them is a slot's
    """

    def __init__(
        self,
        program: StepProgram,
        memory: TileMemory,
        step: TileStep,
        cells: Cells | None,
        positions: int,
    ) -> None:
        channels, slots = step.symbols.shape
        self._step = step
        self._memory = memory
        self._cells = cells
        self._conditioned = program.local_width > 0
        self._position = torch.zeros(1, dtype=torch.int64, device=step.symbols.device)
        self.uniform = step.uniform.new_zeros(positions, channels, slots)
        self.given = step.given.new_zeros(positions, channels, slots)
        self.is_given = torch.ones_like(self.given, dtype=torch.bool)
        self.symbols = torch.zeros_like(self.given)
        self.sums = torch.zeros_like(self.uniform)
        step.is_given = self.is_given[0].clone()
        if cells is not None:
            self.cells = self._position.new_zeros(positions, cells.here.shape[1])
        if self._conditioned:
            most = (positions - 1) // program.hop + 2
            width = memory.aligned.rows.shape[2]
            self.columns = memory.zeros(program.cells, most * slots, width)
            self.turns = self._position.new_zeros(positions, slots)

    def begin(self) -> None:
        """The next step is the first position's."""
        self._position.zero_()

    def take_in(self) -> None:
        """Give the step what is its own of this position."""
        step, here = self._step, self._position
        assert step.is_given is not None
        _take(self.uniform, here, step.uniform)
        _take(self.is_given, here, step.is_given)
        _take(self.given, here, step.given)
        if self._cells is not None:
            torch.index_select(self.cells, 0, here, out=self._cells.here)
        if self._conditioned:
            (turns,) = self.turns.index_select(0, here)
            torch.index_select(self.columns, 1, turns, out=self._memory.aligned.rows)

    def give_out(self) -> None:
        """Keep what the step drew, and go on to the next position."""
        here = self._position
        self.symbols.index_copy_(0, here, self._step.symbols.unsqueeze(0))
        self.sums.index_copy_(0, here, self._step.parameters_sum.unsqueeze(0))
        here.add_(1)


def _take(from_positions: Tensor, here: Tensor, place: Tensor) -> None:
    torch.index_select(from_positions, 0, here, out=place.unsqueeze(0))
