"""The padded layout, what is saved of a slot, and the promise that makes a slot's bits its own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.sampling.grid_memory import (
    LANE_FLOATS,
    GridMemory,
    Place,
    padded_places,
    padded_width,
)
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.ops import Grid
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import TILE_SLOTS
from ancestral.models.sampling.torch_state import single_threaded
from tests.models.nets import all_cases

PROGRAMS = {name: case.net.program() for name, case in all_cases().items()}


@given(st.integers(1, 80), st.integers(1, 3))
def test_each_part_is_padded_by_itself(part: int, parts: int) -> None:
    width = parts * part
    places = padded_places(width, parts)
    assert padded_width(width, parts) % (parts * LANE_FLOATS) == 0
    assert len(set(places.tolist())) == width
    for number in range(parts):
        first = int(places[number * part])
        assert first == number * padded_width(width, parts) // parts
        assert places[number * part : (number + 1) * part].tolist() == list(
            range(first, first + part)
        )


@pytest.mark.parametrize("columns", [1, 6, 20, 28])
@pytest.mark.parametrize("inputs", [16, 48, 112, 192, 512])
@pytest.mark.parametrize("outputs", [16, 32, 64, 256])
def test_equal_rows_of_a_padded_product_are_equal_wherever_they_stand(
    columns: int, inputs: int, outputs: int
) -> None:
    # Given the product shapes that a tile and its sweeps use, with the same row everywhere
    generator = torch.Generator().manual_seed(inputs * outputs)
    row = torch.randn(1, inputs, generator=generator)
    weight = torch.randn(inputs, outputs, generator=generator)
    rows = row.expand(columns * TILE_SLOTS, inputs).contiguous()
    # Then every row of the product has the same bits
    with single_threaded():
        product = torch.addmm(torch.zeros(outputs), rows, weight)
    assert (product == product[0]).all()


@given(
    name=st.sampled_from(list(PROGRAMS)),
    before=st.integers(0, 40),
    now=st.integers(0, 40),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60)
def test_a_saved_slot_is_found_again_from_wherever_it_goes_on(
    name: str, before: int, now: int, seed: int
) -> None:
    # Given a tile whose cells hold anything, in slots of which one is saved
    program = PROGRAMS[name]
    memory = TileMemory(program, 3, torch.device("cpu"), torch.float32)
    _fill(memory, seed)
    there, here = _place(program, before), _place(program, now)
    saved = memory.saved(1, there)
    # Then it has the layout of the program's grids
    shapes = [(g.frames, g.rows, g.columns, g.width) for g in program.grids]
    assert [tuple(cells.shape) for cells in saved] == shapes
    # When it is restored in another slot, while the tile stands elsewhere
    others = [cells[..., slot, :].clone() for cells in _cells(memory) for slot in (0, 1)]
    memory.restore(2, saved, here)
    # Then all that is read there is what was read before
    for (grid, cells), own in zip(memory.grids.items(), saved, strict=True):
        _assert_read(program, grid, cells, own, slot=1, place=there)
        _assert_read(program, grid, cells, own, slot=2, place=here)
    assert all(map(torch.equal, memory.saved(2, here), saved))
    # And the neighbours have what they had
    after = [cells[..., slot, :] for cells in _cells(memory) for slot in (0, 1)]
    assert all(map(torch.equal, others, after))


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=[n.replace(" ", "-") for n in PROGRAMS])
def test_nothing_of_an_earlier_event_is_left_beside_what_is_restored(program: StepProgram) -> None:
    # Given a slot whose event broke, which left no number in any cell, nor in its padding
    memory = TileMemory(program, 2, torch.device("cpu"), torch.float32)
    saved, place = memory.saved(0, _place(program, 0)), _place(program, 1)
    for cells in _cells(memory):
        cells[..., 1, :] = torch.nan
    # When a healthy one goes on there
    memory.restore(1, saved, place)
    # Then there are numbers everywhere
    assert all(torch.isfinite(cells).all() for cells in _cells(memory))


def _place(program: StepProgram, periods: int) -> Place:
    """Where a tile stands after so many periods."""
    rows, columns = program.rows, program.columns
    if rows is None or columns is None:
        return Place(0, 0, periods * program.period)
    row, column = divmod(periods * program.period, columns)
    return Place(row // rows, row % rows, column) if program.frame_sweep else Place(0, row, column)


def _cells(memory: TileMemory) -> list[torch.Tensor]:
    """What a tile reads in each cell, of all its slots: (slots, padded width)."""
    return [
        grid_memory.at(frame, row, column)
        for grid, grid_memory in memory.grids.items()
        for frame in range(grid.frames)
        for row in range(grid.rows)
        for column in range(grid.columns)
    ]


def _fill(memory: TileMemory, seed: int) -> None:
    """Random numbers wherever ops write: not in the padding."""
    generator = torch.Generator().manual_seed(seed)
    for grid, grid_memory in memory.grids.items():
        places = padded_places(grid.width, grid.parts)
        for frame in range(grid.frames):
            for row in range(grid.rows):
                for column in range(grid.columns):
                    cell = grid_memory.at(frame, row, column)
                    cell[:, places] = torch.randn(len(cell), grid.width, generator=generator)


def _assert_read(
    program: StepProgram,
    grid: Grid,
    memory: GridMemory,
    saved: torch.Tensor,
    *,
    slot: int,
    place: Place,
) -> None:
    """What is saved (frames, rows, columns, width) is what is read, counted back from a place."""
    rows, columns = (program.rows or 1) // grid.row_stride, program.columns
    frames_go_round = bool(program.frame_sweep)
    rows_go_round = not (frames_go_round and grid.rows == rows)
    columns_go_round = columns is None or grid.columns < columns // grid.column_stride
    first_frame = place.frame if frames_go_round else 0
    first_row = place.row // grid.row_stride if rows_go_round else 0
    first_column = place.column // grid.column_stride if columns_go_round else 0
    places = padded_places(grid.width, grid.parts)
    for frame in range(grid.frames):
        for row in range(grid.rows):
            for column in range(grid.columns):
                read = memory.at(first_frame + frame, first_row + row, first_column + column)
                assert torch.equal(read[slot, places], saved[frame, row, column])
