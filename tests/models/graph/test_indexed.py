"""What is looked up on the device is the cell that the reference takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ancestral.models.sampling.graph.indexed import IndexedMemory
from ancestral.models.sampling.graph.phases import Phases
from ancestral.models.sampling.grid_memory import Place
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.ops import Condition, Read, sources
from ancestral.models.sampling.program import StepProgram
from tests.models.nets import all_cases

PROGRAMS = {name: case.net.program() for name, case in all_cases().items()}
INDEXED = {n: program for n, program in PROGRAMS.items() if not Phases(program).by_column}

on_each_program = pytest.mark.parametrize(
    "program", INDEXED.values(), ids=[name.replace(" ", "-") for name in INDEXED]
)


@on_each_program
def test_each_read_and_write_finds_its_cell_at_each_position(program: StepProgram) -> None:
    # Given two memories with the same random numbers
    both = [
        kind(program, 2, torch.device("cpu"), torch.float32) for kind in (TileMemory, IndexedMemory)
    ]
    plain, indexed = both
    assert isinstance(indexed, IndexedMemory)
    for memory in both:
        generator = torch.Generator().manual_seed(0)
        for grid in memory.grids.values():
            grid._cells.copy_(torch.randn(grid._cells.shape, generator=generator))
    reads = {s for op in program.ops for s in sources(op) if isinstance(s, Read)}
    for place in places(program, 40):
        # When ops read at a position, after it is looked up
        rows, columns = np.array([[place.row], [place.column]])
        indexed.cells.here.copy_(torch.from_numpy(indexed.cells.table(rows, columns)))
        where = place.frame, place.row, place.column
        # Then they read the same
        for read in reads:
            expected = plain.grids[read.grid].read(*where, read)
            assert torch.equal(indexed.grids[read.grid].read(*where, read), expected)
        # And what they write is found in the same cells
        for number, grid in enumerate(program.grids):
            source = torch.full_like(plain.grids[grid].read(*where, Read(grid, 0, 0)), number)
            for memory in (plain, indexed):
                memory.grids[grid].write(*where, source)
    for one, other in zip(plain.grids.values(), indexed.grids.values(), strict=True):
        assert torch.equal(one._cells, other._cells)


def test_each_column_finds_its_cell_of_a_map() -> None:
    program = PROGRAMS["gated_pixelcnn by map"]
    memory = IndexedMemory(program, 2, torch.device("cpu"), torch.float32)
    memory.aligned.rows.normal_()
    op = next(op for op in program.ops if isinstance(op, Condition) and op.scope == "local")
    for column in range(program.columns or 0):
        table = memory.cells.table(np.array([0]), np.array([column]))
        memory.cells.here.copy_(torch.from_numpy(table))
        assert torch.equal(memory.cell(op, column), TileMemory.cell(memory, op, column))


def places(program: StepProgram, count: int) -> list[Place]:
    """The places of so many positions, over more than one event."""
    rows, columns = program.rows, program.columns
    if rows is None or columns is None:
        return [Place(0, 0, clock) for clock in range(count)]
    found = [divmod(clock, columns) for clock in range(count)]
    if not program.frame_sweep:
        return [Place(0, row, column) for row, column in found]
    return [Place(row // rows, row % rows, column) for row, column in found]
