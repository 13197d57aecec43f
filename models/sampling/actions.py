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
from ancestral.models.sampling.grid_memory import LANE_FLOATS, Span, padded_places, padded_width
from ancestral.models.sampling.memory import TileMemory
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
    Target,
    Value,
    Window,
    Write,
    width_at,
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
            read, sums = _reader(op.source, memory, span), memory.register(op.target, span)
            return lambda frame, row, column: sums.add_(read(frame, row, column))
        case Write():
            return _write(op, memory, span)
        case Embed():
            return _embed(op, memory, span, symbols[op.channel])
        case Value():
            number, drawn = _floats(op.target, memory, span), symbols[op.channel]
            scale, shift = op.scale, op.shift
            if drawn.is_floating_point():
                # In float64: real numbers may lie far from zero.
                return lambda f, r, c: number(f, r, c)[:, 0].copy_(drawn * scale + shift)
            return lambda f, r, c: number(f, r, c)[:, 0].copy_(drawn).mul_(scale).add_(shift)
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
    gather = _gatherer(op.sources, memory, span)
    weight = _padded_weight(op, op.weight, 0, memory)
    bias = memory.zeros(weight.shape[1])
    if op.bias is not None:
        bias[_places(op.target, 0)] = op.bias.detach().to(bias)
    if isinstance(op.target, Window):
        floats = _floats(op.target, memory, span)
        return lambda f, r, c: _put(
            floats(f, r, c), torch.addmm(bias, gather(f, r, c), weight), op.accumulate
        )
    target = memory.register(op.target, span)
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
    """Each column's own product."""
    readers = [_reader(source, memory, span) for source in op.sources]
    weights = [_padded_weight(op, each, column, memory) for column, each in enumerate(op.weight)]
    target = _floats(op.target, memory, span)

    def by_column(frame: int, row: int, column: int) -> None:
        read = torch.cat([reader(frame, row, column) for reader in readers], dim=1)
        _put(target(frame, row, column), read @ weights[column], op.accumulate)

    return by_column


def _put(place: Tensor, product: Tensor, accumulate: bool) -> None:
    """Take a padded product (S, O) to a register or a window."""
    floats = product[:, : place.shape[1]]
    place.add_(floats) if accumulate else place.copy_(floats)


def _padded_weight(op: Dense | ByColumn, weight: Tensor, column: int, memory: TileMemory) -> Tensor:
    """A weight (O, I) as the padded layouts of what is read and changed have it: (I, O)."""
    rows, start = [], 0
    for source in op.sources:
        rows.append(start + _places(source, column))
        start += _width(source, column)
    padded = memory.zeros(start, _width(op.target, column))
    padded[torch.cat(rows)[:, None], _places(op.target, column)] = weight.detach().t().to(padded)
    return padded


def _condition(op: Condition, memory: TileMemory, span: Span) -> Action:
    held = memory.fixed if op.scope == "global" else memory.aligned
    put = Tensor.add_ if op.accumulate else Tensor.copy_
    share = held.share(op)
    cells, slots = share.shape[:2]
    served = memory.columns // cells
    if isinstance(op.target, Window) or isinstance(op.offset, tuple):
        pieces, floats = held.pieces(op, memory.columns), _floats(op.target, memory, span)

        def condition(frame: int, row: int, column: int) -> None:
            piece = pieces[column][column // served]
            put(floats(frame, row, column)[:, : piece.shape[1]], piece)

        return condition
    target = memory.register(op.target, span)
    if span.kind != "position":
        # One row of slots is added to every column of a sweep, or to those that its cell serves.
        columns = target.view(cells, -1, slots, target.shape[1])
        return lambda frame, row, column: put(columns, share.unsqueeze(1))
    if cells == 1:
        only = share[0]
        return lambda frame, row, column: put(target, only)
    return lambda frame, row, column: put(target, memory.cell(op, column))


def _activation(op: Activation, memory: TileMemory, span: Span) -> Action:
    source, target = (_floats(place, memory, span) for place in (op.source, op.target))
    if op.kind == "relu":
        return lambda f, r, c: torch.clamp_min(source(f, r, c), 0, out=target(f, r, c))
    if op.kind == "tanh":
        return lambda f, r, c: torch.tanh(source(f, r, c), out=target(f, r, c))

    def concat_elu(f: int, r: int, c: int) -> None:
        positive, negative = target(f, r, c).chunk(2, dim=1)
        positive.copy_(F.elu(source(f, r, c)))
        negative.copy_(F.elu(-source(f, r, c)))

    return concat_elu


def _embed(op: Embed, memory: TileMemory, span: Span, drawn: Tensor) -> Action:
    target = _floats(op.target, memory, span)
    table = memory.zeros(op.table.shape[0], target(0, 0, 0).shape[1])
    table[:, : op.table.shape[1]] = op.table.to(table)
    return lambda f, r, c: torch.index_select(table, 0, drawn, out=target(f, r, c))


def _write(op: Write, memory: TileMemory, span: Span) -> Action:
    source, grid = memory.register(op.source, span), memory.grids[op.grid]
    row_stride = op.grid.row_stride
    match span.kind:
        case "position":
            return lambda frame, row, column: grid.write(frame, row, column, source)
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
    vectors = memory.register(Register(LANE_FLOATS), span).shape[0]
    gathered = memory.zeros(vectors, sum(_width(source, 0) for source in sources))

    def gather(frame: int, row: int, column: int) -> Tensor:
        return torch.cat([read(frame, row, column) for read in readers], dim=1, out=gathered)

    return gather


def _floats(place: Target, memory: TileMemory, span: Span) -> _Reader:
    """The floats of a register as they are padded, or those of a window alone."""
    if isinstance(place, Window):
        pieces = memory.pieces(place)
        return lambda frame, row, column: pieces[column]
    floats = memory.register(place, span)
    return lambda frame, row, column: floats


def _reader(source: Source, memory: TileMemory, span: Span) -> _Reader:
    """What an op reads, padded."""
    if isinstance(source, Register):
        return _floats(source, memory, span)
    if isinstance(source, Window):
        pieces = memory.pieces(source)
        return lambda frame, row, column: F.pad(
            pieces[column], (0, -pieces[column].shape[1] % LANE_FLOATS)
        )
    grid, dz, dy, dx = memory.grids[source.grid], source.dz, source.dy, source.dx
    row_stride = source.grid.row_stride
    match span.kind:
        case "position":
            return lambda frame, row, column: grid.read(frame, row, column, source)
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


def _layout(place: Source, column: int) -> tuple[int, int]:
    """Width and parts."""
    holder = place.grid if isinstance(place, Read) else place
    return width_at(place, column), 1 if isinstance(holder, Window) else holder.parts


def _width(place: Source, column: int) -> int:
    return padded_width(*_layout(place, column))


def _places(place: Source, column: int) -> Tensor:
    return padded_places(*_layout(place, column))


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
