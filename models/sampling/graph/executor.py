"""The graph executor: the reference's steps without Python between them, for many slots.

Tiles are wider than the reference's, because a GPU takes about as long for a few slots as for a
thousand. Their width is fixed, as the shape of a product is part of what decides its bits.
"""

from __future__ import annotations

import math

import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.graph.recorder import CudaRecorder, Recorder, ReplayRecorder
from ancestral.models.sampling.graph.tile import GraphTile
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import TILE_SLOTS
from ancestral.models.sampling.torch_state import full_precision, numerics_class, single_threaded
from ancestral.models.sampling.torch_tile import TorchExecutor

#: Slots of a tile on a GPU; elsewhere it is as wide as the reference's, and draws the same.
CUDA_TILE_SLOTS = 1024


class GraphExecutor(TorchExecutor):
    """Every tile by itself: on a GPU in CUDA graphs, elsewhere in their twin."""

    outlasts_ends = True
    # Looking at a thousand slots takes as long as a few steps.
    chunk_positions = 256

    def __init__(
        self,
        program: StepProgram,
        device: torch.device,
        dtype: torch.dtype,
        *,
        slots: int,
    ) -> None:
        """Makes and records the tiles of so many slots.

        Raises ConfigError for what it does not run: another dtype or device than its own, a program
        whose steps cannot be recorded.
        """
        if device.type not in ("cpu", "cuda") or dtype not in (torch.float32, torch.float64):
            raise ConfigError(
                f"the graph executor draws in float32 or float64 on cuda or cpu, not in {dtype} on "
                f"{device}"
            )
        cuda = device.type == "cuda"
        self._program = program
        self._device = device
        self._dtype = dtype
        self.numerics = numerics_class("graph", device, dtype)
        self._tile_slots = CUDA_TILE_SLOTS if cuda else TILE_SLOTS
        self._recorder: Recorder = CudaRecorder(device) if cuda else ReplayRecorder()
        self._ready = [self._recorded() for _ in range(math.ceil(slots / self._tile_slots))]

    def new_tile(self) -> GraphTile:
        return self._ready.pop() if self._ready else self._recorded()

    def _recorded(self) -> GraphTile:
        positions = self._program.whole_periods(self.chunk_positions)
        with torch.no_grad(), single_threaded(), full_precision():
            tile = GraphTile(
                self._program,
                self._tile_slots,
                self._device,
                self._dtype,
                self._recorder,
                positions,
            )
            tile.warm()
        return tile
