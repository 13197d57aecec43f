"""A step is a small program.

Sampling one symbol needs the same few things in every family: read what was remembered some steps
ago, multiply, gate, add, remember, draw. So a network *emits* its step once, as plain data, and an
executor runs it for many slots at a time.

    registers   float vectors, one per slot, alive within a step
    grids       memories (rows kept, columns, width), one per slot, read relative to the position

An image is drawn in raster order; a sound is an image of one row, without an end:

            columns →                           a grid that keeps two rows of an image
      row   ┌───┬───┬───┬───┬───┐
       r−1  │ · │ a │ b │ c │ · │               a = Read(grid, -1, -1)   b = Read(grid, -1, 0)
        r   │ · │ d │ ● │   │   │               d = Read(grid, 0, -1)    ● = the position
            └───┴───┴───┴───┴───┘
                                                a grid of one row that keeps four columns is a ring
            ┌───┬───┬───┬───┐
            │ t │t-3│t-2│t-1│                   Read(grid, 0, -3) and Read(grid, 0, -1), where
            └───┴───┴───┴───┘                   column t lies at t mod 4

A read outside the event, or before a slot's first position, gives zeros: that *is* the causal
padding.

A program has two op lists. `step` runs at every position and holds exactly one `Draw`; ops behind
the draw see the new symbol. `sweep` runs when a row begins, over all its columns at once, layer by
layer: the vertical stack of a gated PixelCNN looks to the right of a pixel in the rows above, which
are known by then. In a sweep a register holds one vector per slot and column.

Slots that share a tile stand at the same column, so a slot is admitted on a *period* boundary: any
step for a sound, the start of a row for a swept image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ancestral.models.errors import ProgramError


@dataclass(frozen=True, eq=False)
class Register:
    """A float vector per slot. A gated one has `parts=2`: what becomes tanh, then the sigmoid."""

    width: int
    parts: int = 1


@dataclass(frozen=True, eq=False)
class Grid:
    """What is remembered of `width` floats per position: the last `rows` rows of an image, or the
    last `columns` columns of a sound."""

    rows: int
    columns: int
    width: int
    parts: int = 1


@dataclass(frozen=True)
class Read:
    """The grid at (row + dy, column + dx); zeros where there is nothing."""

    grid: Grid
    dy: int
    dx: int


Source = Register | Read


@dataclass(frozen=True, eq=False)
class Dense:
    """target = weight · concatenation of sources + bias, added to the target if `accumulate`.

    `weight` is (target width, sum of source widths), `bias` (target width,).
    """

    sources: tuple[Source, ...]
    weight: Tensor
    bias: Tensor | None
    target: Register
    accumulate: bool = False


@dataclass(frozen=True)
class Condition:
    """target += the slot's projected conditioning, `target.width` floats from `offset` on.

    `scope` says whether it holds for the whole event or for this position's column of the aligned
    sequence (column `position // hop`).
    """

    scope: Literal["global", "local"]
    offset: int
    target: Register


@dataclass(frozen=True)
class Gate:
    """target = tanh(first part of source) * sigmoid(second part)."""

    source: Register
    target: Register


@dataclass(frozen=True)
class Relu:
    """target = max(source, 0)."""

    source: Register
    target: Register


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
    """Draw this position's symbol from the softmax over `logits`."""

    logits: Register


@dataclass(frozen=True, eq=False)
class Embed:
    """target = the table's row of the symbol just drawn; `table` is (levels, target width)."""

    table: Tensor
    target: Register


Op = Dense | Condition | Gate | Relu | Add | Write | Draw | Embed


