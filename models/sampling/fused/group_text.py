"""The text of a group of ops: its lines, the names of what is at hand, and where the rest lies.

Within a group a register is a few names of blocks. What outlasts it lies in grids, in a slot's
memory, from where it is taken and where it is put; how far away that is stands in a table, so that
like layers have like texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from ancestral.models.sampling.fused.groups import registers
from ancestral.models.sampling.fused.names import Names, Variables
from ancestral.models.sampling.fused.places import Places
from ancestral.models.sampling.fused.rolled import Lines
from ancestral.models.sampling.fused.tables import UNIT, Tables, register_blocks, source_blocks
from ancestral.models.sampling.ops import Grid, Op, Read, Register, Source
from ancestral.models.sampling.program import StepProgram


class GroupText:
    """What is said so far of one group; `column` is the name of the column that it runs at, and
    `kept` are the grids in which registers outlast their groups."""

    def __init__(
        self,
        program: StepProgram,
        ops: Sequence[Op],
        column: str,
        tables: Tables,
        places: Places,
        kept: dict[Register, Grid],
    ) -> None:
        self._program = program
        self._ops = ops
        self._column = column
        self._tables = tables
        self._places = places
        self._kept = {register: grid for register, grid in kept.items() if _uses(ops, register)}
        self._variables = Variables(ops)
        #: The register that a grid's cell at this position was written from, if it is unchanged.
        self._fresh: dict[Grid, Register] = {}
        self._units: list[Lines] = []
        self._lines: list[str] = []
        self._began = tables.told

    def _end_unit(self) -> None:
        """Let what follows be a piece of its own, which may repeat."""
        told = self._tables.told - self._began
        if told:
            self._say(f"at = at + {told}")
        if self._lines:
            self._units.append(tuple(self._lines))
        self._lines, self._began = [], self._tables.told

    def _say(self, line: str) -> None:
        self._lines.append(line)

    def _next(self) -> str:
        """Where the next number of the table is, as the text says it."""
        return f"at + {self._tables.told - self._began}"

    def _begin(self, register: Register) -> Names:
        """Names for what is about to be computed into a register."""
        return self._variables.new(register_blocks(register))

    def _end(self, register: Register, names: Names) -> None:
        """Say that a register holds what was computed."""
        self._variables.hold(register, names)
        self._fresh = {grid: of for grid, of in self._fresh.items() if of is not register}

    def _read_register(self, register: Register) -> Names:
        """The names of a register's blocks, brought here from where another group kept it."""
        names = self._variables.held(register)
        if names is None:
            names = self._begin(register)
            self._take(Read(self._kept[register], 0, 0), names)
            self._variables.hold(register, names)
        return names

    def _read(self, source: Source) -> tuple[Names, bool]:
        """The names of what an op reads, and whether they are to be given back."""
        if isinstance(source, Register):
            return self._read_register(source), False
        assert isinstance(source, Read)
        at_hand = self._fresh.get(source.grid)
        if (source.dy, source.dx) == (0, 0) and at_hand is not None:
            names = self._variables.held(at_hand)
            if names is not None:
                return names, False
            # The register is gone; its floats are in the grid, where others may have put them.
            self._say("barrier()")
        names = self._variables.new(source_blocks(source))
        self._take(source, names)
        return names, True

    def _take(self, read: Read, names: Names) -> None:
        self._find(read.grid, read.dy, read.dx)
        for name, block in zip(names, source_blocks(read), strict=True):
            self._say(
                f"{name} = take(grids, memory, cell, seen, {block.start}, {block.width}, "
                f"{block.lanes})"
            )

    def _find(self, grid: Grid, dy: int, dx: int) -> None:
        """Say where a cell lies, and whether there is anything."""
        place, first = self._places.grids[grid], self._next()
        if self._program.columns is None:
            self._tables.tell(place.start // UNIT, place.columns, dx)
            self._say(
                f"cell, seen = sound_cell(clock, age, numbers, {first}, {grid.column_stride}, "
                f"{place.stride})"
            )
            return
        self._tables.tell(place.start // UNIT, place.rows, place.columns, dy, dx)
        cells = self._program.columns // grid.column_stride
        self._say(
            f"cell, seen = image_cell(row, {self._column}, event_row, numbers, {first}, "
            f"{grid.row_stride}, {grid.column_stride}, {cells}, {place.stride})"
        )

    def _write(self, source: Register, grid: Grid) -> None:
        names = self._read_register(source)
        self._find(grid, 0, 0)
        for name, block in zip(names, register_blocks(source), strict=True):
            self._say(
                f"put(grids, memory, cell, {name}, {block.start}, {block.width}, {block.lanes})"
            )


def _uses(ops: Sequence[Op], register: Register) -> bool:
    return register in set(registers(ops))
