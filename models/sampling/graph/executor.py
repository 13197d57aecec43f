"""The graph executor: the reference's steps without Python between them, for many slots.

Tiles are wider than the reference's, because a GPU takes about as long for a few slots as for a
thousand. Their width is fixed, as the shape of a product is part of what decides its bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.executor import Executor, numerics_class, single_threaded
from ancestral.models.sampling.graph.recorder import CudaRecorder, Recorder, ReplayRecorder
from ancestral.models.sampling.graph.tile import GraphTile
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import TILE_SLOTS
from ancestral.models.sampling.tile import Drawn, Tile

#: Slots of a tile on a GPU; elsewhere it is as wide as the reference's, and draws the same.
CUDA_TILE_SLOTS = 1024


class GraphExecutor(Executor):
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
        tile_slots: int | None = None,
    ) -> None:
        """Makes and records the tiles of so many slots. Other `tile_slots` than the device's own
        are another numerics class.

        Raises ConfigError for what it does not run: another dtype or device than its own, a program
        whose steps cannot be recorded.
        """
        if device.type not in ("cpu", "cuda") or dtype not in (torch.float32, torch.float64):
            raise ConfigError(
                f"the graph executor draws in float32 or float64 on cuda or cpu, not in {dtype} on "
                f"{device}"
            )
        cuda = device.type == "cuda"
        own_width = CUDA_TILE_SLOTS if cuda else TILE_SLOTS
        self._program = program
        self._device = device
        self._dtype = dtype
        self._tile_slots = tile_slots or own_width
        self._name = "graph" if self._tile_slots == own_width else f"graph-{self._tile_slots}"
        self._recorder: Recorder = CudaRecorder(device) if cuda else ReplayRecorder()
        self._ready = [self._recorded() for _ in range(math.ceil(slots / self._tile_slots))]

    @property
    def numerics(self) -> str:
        return numerics_class(self._name, self._device, self._dtype)

    def new_tile(self) -> GraphTile:
        return self._ready.pop() if self._ready else self._recorded()

    def groups(self, tiles: Sequence[Tile]) -> list[list[Tile]]:
        return [[tile] for tile in tiles]

    def run(self, groups: Sequence[tuple[Sequence[Tile], int]]) -> list[list[dict[int, Drawn]]]:
        ended = []
        with single_threaded():
            for tiles, positions in groups:
                (tile,) = tiles
                assert isinstance(tile, GraphTile)
                ended.append([tile.run(positions)])
        return ended

    def _recorded(self) -> GraphTile:
        period = self._program.period
        positions = max(self.chunk_positions // period * period, period)
        with torch.no_grad(), single_threaded():
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
