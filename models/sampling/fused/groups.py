"""What of a program runs together, position by position.

In the step all ops that are due at the same positions follow each other at once. A row sweep goes
layer by layer, since a layer looks to the right in the row of the layer before it; but the ops of
one layer may follow each other at each column:

    sweep       for each group: for each column: its ops          step     its ops
    registers   live within a column of a group                            live within a group

What a later group needs of a register is *kept*, in a grid that no one else sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ancestral.models.sampling.ops import (
    Grid,
    Op,
    Read,
    Register,
    When,
    changed,
    differs_by_column,
    placed,
    sources,
)
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class Group:
    """Ops that follow each other at each position where they are due."""

    due: When
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class Groups:
    """A program in groups, and where registers are kept that several of them use."""

    sweep: tuple[Group, ...]
    step: tuple[Group, ...]
    kept: dict[Register, Grid]

    @staticmethod
    def of(program: StepProgram) -> Groups:
        """The groups of a program."""
        sweep = tuple(_apart(_together(list(placed(program.row_sweep)))))
        step = tuple(_together(list(placed(program.step))))
        return Groups(sweep, step, _kept([*sweep, *step], program.columns or 1))


def is_supported(program: StepProgram) -> bool:
    """Whether kernels know all that a program is made of: nothing by column, no whole frames, and
    symbols of levels."""
    return (
        not program.frame_sweep
        and program.levels is not None
        and all(grid.frames == 1 for grid in program.grids)
        and not any(differs_by_column(op) for op in program.ops)
    )


def _together(ordered: Sequence[tuple[Op, When]]) -> Iterator[Group]:
    """Neighbours that are due together."""
    ops: list[Op] = []
    for number, (op, due) in enumerate(ordered):
        ops.append(op)
        if number + 1 == len(ordered) or ordered[number + 1][1] != due:
            yield Group(due, tuple(ops))
            ops = []


def _apart(groups: Iterator[Group]) -> Iterator[Group]:
    """Cut where an op reads, at another column, what its own group has written in this row."""
    for group in groups:
        ops: list[Op] = []
        written: set[Grid] = set()
        for op in group.ops:
            beside = {
                read.grid
                for read in sources(op)
                if isinstance(read, Read) and read.dy == 0 and read.dx != 0
            }
            if written & beside:
                yield Group(group.due, tuple(ops))
                ops, written = [], set()
            ops.append(op)
            if isinstance(target := changed(op), Grid):
                written.add(target)
        yield Group(group.due, tuple(ops))


def _kept(groups: Sequence[Group], columns: int) -> dict[Register, Grid]:
    """A grid for each register that several groups use."""
    users: dict[Register, set[int]] = {}
    for number, group in enumerate(groups):
        for register in registers(group.ops):
            users.setdefault(register, set()).add(number)
    return {
        register: Grid(1, columns, register.width, register.parts)
        for register, numbers in users.items()
        if len(numbers) > 1
    }


def registers(ops: Sequence[Op]) -> Iterator[Register]:
    """Every use of a register, in order."""
    for op in ops:
        yield from (source for source in sources(op) if isinstance(source, Register))
        if isinstance(target := changed(op), Register):
            yield target
