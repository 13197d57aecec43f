"""A program that contradicts itself is refused when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ancestral.models.errors import ProgramError
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ByColumn,
    ColourMixture,
    Condition,
    Dense,
    Draw,
    Embed,
    Gate,
    Grid,
    Op,
    Read,
    Value,
    When,
    Window,
    Write,
    source_width,
    sources,
)

if TYPE_CHECKING:
    from ancestral.models.sampling.program import StepProgram


def check_program(program: StepProgram) -> None:
    """Raises ProgramError when the ops do not fit each other."""
    _check_lists(program)
    written, remembered = set(program.grids), set[Grid]()
    sweeps = len(program.frame_sweep), len(_flat(program.row_sweep))
    drawn = 0
    for place, (op, when) in enumerate(program.placed_ops()):
        in_frame = place < sweeps[0]
        in_row = not in_frame and place < sum(sweeps)
        if isinstance(op, Draw):
            drawn += 1
        _check_widths(op)
        _check_columns(program, op)
        if isinstance(op, Condition):
            width = program.global_width if op.scope == "global" else program.local_width
            if op.offset + op.target.width > width:
                raise ProgramError(
                    f"floats {op.offset} to {op.offset + op.target.width} of {op.scope} "
                    f"conditioning, of which {width} are projected"
                )
            if op.scope == "local" and (when.row_step, when.column_step) != (1, 1):
                raise ProgramError("aligned conditioning is for every position, not for some")
        if isinstance(op, Embed | Value) and not op.channel < drawn:
            raise ProgramError("an op looks up a symbol that is drawn behind it: put it after")
        if isinstance(op, ColourMixture) and op.channel > drawn:
            raise ProgramError(f"the mixture of colour {op.channel} needs the colours before it")
        for source in sources(op):
            if isinstance(source, Read):
                if source.grid not in written:
                    raise ProgramError("a grid is read that is never written")
                _check_read(program, source, when, in_frame=in_frame, in_row=in_row)
                if source.grid not in remembered:
                    _check_before(source, in_frame=in_frame, in_row=in_row)
        if isinstance(op, Write):
            _check_read(program, Read(op.grid, 0, 0), when, in_frame=in_frame, in_row=in_row)
            remembered.add(op.grid)


def _check_lists(program: StepProgram) -> None:
    if not program.draws or any(
        isinstance(op, Draw | Embed | Value | ColourMixture)
        for op in (*program.frame_sweep, *_flat(program.row_sweep))
    ):
        raise ProgramError("a program draws in its step, and not in its sweeps")
    whens = [item for item in (*program.row_sweep, *program.step) if isinstance(item, When)]
    if any(isinstance(op, Draw) for when in whens for op in when.ops):
        raise ProgramError("a symbol is drawn at every position: take the draw out of its When")
    if any(w.row >= w.row_step or w.column >= w.column_step for w in whens):
        raise ProgramError("a When is never due: its row and column lie below their steps")
    if (program.rows is None) != (program.columns is None):
        raise ProgramError("rows and columns are both known or both not")
    if program.columns is None and (program.row_sweep or program.frame_sweep):
        raise ProgramError("a sweep needs rows of known length: give the program its columns")
    _check_strides(program, whens)
    if any(isinstance(op, Condition) and op.scope == "local" for op in program.frame_sweep):
        raise ProgramError("aligned conditioning belongs to the step or the row sweep")
    if len({draw.distribution.levels for draw in program.draws}) > 1:
        raise ProgramError("all colours have the same levels")
    for draw in program.draws:
        if draw.parameters.width != draw.distribution.parameters:
            raise ProgramError(
                f"{draw.parameters.width} parameters cannot draw from a distribution of "
                f"{draw.distribution.parameters}"
            )


def _check_strides(program: StepProgram, whens: list[When]) -> None:
    """An image is whole cells, and a whole number of rounds of what is due."""
    if program.rows is None or program.columns is None:
        return
    steps = [(when.row_step, when.column_step) for when in whens]
    steps += [(grid.row_stride, grid.column_stride) for grid in program.grids]
    if any(program.rows % row or program.columns % column for row, column in steps):
        raise ProgramError(
            f"strides and steps divide the {program.rows} rows and {program.columns} columns"
        )


def _check_read(
    program: StepProgram, read: Read, when: When, *, in_frame: bool, in_row: bool
) -> None:
    """A read stays in the past, and within what its grid keeps of it."""
    grid, where = read.grid, _where(read)
    # A frame sweep knows its whole frame, a row sweep its whole row, a step its row so far.
    ahead = read.dz > 0
    if read.dz == 0 and not in_frame:
        ahead = read.dy > 0 or (read.dy == 0 and read.dx > 0 and not in_row)
    if ahead:
        raise ProgramError(f"a read at {where} is of what is not drawn yet")
    if -read.dz >= grid.frames:
        raise ProgramError(f"a read {-read.dz} frames before of a grid that keeps {grid.frames}")
    if program.columns is None:
        if read.dy != 0 or -read.dx > grid.columns:
            raise ProgramError(f"a read at {where} of a ring that keeps {grid.columns} columns")
        return
    assert program.rows is not None
    whole = program.rows // grid.row_stride
    if (grid.frames > 1 or in_frame) and grid.rows != whole:
        raise ProgramError(f"a grid over frames keeps all {whole} rows, not {grid.rows}")
    if grid.rows < whole and -read.dy >= grid.rows:
        raise ProgramError(f"a read {-read.dy} rows above of a grid that keeps {grid.rows}")
    if grid.columns < program.columns // grid.column_stride:
        if program.rows != 1 or in_row or in_frame or -read.dx > grid.columns:
            raise ProgramError(f"a read at {where} of a ring that keeps {grid.columns} columns")
    if (in_row and when.column_step % grid.column_stride) or (in_frame and grid.column_stride > 1):
        raise ProgramError(
            f"a sweep of every {when.column_step} columns of a grid with stride "
            f"{grid.column_stride}: let it be due for each of its columns apart"
        )


def _check_before(read: Read, *, in_frame: bool, in_row: bool) -> None:
    """What the same list or a later one writes is not there yet in the frame, row or position."""
    if read.dz == 0 and (in_frame or (read.dy == 0 and (in_row or read.dx == 0))):
        raise ProgramError(f"a read at {_where(read)} of what is written after it: write it first")


def _where(read: Read) -> str:
    return f"({read.dz}, {read.dy}, {read.dx})" if read.dz else f"({read.dy}, {read.dx})"


def _check_columns(program: StepProgram, op: Op) -> None:
    """What changes with the column has one for each."""
    windows = [source for source in sources(op) if isinstance(source, Window)]
    if (windows or isinstance(op, ByColumn)) and program.rows != 1:
        raise ProgramError("weights and windows change with the column in programs of one row")
    for window in windows:
        if len(window.starts) != program.columns or any(
            not 0 <= start <= window.register.width - window.width for start in window.starts
        ):
            raise ProgramError("a window lies inside its register, at each column")
        if window.register.parts != 1:
            raise ProgramError("a window is of a register of one part")
    if isinstance(op, ByColumn) and len(op.weight) != program.columns:
        raise ProgramError(f"weights for {len(op.weight)} of {program.columns} columns")


def _check_widths(op: Op) -> None:
    match op:
        case Dense(sources=sources_, weight=weight, bias=bias, target=target):
            _check_dense(sum(map(source_width, sources_)), target.width, weight.shape, bias)
        case ByColumn(sources=sources_, weight=weight, bias=bias, target=target):
            shared = None if bias is None else bias[0]
            _check_dense(sum(map(source_width, sources_)), target.width, weight.shape[1:], shared)
        case Gate(source=source, target=target):
            if source.parts != 2 or source.width != 2 * target.width:
                raise ProgramError(f"a gate halves {source.width} floats into {target.width}")
        case Activation(kind=kind, source=source, target=target):
            parts = 2 if kind == "concat_elu" else 1
            if target.width != parts * source.width:
                raise ProgramError(f"{kind} makes {target.width} of {source.width} floats")
            if kind == "concat_elu" and (source.parts, target.parts) != (1, 2):
                raise ProgramError("concat_elu makes a register of two parts from one of one")
        case Embed(table=table, target=target):
            if table.shape[1] != target.width:
                raise ProgramError(f"embeddings of {table.shape[1]} floats for {target.width}")
        case Value(target=target):
            if target.width != 1:
                raise ProgramError(f"a value is one float, not {target.width}")
        case ColourMixture(raw=raw, target=target, distribution=distribution):
            count = distribution.components
            if (raw.width, target.width) != (10 * count, 3 * count):
                raise ProgramError(
                    f"{count} components need 10 floats each, not {raw.width} in all"
                )
        case Write(source=source, grid=grid):
            if (source.width, source.parts) != (grid.width, grid.parts):
                raise ProgramError(f"{source.width} floats written to a grid of {grid.width}")
        case Add(source=source, target=target):
            if source_width(source) != target.width:
                raise ProgramError(f"{source_width(source)} floats added to {target.width}")
        case Condition() | Draw():
            pass


def _check_dense(reads: int, width: int, shape: tuple[int, ...], bias: object) -> None:
    if tuple(shape) != (width, reads):
        raise ProgramError(f"a dense op from {reads} to {width} has weights {tuple(shape)}")
    if bias is not None and tuple(getattr(bias, "shape", ())) != (width,):
        raise ProgramError(f"a bias of {tuple(getattr(bias, 'shape', ()))} for {width} outputs")


def _flat(items: tuple[Op | When, ...]) -> list[Op]:
    return [op for item in items for op in (item.ops if isinstance(item, When) else (item,))]
