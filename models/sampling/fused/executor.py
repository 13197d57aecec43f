"""The fused executor: many positions of all layers in one launch, tile by tile.

Each program of a launch owns a tile of slots and needs nothing of the others, so that there is no
barrier over the GPU. There are tiles of two sizes, whose sums are rounded apart: *many*, for as
many symbols a second as possible, and *few*, for the shortest time to the next symbol.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.fused.groups import is_supported
from ancestral.models.sampling.fused.launch import (
    Launcher,
    TritonLauncher,
    TwinLauncher,
    interpreted,
)
from ancestral.models.sampling.fused.source import kernel_source
from ancestral.models.sampling.fused.state import State
from ancestral.models.sampling.fused.tile import FusedTile
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Drawn, Tile
from ancestral.models.sampling.torch_state import numerics_class

#: Slots of a tile, and the warps that share its work, by the executor's name.
TILES = {"fused": (64, 4), "fused-few": (16, 4)}


class FusedExecutor(Executor):
    """Runs one program on a GPU, or in its twin on a processor."""

    # After a run the processor looks at every slot, however short it was: so many that images of
    # 28 x 28 pixels are one run.
    chunk_positions = 1024
    outlasts_ends = True

    def __init__(
        self,
        program: StepProgram,
        name: str,
        *,
        slots: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Raises ConfigError for what it does not run, and where there is no Triton."""
        if dtype not in (torch.float32, torch.bfloat16):
            raise ConfigError(f"fused kernels draw in float32 or bfloat16, not {dtype}")
        if not is_supported(program):
            raise ConfigError(
                "there is no fused kernel for such a network: take executor='graph', in float32"
            )
        self._program = program
        self._tile_slots, warps = TILES[name]
        source = kernel_source(program, self._tile_slots)
        self._places = source.places
        triton = device.type == "cuda" or interpreted()
        self._launcher: Launcher = (
            TritonLauncher(source.text, warps=warps) if triton else TwinLauncher(source.text)
        )
        # What Triton compiles to is part of what decides bits.
        self.numerics = numerics_class(f"{name}-{self._launcher.version}", device, dtype)
        tiles = -(-slots // self._tile_slots)
        self._state = State(
            program,
            source,
            tiles * self._tile_slots,
            self._tile_slots,
            program.whole_periods(self.chunk_positions),
            device,
            dtype,
        )
        self._tiles = 0

    def new_tile(self) -> FusedTile:
        self._tiles += 1
        return FusedTile(
            self._program, self._tiles - 1, self._tile_slots, self._state, self._places
        )

    def groups(self, tiles: Sequence[Tile]) -> list[list[Tile]]:
        return [list(tiles)]

    def run(self, groups: Sequence[tuple[Sequence[Tile], int]]) -> list[list[dict[int, Drawn]]]:
        ended = []
        for tiles, positions in groups:
            ended.append(self._run([_own(tile) for tile in tiles], positions))
        return ended

    def _run(self, tiles: Sequence[FusedTile], positions: int) -> list[dict[int, Drawn]]:
        given = self._given(tiles, positions)
        numbers = [tile.number for tile in tiles]
        arguments = self._state.arguments(numbers, positions, given)
        self._launcher.launch(len(tiles), arguments)
        symbols, bads = self._state.drawn(positions)
        return [tile.end(symbols[tile.own], bads[tile.own]) for tile in tiles]

    def _given(
        self, tiles: Sequence[FusedTile], positions: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32]] | None:
        """The symbols that are given in a run, (N, K, C), if any are."""
        of_tiles = {tile: own for tile in tiles if (own := tile.begin(positions)) is not None}
        if not of_tiles:
            return None
        shape = len(self._state.seeds), positions, self._program.channels
        is_given, symbols = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int32)
        for tile, (is_own, own_symbols) in of_tiles.items():
            is_given[tile.own] = np.moveaxis(is_own, 2, 0)
            symbols[tile.own] = np.moveaxis(own_symbols, 2, 0)
        return is_given, symbols


def _own(tile: Tile) -> FusedTile:
    assert isinstance(tile, FusedTile)
    return tile
