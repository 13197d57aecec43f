"""The native executor: tiles of 16 slots, or of one, run together by a C++ library.

Up to four tiles of 16, or eight of one, go through each op together, so that its weights are
fetched from memory once; how many share a load is said in `product.h`. Groups of tiles run on
threads of their own: the slots are split, never a sum.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.native.compiled import CompiledProgram
from ancestral.models.sampling.native.library import Library
from ancestral.models.sampling.native.structures import BLOCK, CallStructure, UnitStructure
from ancestral.models.sampling.native.tile import NativeTile, UnitRun, aligned_zeros
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Drawn, Memory, Start, Tile
from ancestral.models.sampling.torch_state import numerics_class

#: With so many slots or fewer, outputs are the lanes instead of slots.
FEW_SLOTS = 8
#: Tiles of 16 slots, and of one, that go through each op together.
TILES_TOGETHER = {BLOCK: 4, 1: FEW_SLOTS}
#: Positions of a prefix that are taken in by one call, or one period if that is more.
FORCED_STRETCH = 4096


class NativeExecutor(Executor):
    """Runs one program on processors."""

    def __init__(
        self,
        program: StepProgram,
        library: Library,
        *,
        slots: int,
        threads: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Raises ConfigError for a dtype that it does not have here."""
        bfloat16 = dtype == torch.bfloat16
        if not bfloat16 and dtype != torch.float32:
            raise ConfigError(f"the native executor draws in float32 or bfloat16, not {dtype}")
        if bfloat16 and library.name != "avx512bf16":
            raise ConfigError("bfloat16 needs a processor with AVX-512 BF16: draw in float32")
        self._library = library
        self._tile_slots = BLOCK if slots > FEW_SLOTS else 1
        self._program = program
        self._bfloat16 = bfloat16
        self.numerics = numerics_class("native", torch.device("cpu"), dtype)
        self._compiled = CompiledProgram(program, bfloat16=bfloat16)
        self._forced: CompiledProgram | None = None
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._threads = threads
        self._own = threading.local()

    def new_tile(self) -> NativeTile:
        return NativeTile(self._compiled, self._tile_slots)

    def groups(self, tiles: Sequence[Tile]) -> list[list[Tile]]:
        most = TILES_TOGETHER[self._tile_slots]
        # As many for each thread.
        rounds = -(-len(tiles) // (most * self._threads))
        groups = min(rounds * self._threads, len(tiles))
        return [list(tiles[first::groups]) for first in range(groups)]

    def run(self, groups: Sequence[tuple[Sequence[Tile], int]]) -> list[list[dict[int, Drawn]]]:
        begun = [([_begin(tile, n) for tile in tiles], n) for tiles, n in groups]
        if self._pool is None:
            for runs, positions in begun:
                self._call(self._compiled, runs, positions)
        else:
            calls = [self._pool.submit(self._call, self._compiled, *each) for each in begun]
            for call in calls:
                call.result()
        return [
            [_end(tile, run) for tile, run in zip(tiles, runs, strict=True)]
            for (tiles, _), (runs, _) in zip(groups, begun, strict=True)
        ]

    def prefilled(self, start: Start, symbols: int) -> Memory | None:
        if self._forced is None:
            self._forced = CompiledProgram(self._program, bfloat16=self._bfloat16, forced=True)
        if not self._forced.forces or start.prefix is None:
            return None
        tile = NativeTile(self._forced, 1)
        tile.admit(0, start)
        channels = self._program.channels
        given = start.prefix[:symbols].double().numpy().reshape(-1, channels, 1)
        stretch = self._program.whole_periods(FORCED_STRETCH)
        for first in range(0, len(given), stretch):
            part = np.ascontiguousarray(given[first : first + stretch])
            run = tile.begin(len(part), part)
            self._call(self._forced, [run], len(part))
            tile.end(run)
        return tile.memory(0)

    def _call(self, compiled: CompiledProgram, runs: Sequence[UnitRun], positions: int) -> None:
        # A prefix is taken in by a unit of one slot.
        wide = self._tile_slots == BLOCK and not compiled.forces
        units = (UnitStructure * len(runs))(*(run.structure for run in runs))
        scratch, work = self._room(compiled, len(runs) * (BLOCK if wide else 1))
        call = CallStructure(
            wide=wide,
            units=len(runs),
            positions=positions,
            forced=compiled.forces,
            scratch=scratch,
            work=work,
            unit=ctypes.addressof(units),
        )
        self._library.run(compiled.address, ctypes.addressof(call))

    def _room(self, compiled: CompiledProgram, slots: int) -> tuple[int, int]:
        """The registers of so many slots, and what is needed beside them: a thread has its own."""
        kept = self._own.__dict__
        name = f"room {id(compiled)}"
        scratch, work = kept.get(name, (None, None))
        if scratch is None or len(scratch) < compiled.scratch_floats * slots:
            scratch = aligned_zeros(compiled.scratch_floats * slots)
            work = aligned_zeros(compiled.work_floats)
            kept[name] = scratch, work
        return scratch.ctypes.data, work.ctypes.data


def _begin(tile: Tile, positions: int) -> UnitRun:
    assert isinstance(tile, NativeTile)
    return tile.begin(positions)


def _end(tile: Tile, run: UnitRun) -> dict[int, Drawn]:
    assert isinstance(tile, NativeTile)
    return tile.end(run)