@dataclass(frozen=True)
class StepProgram:
    """One step of a network, ready for an executor.

    `columns` is the width of an image, or None for a sound, whose length each request decides.
    `global_width` and `local_width` are the floats of projected conditioning per slot and per
    column of its aligned sequence; one such column serves `hop` positions.
    """

    levels: int
    columns: int | None
    step: tuple[Op, ...]
    sweep: tuple[Op, ...] = ()
    global_width: int = 0
    local_width: int = 0
    hop: int = 1

    def __post_init__(self) -> None:
        _check(self)

    @property
    def period(self) -> int:
        """Positions between two moments at which a slot can be admitted."""
        return self.columns if self.sweep and self.columns else 1

    @property
    def ops(self) -> tuple[Op, ...]:
        return self.sweep + self.step

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Every grid, in the order of first writing."""
        return tuple(dict.fromkeys(op.grid for op in self.ops if isinstance(op, Write)))

    @property
    def multiply_adds_per_symbol(self) -> int:
        """Products that one drawn symbol costs; each column of a sweep serves one symbol."""
        return sum(op.weight.numel() for op in self.ops if isinstance(op, Dense))


def sources(op: Op) -> Iterator[Source]:
    """What an op reads."""
    match op:
        case Dense():
            yield from op.sources
        case Gate() | Relu() | Add() | Write():
            yield op.source
        case Draw():
            yield op.logits
        case Condition() | Embed():
            pass


def _check(program: StepProgram) -> None:
    draws = [op for op in program.step if isinstance(op, Draw)]
    if len(draws) != 1 or any(isinstance(op, Draw | Embed) for op in program.sweep):
        raise ProgramError("a program draws exactly once, in its step and not in its sweep")
    if program.sweep and program.columns is None:
        raise ProgramError("a sweep needs rows of known length: give the program its columns")
    if any(isinstance(op, Condition) and op.scope == "local" for op in program.sweep):
        raise ProgramError("aligned conditioning is for one position: it belongs to the step")
    if draws[0].logits.width != program.levels:
        raise ProgramError(f"{draws[0].logits.width} logits cannot draw {program.levels} levels")
    written = set(program.grids)
    drawn = False
    for place, op in enumerate(program.ops):
        drawn = drawn or isinstance(op, Draw)
        _check_widths(op)
        if isinstance(op, Condition):
            width = program.global_width if op.scope == "global" else program.local_width
            if op.offset + op.target.width > width:
                raise ProgramError(
                    f"floats {op.offset} to {op.offset + op.target.width} of {op.scope} "
                    f"conditioning, of which {width} are projected"
                )
        if isinstance(op, Embed) and not drawn:
            raise ProgramError("an embed looks up the symbol just drawn: put it behind the draw")
        for source in sources(op):
            if isinstance(source, Read):
                if source.grid not in written:
                    raise ProgramError("a grid is read that is never written")
                _check_read(program, source, swept=place < len(program.sweep))


def _check_read(program: StepProgram, read: Read, swept: bool) -> None:
    """A read stays in the past, and within what its grid keeps of it."""
    # A sweep knows its whole row; a step knows its row up to the position.
    if read.dy > 0 or (read.dy == 0 and read.dx > 0 and not swept):
        raise ProgramError(f"a read at ({read.dy}, {read.dx}) is of what is not drawn yet")
    if program.columns is None:
        if read.dy != 0 or -read.dx > read.grid.columns:
            raise ProgramError(
                f"a read at ({read.dy}, {read.dx}) of a ring that keeps {read.grid.columns} columns"
            )
    elif -read.dy >= read.grid.rows:
        raise ProgramError(f"a read {-read.dy} rows above of a grid that keeps {read.grid.rows}")


def _check_widths(op: Op) -> None:
    match op:
        case Dense(sources=sources_, weight=weight, bias=bias, target=target):
            reads = sum(s.grid.width if isinstance(s, Read) else s.width for s in sources_)
            if tuple(weight.shape) != (target.width, reads):
                raise ProgramError(
                    f"a dense op from {reads} to {target.width} has weights {tuple(weight.shape)}"
                )
            if bias is not None and tuple(bias.shape) != (target.width,):
                raise ProgramError(f"a bias of {tuple(bias.shape)} for {target.width} outputs")
        case Gate(source=source, target=target):
            if source.parts != 2 or source.width != 2 * target.width:
                raise ProgramError(f"a gate halves {source.width} floats into {target.width}")
        case Embed(table=table, target=target):
            if table.shape[1] != target.width:
                raise ProgramError(f"embeddings of {table.shape[1]} floats for {target.width}")
        case Write(source=source, grid=grid):
            if (source.width, source.parts) != (grid.width, grid.parts):
                raise ProgramError(f"{source.width} floats written to a grid of {grid.width}")
        case Condition() | Relu() | Add() | Draw():
            pass
