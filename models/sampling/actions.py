"""Each op of a step program as torch operations on a tile's memory.

An op is made ready once: weights padded and transposed, registers looked up. What remains for a
step is to choose views by row and column and call torch, in place.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ancestral.models.sampling.memory import TileMemory, padded_places, padded_width
from ancestral.models.sampling.program import (
    Add,
    Condition,
    Dense,
    Embed,
    Gate,
    Op,
    Read,
    Register,
    Relu,
    Source,
    Write,
)

#: An op made ready: called with the position's row and column (a sweep's column is 0).
#: What it returns is of no use: in-place operations return their tensor.
Action = Callable[[int, int], object]


def make_ready(op: Op, memory: TileMemory, swept: bool, symbols: Tensor) -> Action:
    """The action of any op but the draw. `symbols` (S,) int64 holds those just drawn."""
    match op:
        case Dense():
            return _dense(op, memory, swept)
        case Condition():
            share = (memory.fixed if op.scope == "global" else memory.aligned).share(op)
            # One row of slots is added to every column of a sweep.
            columns = memory.register(op.target, swept).view(-1, *share.shape)
            return lambda row, column: columns.add_(share)
        case Gate():
            signal, opening = memory.register(op.source, swept).chunk(2, dim=1)
            gated = memory.register(op.target, swept)
            return lambda row, column: _gate(signal, opening, gated)
        case Relu():
            source, target = (memory.register(r, swept) for r in (op.source, op.target))
            return lambda row, column: torch.clamp_min(source, 0, out=target)
        case Add():
            read, target = _reader(op.source, memory, swept), memory.register(op.target, swept)
            return lambda row, column: target.add_(read(row, column))
        case Write():
            source = memory.register(op.source, swept)
            place = _reader(Read(op.grid, 0, 0), memory, swept)
            return lambda row, column: place(row, column).copy_(source)
        case Embed():
            target = memory.register(op.target, swept)
            table = memory.zeros(op.table.shape[0], target.shape[1])
            table[:, : op.target.width] = op.table.to(table)
            return lambda row, column: torch.index_select(table, 0, symbols, out=target)
        case _:
            raise AssertionError(f"{type(op).__name__} is not an action")


def _dense(op: Dense, memory: TileMemory, swept: bool) -> Action:
    inputs = [s.grid if isinstance(s, Read) else s for s in op.sources]
    target = memory.register(op.target, swept)
    weight = memory.zeros(sum(padded_width(i.width, i.parts) for i in inputs), target.shape[1])
    rows = _places_side_by_side([(i.width, i.parts) for i in inputs])
    columns = padded_places(op.target.width, op.target.parts)
    weight[rows[:, None], columns] = op.weight.detach().t().to(weight)
    bias = memory.zeros(target.shape[1])
    if op.bias is not None:
        bias[columns] = op.bias.detach().to(bias)

    readers = [_reader(s, memory, swept) for s in op.sources]
    gathered = memory.zeros(target.shape[0], weight.shape[0])

    def gather(row: int, column: int) -> Tensor:
        if len(readers) == 1:
            return readers[0](row, column)
        return torch.cat([read(row, column) for read in readers], dim=1, out=gathered)

    if not op.accumulate:
        return lambda row, column: torch.addmm(bias, gather(row, column), weight, out=target)
    if op.bias is None:
        return lambda row, column: target.addmm_(gather(row, column), weight)
    return lambda row, column: target.addmm_(gather(row, column), weight).add_(bias)


def _places_side_by_side(layouts: list[tuple[int, int]]) -> Tensor:
    places, start = [], 0
    for width, parts in layouts:
        places.append(start + padded_places(width, parts))
        start += padded_width(width, parts)
    return torch.cat(places)


def _reader(source: Source, memory: TileMemory, swept: bool) -> Callable[[int, int], Tensor]:
    if isinstance(source, Register):
        floats = memory.register(source, swept)
        return lambda row, column: floats
    grid, dy, dx = memory.grids[source.grid], source.dy, source.dx
    if swept:
        return lambda row, column: grid.across(row + dy, dx)
    return lambda row, column: grid.at(row + dy, column + dx)


def _gate(signal: Tensor, opening: Tensor, target: Tensor) -> None:
    torch.tanh(signal, out=target)
    target.mul_(torch.sigmoid(opening))
