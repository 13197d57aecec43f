"""Where the native executor keeps things: grids, registers, and the operands that point to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ancestral.models.sampling.native.structures import (
    BLOCK,
    GridStructure,
    Image,
    OperandKind,
    OperandStructure,
    RegisterStructure,
)
from ancestral.models.sampling.ops import Grid, Read, Register, Source, Window
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class GridShape:
    """How one grid lies in memory: (frames, rows, columns, width), and the slots of a unit behind.

    `ring`: columns go round; `whole`: rows have a place of their own, else they go round.
    """

    frames: int
    rows: int
    columns: int
    width: int
    ring: bool
    whole: bool

    @staticmethod
    def of(grid: Grid, program: StepProgram, slack: int) -> GridShape:
        """A grid's shape in a program; rings of a sound hold `slack` columns more."""
        whole = bool(program.frame_sweep) and grid.rows == (program.rows or 1) // grid.row_stride
        if program.columns is None:
            columns, ring = grid.columns + slack, True
        else:
            cells = program.columns // grid.column_stride
            columns, ring = min(grid.columns, cells), grid.columns < cells
        return GridShape(grid.frames, grid.rows, columns, grid.width, ring, whole)

    @property
    def cells(self) -> tuple[int, int, int, int]:
        """All of it, for one slot."""
        return self.frames, self.rows, self.columns, self.width

    def structure(self, grid: Grid, program: StepProgram) -> GridStructure:
        """As the executor is told."""
        return GridStructure(
            *self.cells,
            grid.row_stride,
            grid.column_stride,
            event_rows=(program.rows or 0) // grid.row_stride,
            event_columns=(program.columns or 0) // grid.column_stride,
            whole_rows=self.whole,
            ring=self.ring,
            floats=int(np.prod(self.cells)),
        )


class Layout:
    """The registers of a slot, one behind the other, and all operands.

    A register of a sweep is another one than that of a step: what it belongs to is its `span`.
    """

    def __init__(self, program: StepProgram, image: Image) -> None:
        self._image = image
        self._grids = {grid: number for number, grid in enumerate(program.grids)}
        self._operands: dict[tuple[Source, object], int] = {}
        self._registers: dict[tuple[Register, object], int] = {}
        self.operands: list[OperandStructure] = []
        self.registers: list[RegisterStructure] = []
        # The first floats stay zero: what lies beyond the edges is read there.
        self.scratch = in_blocks(max((grid.width for grid in program.grids), default=0)) + BLOCK

    def operand(self, place: Source, span: object, vectors: int) -> int:
        """The number of an operand; a register holds so many vectors of each slot."""
        key = (place, None if isinstance(place, Read) else span)
        if key not in self._operands:
            made = self._made(place, span, vectors)
            self._operands[key] = len(self.operands)
            self.operands.append(made)
        return self._operands[key]

    def side_by_side(self, operands: list[int]) -> int:
        """The first of operands that lie one after another, put there if they do not."""
        if not operands:
            return 0
        first = operands[0]
        if operands != list(range(first, first + len(operands))):
            first = len(self.operands)
            self.operands += [self.operands[number] for number in operands]
        return first

    def _made(self, place: Source, span: object, vectors: int) -> OperandStructure:
        match place:
            case Read(grid=grid, dz=dz, dy=dy, dx=dx):
                return OperandStructure(OperandKind.CELL, self._grids[grid], dz, dy, dx, grid.width)
            case Window(of=of, starts=starts, widths=widths):
                if isinstance(of, Register):
                    kind, number = OperandKind.REGISTER_WINDOW, self._register(of, span, vectors)
                else:
                    kind, number = OperandKind.GRID_WINDOW, self._grids[of]
                return OperandStructure(
                    kind,
                    number,
                    width=max(widths),
                    starts=self._image.numbers(starts),
                    widths=self._image.numbers(widths),
                )
            case Register(width=width):
                number = self._register(place, span, vectors)
                return OperandStructure(OperandKind.REGISTER, number, width=width)

    def _register(self, register: Register, span: object, vectors: int) -> int:
        key = register, span
        if key not in self._registers:
            self._registers[key] = len(self.registers)
            stride = in_blocks(register.width)
            self.registers.append(RegisterStructure(self.scratch, stride))
            self.scratch += stride * vectors + BLOCK
        return self._registers[key]


def in_blocks(width: int) -> int:
    """Floats that whole blocks of outputs take."""
    return -(-width // BLOCK) * BLOCK
