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
    Register,
    Source,
    Target,
    Value,
    When,
    Window,
    Write,
    differs_by_column,
    offset_at,
    placed,
    sources,
    width_at,
)

if TYPE_CHECKING:
    from ancestral.models.sampling.program import StepProgram


def check_program(program: StepProgram) -> None:
    """Raises ProgramError when the ops do not fit each other."""
    _check_lists(program)
    written, remembered = set(program.grids), set[Grid]()
    sweeps = len(program.frame_sweep), len(list(placed(program.row_sweep)))
    drawn = 0
    for place, (op, when) in enumerate(program.placed_ops()):
        in_frame = place < sweeps[0]
        in_row = not in_frame and place < sum(sweeps)
        if isinstance(op, Draw):
            drawn += 1
        _check_columns(program, op, in_step=not in_frame and not in_row)
        for column in range(program.columns or 0) if differs_by_column(op) else (0,):
            _check_widths(op, column)
            if isinstance(op, Condition):
                _check_condition(program, op, column)
        if isinstance(op, Condition) and op.scope == "local":
            if (when.row_step, when.column_step) != (1, 1):
                raise ProgramError("aligned conditioning is for every position, not for some")
        if isinstance(op, Embed | Value) and not 0 <= op.channel < drawn:
            raise ProgramError("an op looks up a symbol that is drawn behind it: put it after")
        if isinstance(op, Embed) and len(op.table) != program.levels:
            count = program.levels or "endlessly many"
            raise ProgramError(f"embeddings of {len(op.table)} symbols, of which there are {count}")
        if isinstance(op, ColourMixture) and op.channel not in range(3):
            raise ProgramError(f"there is no colour {op.channel}: a pixel has 0, 1 and 2")
        if isinstance(op, ColourMixture) and op.channel > drawn:
            raise ProgramError(f"the mixture of colour {op.channel} needs the colours before it")
        for source in sources(op):
            grid = _grid(source)
            if grid is not None and grid not in written:
                raise ProgramError("a grid is read that is never written")
            if isinstance(source, Read):
                _check_read(program, source, when, in_frame=in_frame, in_row=in_row)
                if source.grid not in remembered:
                    _check_before(source, in_frame=in_frame, in_row=in_row)
        if isinstance(op, Write):
            _check_read(program, Read(op.grid, 0, 0), when, in_frame=in_frame, in_row=in_row)
            remembered.add(op.grid)


def _grid(source: Source) -> Grid | None:
    """The grid that a source is of, if it is of one."""
    of = source.grid if isinstance(source, Read) else source
    of = of.of if isinstance(of, Window) else of
    return of if isinstance(of, Grid) else None


