"""Each op of a step program as torch operations on a tile's memory.

An op is made ready once: weights padded and transposed, registers looked up. What remains for a
step is to choose views by frame, row and column and call torch, in place.

Shapes: S slots (times the columns of a sweep), I floats read, O floats written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.sampling.distributions import colour_mixture
from ancestral.models.sampling.memory import (
    LANE_FLOATS,
    Span,
    TileMemory,
    padded_places,
    padded_width,
)
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ByColumn,
    ColourMixture,
    Condition,
    Dense,
    Embed,
    Gate,
    Op,
    Read,
    Register,
    Source,
    Value,
    Window,
    Write,
)

#: An op made ready: called with the position's frame, row and column (a sweep's column is 0).
#: What it returns is of no use: in-place operations return their tensor.
Action = Callable[[int, int, int], object]

_Reader = Callable[[int, int, int], Tensor]


def make_ready(op: Op, memory: TileMemory, span: Span, symbols: Sequence[Tensor]) -> Action:
    """The action of any op but the draw. `symbols` are those just drawn, (S,) for each channel."""
    match op:
        case Dense():
            return _dense(op, memory, span)
        case ByColumn():
            return _by_column(op, memory, span)
        case Condition():
            return _condition(op, memory, span)
        case Gate():
            signal, opening = memory.register(op.source, span).chunk(2, dim=1)
            gated = memory.register(op.target, span)
            squash = op.squash == "tanh"
            return lambda frame, row, column: _gate(signal, opening, gated, squash)
        case Activation():
            return _activation(op, memory, span)
        case Add():
            read, target = _reader(op.source, memory, span), memory.register(op.target, span)
            return lambda frame, row, column: target.add_(read(frame, row, column))
        case Write():
            return _write(op, memory, span)
        case Embed():
            target, drawn = memory.register(op.target, span), symbols[op.channel]
            table = memory.zeros(op.table.shape[0], target.shape[1])
            table[:, : op.target.width] = op.table.to(table)
            return lambda frame, row, column: torch.index_select(table, 0, drawn, out=target)
        case Value():
            number, drawn = memory.register(op.target, span)[:, 0], symbols[op.channel]
            scale, shift = op.scale, op.shift
            return lambda frame, row, column: number.copy_(drawn).mul_(scale).add_(shift)
        case ColourMixture():
            raw = memory.register(op.raw, span)[:, : op.raw.width]
            target = memory.register(op.target, span)[:, : op.target.width]
            earlier, distribution = symbols[: op.channel], op.distribution
            return lambda frame, row, column: target.copy_(
                colour_mixture(raw, _side_by_side(earlier, raw), distribution)
            )
        case _:
            raise AssertionError(f"{type(op).__name__} is not an action")


def _dense(op: Dense, memory: TileMemory, span: Span) -> Action:
    target = memory.register(op.target, span)
    rows, columns = _input_places(op.sources), padded_places(op.target.width, op.target.parts)
    weight = memory.zeros(_input_width(op.sources), target.shape[1])
    weight[rows[:, None], columns] = op.weight.detach().t().to(weight)
    bias = memory.zeros(target.shape[1])
    if op.bias is not None:
        bias[columns] = op.bias.detach().to(bias)
    gather = _gatherer(op.sources, memory, span)
    if span.kind != "frame":
        return _product(op, weight, bias, gather, target)
    # A row at a time: what a whole frame reads, side by side, is larger than any cache.
    by_row = [_product(op, weight, bias, gather, row) for row in target.chunk(memory.rows)]
    return lambda frame, row, column: [act(frame, index, 0) for index, act in enumerate(by_row)]


def _product(op: Dense, weight: Tensor, bias: Tensor, gather: _Reader, target: Tensor) -> Action:
    if not op.accumulate:
        return lambda f, r, c: torch.addmm(bias, gather(f, r, c), weight, out=target)
    if op.bias is None:
        return lambda f, r, c: target.addmm_(gather(f, r, c), weight)
    return lambda f, r, c: target.addmm_(gather(f, r, c), weight).add_(bias)


def _by_column(op: ByColumn, memory: TileMemory, span: Span) -> Action:
    """Each column's own product. One float in or out is no product at all, so nothing is padded."""
    columns, outputs, inputs = op.weight.shape
    target = memory.register(op.target, span)
    places = padded_places(op.target.width, op.target.parts)
    bias = memory.zeros(columns, target.shape[1])
    if op.bias is not None:
        bias[:, places] = op.bias.detach().to(bias)
    gather = _gatherer(op.sources, memory, span)
    scratch = target if not op.accumulate else torch.empty_like(target)
    if inputs == 1:
        outer = memory.zeros(columns, target.shape[1])
        outer[:, places] = op.weight.detach()[:, :, 0].to(outer)

        def compute(f: int, r: int, c: int) -> None:
            torch.addcmul(bias[c], gather(f, r, c)[:, :1], outer[c], out=scratch)

    elif outputs == 1:
        inner = memory.zeros(columns, _input_width(op.sources))
        inner[:, _input_places(op.sources)] = op.weight.detach()[:, 0].to(inner)

        def compute(f: int, r: int, c: int) -> None:
            torch.sum(gather(f, r, c) * inner[c], dim=1, keepdim=True, out=scratch[:, :1])
            scratch.add_(bias[c])

    else:
        weight = memory.zeros(columns, _input_width(op.sources), target.shape[1])
        weight[:, _input_places(op.sources)[:, None], places] = (
            op.weight.detach().transpose(1, 2).to(weight)
        )

        def compute(f: int, r: int, c: int) -> None:
            torch.addmm(bias[c], gather(f, r, c), weight[c], out=scratch)

    if not op.accumulate:
        return compute

    def accumulate(f: int, r: int, c: int) -> None:
        compute(f, r, c)
        target.add_(scratch)

    return accumulate


