"""What a step program is made of: registers, grids, and the ops that work on them.

program.py draws how they play together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from ancestral.models.sampling.distributions import Distribution, LogisticMixture


@dataclass(frozen=True, eq=False)
class Register:
    """A float vector per slot. A gated one has `parts=2`: what becomes tanh, then the sigmoid."""

    width: int
    parts: int = 1


@dataclass(frozen=True, eq=False)
class Grid:
    """What is remembered of `width` floats per position: the last `rows` rows of an image (all the
    rows of the last `frames` frames of a clip), or the last `columns` columns of a single row.

    A cell serves `row_stride` rows and `column_stride` columns; `rows` and `columns` count cells.

    A grid of a single cell, `Grid(1, 1, width)`, may also be used by windows alone: then it is a
    vector that lasts for an event, changed in place and piece by piece, which begins as zeros.
    """

    rows: int
    columns: int
    width: int
    parts: int = 1
    frames: int = 1
    row_stride: int = 1
    column_stride: int = 1


@dataclass(frozen=True)
class Read:
    """The grid at (frame + dz, row + dy, column + dx); zeros where there is nothing."""

    grid: Grid
    dy: int
    dx: int
    dz: int = 0


@dataclass(frozen=True, eq=False)
class Window:
    """A piece of a register or of a grid of a single cell: each column has its own.

    At a column it is `widths[column]` floats, from `starts[column]` on; it may be empty.
    """

    of: Register | Grid
    starts: tuple[int, ...]
    widths: tuple[int, ...]


#: What an op reads, and what it computes.
Source = Register | Read | Window
Target = Register | Window


@dataclass(frozen=True, eq=False)
class Dense:
    """target = weight · concatenation of sources + bias, added to the target if `accumulate`.

    `weight` is (target width, sum of source widths), `bias` (target width,).
    """

    sources: tuple[Source, ...]
    weight: Tensor
    bias: Tensor | None
    target: Target
    accumulate: bool = False


@dataclass(frozen=True, eq=False)
class ByColumn:
    """A dense op without a bias whose weights change with the column, for programs of one row.

    `weight[column]` is (target width, sum of source widths), the widths being those of that column;
    either may be 0.
    """

    sources: tuple[Source, ...]
    weight: tuple[Tensor, ...]
    target: Target
    accumulate: bool = False


@dataclass(frozen=True)
class Condition:
    """target = the slot's projected conditioning, added to the target if `accumulate`: as many
    floats as the target has, from `offset` on, or from `offset[column]`.

    `scope` says whether it holds for the whole event or for this position's column of the aligned
    sequence (or, in a row sweep, for each column its own).
    """

    scope: Literal["global", "local"]
    offset: int | tuple[int, ...]
    target: Target
    accumulate: bool = True


@dataclass(frozen=True)
class Gate:
    """target = squash(first part of source) * sigmoid(second part), squash being tanh or none."""

    source: Register
    target: Register
    squash: Literal["tanh", "none"] = "tanh"


@dataclass(frozen=True)
class Activation:
    """target = kind(source). A concat_elu has twice the width, in two parts: elu(x), elu(−x).

    Both are registers or both are windows, which may be one and the same.
    """

    kind: Literal["relu", "tanh", "concat_elu"]
    source: Target
    target: Target


@dataclass(frozen=True)
class Add:
    """target += source."""

    source: Source
    target: Register


@dataclass(frozen=True)
class Write:
    """grid at this position = source."""

    source: Register
    grid: Grid


@dataclass(frozen=True)
class Draw:
    """Draw a symbol of this position from the distribution with these parameters.

    The first draw of a step is channel 0 (red), the next one channel 1, ...
    """

    parameters: Register
    distribution: Distribution


@dataclass(frozen=True, eq=False)
class Embed:
    """target = the table's row of the symbol just drawn; `table` is (levels, target width)."""

    table: Tensor
    target: Target
    channel: int = 0


@dataclass(frozen=True)
class Value:
    """target = scale · the symbol just drawn + shift, one float; of a real number it is computed in
    float64."""

    scale: float
    shift: float
    target: Target
    channel: int = 0


@dataclass(frozen=True)
class ColourMixture:
    """target = `distributions.colour_mixture` of the raw outputs, given the colours drawn so far.

    `channel` is the colour that the target is for: that many are drawn before.
    """

    raw: Register
    channel: int
    distribution: LogisticMixture
    target: Register


@dataclass(frozen=True)
class When:
    """Ops that are due only where row mod row_step = row and column mod column_step = column.

    In a row sweep they run over the columns where they are due, and their registers hold one vector
    for each of those.
    """

    ops: tuple[Op, ...]
    row_step: int = 1
    row: int = 0
    column_step: int = 1
    column: int = 0


Op = (
    Dense
    | ByColumn
    | Condition
    | Gate
    | Activation
    | Add
    | Write
    | Draw
    | Embed
    | Value
    | ColourMixture
)


def sources(op: Op) -> Iterator[Source]:
    """What an op reads."""
    match op:
        case Dense() | ByColumn():
            yield from op.sources
        case Gate() | Activation() | Add() | Write():
            yield op.source
        case Draw():
            yield op.parameters
        case ColourMixture():
            yield op.raw
        case Condition() | Embed() | Value():
            pass


def changed(op: Op) -> Register | Grid | None:
    """What an op changes, as a whole or in a window. A draw changes no float."""
    match op:
        case Draw():
            return None
        case Write(grid=grid):
            return grid
        case _:
            return op.target.of if isinstance(op.target, Window) else op.target


def differs_by_column(op: Op) -> bool:
    """Whether an op has weights, windows or offsets of its own at each column."""
    places = [*sources(op), getattr(op, "target", None)]
    own = isinstance(op, ByColumn) or isinstance(getattr(op, "offset", None), tuple)
    return own or any(isinstance(place, Window) for place in places)


def placed(items: Sequence[Op | When]) -> Iterator[tuple[Op, When]]:
    """Every op of a list, and when it is due: a `When` without ops."""
    for item in items:
        due = replace(item, ops=()) if isinstance(item, When) else When(())
        yield from ((op, due) for op in (item.ops if isinstance(item, When) else (item,)))


def width_at(place: Source, column: int) -> int:
    """How many floats a source or a target has at a column."""
    match place:
        case Window(widths=widths):
            return widths[column]
        case Read(grid=grid):
            return grid.width
        case Register(width=width):
            return width


def offset_at(op: Condition, column: int) -> int:
    """Where what an op takes of the projected conditioning begins, at a column."""
    return op.offset[column] if isinstance(op.offset, tuple) else op.offset