def _check_lists(program: StepProgram) -> None:
    if not program.draws or any(
        isinstance(op, Draw | Embed | Value | ColourMixture)
        for op, _ in placed((*program.frame_sweep, *program.row_sweep))
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


def _check_columns(program: StepProgram, op: Op, *, in_step: bool) -> None:
    """What changes with the column has one for each, in the step of a single row."""
    if not differs_by_column(op):
        return
    if program.rows != 1 or not in_step:
        raise ProgramError("a step changes with the column in programs of one row, a sweep never")
    for window in _windows(op):
        _check_window(window, program.columns or 0)
    if isinstance(op, ByColumn) and len(op.weight) != program.columns:
        raise ProgramError(f"weights for {len(op.weight)} of {program.columns} columns")
    if isinstance(op, Condition) and isinstance(op.offset, tuple):
        if len(op.offset) != program.columns:
            raise ProgramError(f"offsets for {len(op.offset)} of {program.columns} columns")
        if not isinstance(op.target, Window) and op.target.parts != 1:
            raise ProgramError("conditioning by column is for a register of one part")


def _check_window(window: Window, columns: int) -> None:
    of = window.of
    if isinstance(of, Grid):
        strides = of.row_stride, of.column_stride
        if (of.rows, of.columns, of.frames, *strides) != (1, 1, 1, 1, 1):
            raise ProgramError("a window is of a register or of a grid of a single cell")
    if of.parts != 1:
        raise ProgramError("a window is of floats in one part")
    if not len(window.starts) == len(window.widths) == columns or any(
        not 0 <= start <= start + width <= of.width
        for start, width in zip(window.starts, window.widths, strict=True)
    ):
        raise ProgramError("a window lies inside what it is of, at each column")


def _windows(op: Op) -> list[Window]:
    places: list[object] = [*sources(op)]
    if not isinstance(op, Draw | Write):
        places.append(op.target)
    return [place for place in places if isinstance(place, Window)]


def _check_condition(program: StepProgram, op: Condition, column: int) -> None:
    offset = offset_at(op, column)
    end = offset + width_at(op.target, column)
    width = program.global_width if op.scope == "global" else program.local_width
    if offset < 0 or end > width:
        raise ProgramError(
            f"floats {offset} to {end} of {op.scope} conditioning, of which {width} are projected"
        )


def _check_widths(op: Op, column: int) -> None:
    match op:
        case Dense() | ByColumn():
            _check_dense(op, column)
        case Activation():
            _check_activation(op, column)
        case Gate(source=source, target=target):
            if source.parts != 2 or source.width != 2 * target.width:
                raise ProgramError(f"a gate halves {source.width} floats into {target.width}")
        case Embed(table=table, target=target):
            if table.shape[1] != width_at(target, column):
                raise ProgramError(
                    f"embeddings of {table.shape[1]} floats for {width_at(target, column)}"
                )
        case Value(target=target):
            if width_at(target, column) != 1:
                raise ProgramError(f"a value is one float, not {width_at(target, column)}")
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
            if width_at(source, column) != target.width:
                raise ProgramError(f"{width_at(source, column)} floats added to {target.width}")
        case Condition() | Draw():
            pass


def _check_dense(op: Dense | ByColumn, column: int) -> None:
    reads = sum(width_at(source, column) for source in op.sources)
    width = width_at(op.target, column)
    weight = op.weight[column] if isinstance(op, ByColumn) else op.weight
    if tuple(weight.shape) != (width, reads):
        raise ProgramError(f"a dense op from {reads} to {width} has weights {tuple(weight.shape)}")
    bias = op.bias if isinstance(op, Dense) else None
    if bias is not None and tuple(bias.shape) != (width,):
        raise ProgramError(f"a bias of {tuple(bias.shape)} for {width} outputs")
    if any(_overlap(source, op.target, column) for source in op.sources):
        raise ProgramError("a dense op changes what it reads")


def _check_activation(op: Activation, column: int) -> None:
    kind, source, target = op.kind, op.source, op.target
    read, made = width_at(source, column), width_at(target, column)
    if made != (2 if kind == "concat_elu" else 1) * read:
        raise ProgramError(f"{kind} makes {made} of {read} floats")
    if isinstance(source, Window) != isinstance(target, Window):
        raise ProgramError("an activation is of registers or of windows, not of both")
    if _overlap(source, target, column) and _range(source, column) != _range(target, column):
        raise ProgramError("an activation's windows are one and the same, or apart")
    if kind == "concat_elu":
        parts = [1 if isinstance(place, Window) else place.parts for place in (source, target)]
        if parts != [1, 2]:
            raise ProgramError("concat_elu makes a register of two parts from one of one")


def _overlap(source: Source, target: Target, column: int) -> bool:
    """Whether two places have a float in common."""
    if isinstance(source, Read):
        return False
    (of, first, behind), (other, start, end) = _range(source, column), _range(target, column)
    return of is other and max(first, start) < min(behind, end)


def _range(place: Target, column: int) -> tuple[Register | Grid, int, int]:
    """What a place is of, and where it begins and ends there."""
    if isinstance(place, Window):
        start = place.starts[column]
        return place.of, start, start + place.widths[column]
    return place, 0, place.width