def _condition(op: Condition, memory: TileMemory, span: Span) -> Action:
    share = (memory.fixed if op.scope == "global" else memory.aligned).share(op)
    target = memory.register(op.target, span)
    cells, slots = share.shape[:2]
    if span.kind != "position":
        # One row of slots is added to every column of a sweep, or to those that its cell serves.
        columns = target.view(cells, -1, slots, target.shape[1])
        return lambda frame, row, column: columns.add_(share.unsqueeze(1))
    if cells == 1:
        only = share[0]
        return lambda frame, row, column: target.add_(only)
    served = memory.columns // cells
    return lambda frame, row, column: target.add_(share[column // served])


def _activation(op: Activation, memory: TileMemory, span: Span) -> Action:
    source, target = (memory.register(register, span) for register in (op.source, op.target))
    if op.kind == "relu":
        return lambda frame, row, column: torch.clamp_min(source, 0, out=target)
    if op.kind == "tanh":
        return lambda frame, row, column: torch.tanh(source, out=target)
    positive, negative = target.chunk(2, dim=1)

    def concat_elu(frame: int, row: int, column: int) -> None:
        positive.copy_(F.elu(source))
        negative.copy_(F.elu(-source))

    return concat_elu


def _write(op: Write, memory: TileMemory, span: Span) -> Action:
    source, grid = memory.register(op.source, span), memory.grids[op.grid]
    row_stride, column_stride = op.grid.row_stride, op.grid.column_stride
    match span.kind:
        case "position":
            return lambda frame, row, column: grid.at(
                frame, row // row_stride, column // column_stride
            ).copy_(source)
        case "row":
            return lambda frame, row, column: grid.write_across(
                frame, row // row_stride, span, source
            )
        case _:
            return lambda frame, row, column: _fill(grid.everywhere(frame, 0, 0), source)


def _gatherer(sources: Sequence[Source], memory: TileMemory, span: Span) -> _Reader:
    """What a product reads, side by side: (S, I). Of a frame it is a row."""
    if span.kind == "frame":
        span, readers = Span("row"), [_row_reader(source, memory) for source in sources]
    else:
        readers = [_reader(source, memory, span) for source in sources]
    if len(readers) == 1:
        return readers[0]
    widths = [_width(source) for source in sources]
    vectors = memory.register(Register(LANE_FLOATS), span).shape[0]
    gathered = memory.zeros(vectors, sum(widths))

    def gather(frame: int, row: int, column: int) -> Tensor:
        return torch.cat([read(frame, row, column) for read in readers], dim=1, out=gathered)

    return gather


def _reader(source: Source, memory: TileMemory, span: Span) -> _Reader:
    if isinstance(source, Register):
        floats = memory.register(source, span)
        return lambda frame, row, column: floats
    if isinstance(source, Window):
        return _window(source, memory, span)
    grid, dz, dy, dx = memory.grids[source.grid], source.dz, source.dy, source.dx
    row_stride, column_stride = source.grid.row_stride, source.grid.column_stride
    match span.kind:
        case "position":
            return lambda frame, row, column: grid.at(
                frame + dz, row // row_stride + dy, column // column_stride + dx
            )
        case "row":
            return lambda frame, row, column: grid.across(
                frame + dz, row // row_stride + dy, dx, span
            )
        case _:
            return lambda frame, row, column: grid.everywhere(frame + dz, dy, dx).flatten(0, 2)


def _row_reader(source: Source, memory: TileMemory) -> _Reader:
    """What a frame's sweep reads in one row of it."""
    if isinstance(source, Register):
        rows = memory.register(source, Span("frame")).chunk(memory.rows)
        return lambda frame, row, column: rows[row]
    return _reader(source, memory, Span("row"))


def _window(window: Window, memory: TileMemory, span: Span) -> _Reader:
    floats, width = memory.register(window.register, span), window.width
    padded = memory.zeros(floats.shape[0], padded_width(width))

    def read(frame: int, row: int, column: int) -> Tensor:
        start = window.starts[column]
        padded[:, :width] = floats[:, start : start + width]
        return padded

    return read


def _input_places(sources: Sequence[Source]) -> Tensor:
    """Where each float that is read lies among the padded ones."""
    places, start = [], 0
    for source in sources:
        width, parts = _layout(source)
        places.append(start + padded_places(width, parts))
        start += padded_width(width, parts)
    return torch.cat(places)


def _input_width(sources: Sequence[Source]) -> int:
    return sum(_width(source) for source in sources)


def _width(source: Source) -> int:
    return padded_width(*_layout(source))


def _layout(source: Source) -> tuple[int, int]:
    """Width and parts."""
    if isinstance(source, Window):
        return source.width, 1
    holder = source.grid if isinstance(source, Read) else source
    return holder.width, holder.parts


def _side_by_side(earlier: Sequence[Tensor], like: Tensor) -> Tensor:
    """The symbols (S, c) of c channels, of which there may be none."""
    if not earlier:
        return torch.zeros(like.shape[0], 0, dtype=torch.int64, device=like.device)
    return torch.stack(tuple(earlier), dim=1)


def _fill(cells: Tensor, source: Tensor) -> None:
    cells.copy_(source.view_as(cells))


def _gate(signal: Tensor, opening: Tensor, target: Tensor, squash: bool) -> None:
    if squash:
        torch.tanh(signal, out=target)
    else:
        target.copy_(signal)
    target.mul_(torch.sigmoid(opening))
