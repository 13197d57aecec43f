"""Slots whose steps torch computes: what the executors `reference` and `graph` have in common.

Shapes: S slots, K positions of a run, C channels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.sampling.draw import Settings, SettingsBatch
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.grid_memory import Place
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.step import TileStep
from ancestral.models.sampling.tile import Drawn, Tile
from ancestral.models.sampling.torch_state import single_threaded


class TorchTile(Tile):
    """A tile with its step, and the memory that the step works on."""

    def __init__(self, program: StepProgram, memory: TileMemory, step: TileStep) -> None:
        self._memory = memory
        self._step = step
        self._device, self._dtype = step.uniform.device, step.uniform.dtype
        super().__init__(program, step.uniform.shape[1])

    @abstractmethod
    def run(self, positions: int) -> dict[int, Drawn]:
        """Go on by so many positions, whole periods; the events that ended, by slot."""

    def _remembered(self, slot: int) -> list[Tensor]:
        return self._memory.saved(slot, self._place_at(self._clock))

    def _place_at(self, clock: int) -> Place:
        rows, columns = self.program.rows, self.program.columns
        if rows is None or columns is None:
            return Place(0, 0, clock)
        row, column = divmod(clock, columns)
        if not self.program.frame_sweep:
            return Place(0, row, column)
        return Place(row // rows, row % rows, column)

    def _uniforms(self, positions: int) -> Tensor:
        """The uniform numbers of the next positions, (K, C, S)."""
        facts = np.zeros((3, self.slots), dtype=np.int64)
        for number, slot in self._slots.items():
            facts[:, number] = slot.start.seed, slot.start.sample, slot.age
        seed, sample, age = torch.from_numpy(facts).to(self._device)
        position = age + torch.arange(positions, device=self._device).unsqueeze(1)
        channels = range(self.program.channels)
        numbers = [uniform(seed, sample, position, channel) for channel in channels]
        return torch.stack(numbers, dim=1).to(self._dtype)

    def _settings(self) -> list[Settings]:
        """The settings of each slot."""
        settings = [Settings()] * self.slots
        for number, slot in self._slots.items():
            settings[number] = slot.start.settings
        return settings

    def _settings_batch(self) -> SettingsBatch:
        batch = SettingsBatch.of(self._settings(), self.program.levels, self._dtype)
        return batch.to(self._device)

    def _take(self, symbols: Tensor, sums: Tensor) -> dict[int, Drawn]:
        """Give each slot its symbols (K, C, S), or say that the sums of their parameters (K, C, S)
        are not finite; the events that ended, by slot."""
        finite = torch.isfinite(sums).all(1).cpu().numpy()
        bad: NDArray[np.int64] = np.where(finite.all(0), -1, np.argmin(finite, axis=0))
        # Turned by the device, which does it faster: each slot's share lies in one piece.
        by_slot = symbols.permute(2, 0, 1).contiguous().cpu().numpy()
        return self._record(np.moveaxis(by_slot, 0, 2), bad)


class TorchExecutor(Executor):
    """Every tile by itself, on one torch thread."""

    def groups(self, tiles: Sequence[Tile]) -> list[list[Tile]]:
        return [[tile] for tile in tiles]

    def run(self, groups: Sequence[tuple[Sequence[Tile], int]]) -> list[list[dict[int, Drawn]]]:
        ended = []
        with single_threaded():
            for (tile,), positions in groups:
                assert isinstance(tile, TorchTile)
                ended.append([tile.run(positions)])
        return ended
