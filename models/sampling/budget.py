"""How many slots a device has room for: what a slot takes, counted from the program.

    grids          what is remembered, with the margins that stand for what lies outside
    registers      of a position, and of every column of a sweep
    conditioning   the slot's projected rows
    a chunk        uniform numbers, given and drawn symbols, and aligned columns of its positions

It is what a torch executor keeps. The fused executor keeps registers on the chip, and takes less.
"""

from __future__ import annotations

import torch

from ancestral.models.sampling.aligned import PIECE_COLUMNS
from ancestral.models.sampling.fused.executor import TILES, FusedExecutor
from ancestral.models.sampling.graph.executor import CUDA_TILE_SLOTS
from ancestral.models.sampling.grid_memory import padded_width
from ancestral.models.sampling.ops import (
    Condition,
    Grid,
    Op,
    Register,
    When,
    Window,
    changed,
    placed,
    sources,
)
from ancestral.models.sampling.program import StepProgram

#: Of the memory that is free, what the slots of one model may take. The other half is for weights,
#: for what is computed on the way, and for the next model.
SHARE_OF_FREE = 0.5
#: No device at hand draws faster with more.
MOST_SLOTS = 16_384
#: Tiles of the graph and of the fused executor: chosen numbers fill them, the larger if they can.
TILES_SLOTS = CUDA_TILE_SLOTS, TILES["fused"][0]
#: Positions that an executor goes on by at once, at most, if that is not less than a period.
LONGEST_CHUNK_POSITIONS = FusedExecutor.chunk_positions
#: Of each symbol in a chunk: int64 or float64 drawn, float64 given, and whether it is.
SYMBOL_BYTES = 8 + 8 + 1


def slot_bytes(program: StepProgram, dtype: torch.dtype) -> int:
    """Bytes of device memory that one slot takes, at most."""
    chunk_positions = max(LONGEST_CHUNK_POSITIONS, program.period)
    floats = sum(_grid_floats(grid, program) for grid in program.grids)
    floats += _register_floats(program)
    conditions = [op for op in program.ops if isinstance(op, Condition)]
    floats += sum(_condition_floats(op, program) for op in dict.fromkeys(conditions))
    symbols = chunk_positions * program.channels
    columns = max(chunk_positions // program.hop + 2, PIECE_COLUMNS)
    aligned = columns * program.cells * program.local_width
    # A uniform number and a sum of parameters for each symbol.
    floats += 2 * symbols
    # Fused kernels take aligned columns in float32, whatever they compute in.
    aligned_bytes = aligned * max(dtype.itemsize, torch.float32.itemsize)
    return floats * dtype.itemsize + aligned_bytes + symbols * SYMBOL_BYTES


def slots_for(free_bytes: int, program: StepProgram, dtype: torch.dtype) -> int:
    """How many slots a model gets of so much free memory: at least one, at most `MOST_SLOTS`."""
    slots = min(int(free_bytes * SHARE_OF_FREE) // slot_bytes(program, dtype), MOST_SLOTS)
    tile = next((tile for tile in TILES_SLOTS if tile <= slots), 1)
    return max(slots // tile * tile, 1)


def free_bytes(device: torch.device, share: float = 1.0) -> int:
    """Memory of a GPU that this process may still take, of the share of it that is its own."""
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    return min(free, int(total * share) - torch.cuda.memory_allocated(device))


def _grid_floats(grid: Grid, program: StepProgram) -> int:
    own = [read for read in program.reads if read.grid is grid]
    rows = grid.rows + 2 * max((abs(read.dy) for read in own), default=0)
    columns = grid.columns + 2 * max((abs(read.dx) for read in own), default=0)
    if program.columns is None:
        # A ring has no margins.
        rows, columns = grid.rows, grid.columns
    return grid.frames * rows * columns * padded_width(grid.width, grid.parts)


def _register_floats(program: StepProgram) -> int:
    """Registers of a step once, those of a sweep for each of the columns or cells that it covers;
    what such a sweep reads side by side takes as much again."""
    columns = program.columns or 1
    total = _floats_of(program.step)
    total += 2 * columns * _floats_of(program.row_sweep)
    return total + 2 * (program.rows or 1) * columns * _floats_of(program.frame_sweep)


def _floats_of(items: tuple[Op | When, ...]) -> int:
    places: dict[Register, None] = {}
    for op, _ in placed(items):
        for place in (*sources(op), changed(op)):
            whole = place.of if isinstance(place, Window) else place
            if isinstance(whole, Register):
                places[whole] = None
    return sum(padded_width(place.width, place.parts) for place in places)


def _condition_floats(op: Condition, program: StepProgram) -> int:
    width = program.global_width
    if isinstance(op.target, Register):
        width = padded_width(op.target.width, op.target.parts)
    return width * (program.cells if op.scope == "local" else 1)
