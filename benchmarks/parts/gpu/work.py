"""What a step of a program asks of a device, counted from its ops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from ancestral.models.sampling.fused.executor import TILES
from ancestral.models.sampling.graph.executor import CUDA_TILE_SLOTS
from ancestral.models.sampling.ops import (
    ByColumn,
    Condition,
    Dense,
    Op,
    Read,
    Register,
    When,
    Write,
    sources,
)
from ancestral.models.sampling.program import StepProgram
from parts.gpu.floors import Work


def work_of(program: StepProgram, executor: str, dtype: torch.dtype) -> Work:
    """The work of a step by an executor, "graph", "fused" or "fused-few"."""
    fused = executor in TILES
    rows, columns = program.rows or 1, program.columns or 1
    # All columns of a sweep are rows of one product.
    lists = ((program.step, 1), (program.row_sweep, columns), (program.frame_sweep, rows * columns))
    weights = sum(_weights(items) / covered for items, covered in lists)
    floats = sum(_slot_floats(items) for items, _ in lists)
    kept = sum(grid.frames * grid.rows * grid.columns * grid.width for grid in program.grids)
    return Work(
        dtype=str(dtype).removeprefix("torch."),
        tile_slots=TILES[executor][0] if fused else CUDA_TILE_SLOTS,
        spread=not fused,
        multiply_adds=program.multiply_adds_per_step,
        weight_bytes=weights * dtype.itemsize,
        slot_bytes=floats * dtype.itemsize,
        kept_bytes=kept * dtype.itemsize,
    )


def _placed(items: Iterable[Op | When]) -> Iterator[tuple[Op, float]]:
    """The ops of a list, and how often each is due, of once."""
    for item in items:
        when = item if isinstance(item, When) else When((item,))
        yield from ((op, 1 / (when.row_step * when.column_step)) for op in when.ops)


def _weights(items: Iterable[Op | When]) -> float:
    total = 0.0
    for op, often in _placed(items):
        if isinstance(op, Dense):
            total += op.weight.numel() * often
        elif isinstance(op, ByColumn):
            total += sum(weight.numel() for weight in op.weight) / len(op.weight)
    return total


def _slot_floats(items: Iterable[Op | When]) -> float:
    """What a list reads and writes of a slot's own, beside registers. What it wrote just before
    need not be read again."""
    placed = list(_placed(items))
    written = {op.grid for op, _ in placed if isinstance(op, Write)}
    total = 0.0
    for op, often in placed:
        reads = [source for source in sources(op) if isinstance(source, Read)]
        total += often * sum(
            read.grid.width
            for read in reads
            if read.grid not in written or (read.dz, read.dy, read.dx) != (0, 0, 0)
        )
        if isinstance(op, Write):
            total += often * op.grid.width
        elif isinstance(op, Condition) and isinstance(op.target, Register):
            total += often * op.target.width
    return total
