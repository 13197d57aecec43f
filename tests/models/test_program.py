"""What a program knows of itself: its grids, its symbols, its cost, and when it admits."""

import pytest
import torch

from ancestral.models.sampling.distributions import Categorical, Gaussian
from ancestral.models.sampling.ops import (
    ByColumn,
    Dense,
    Draw,
    Embed,
    Grid,
    Op,
    Read,
    Register,
    When,
    Window,
    Write,
)
from ancestral.models.sampling.program import StepProgram

ROWS, COLUMNS, WIDTH, LEVELS = 4, 6, 3, 5
hidden, logits = Register(WIDTH), Register(LEVELS)
HEAD = Dense((hidden,), torch.ones(LEVELS, WIDTH), None, logits)
STEP: tuple[Op, ...] = (HEAD, Draw(logits, Categorical(LEVELS)))

whole = Grid(ROWS, COLUMNS, WIDTH)
SWEEP: tuple[Op, ...] = (Write(hidden, whole),)


def test_a_program_knows_its_grids_in_the_order_of_writing() -> None:
    # Given a grid written in the step and one that the sweep writes
    kept = Grid(2, COLUMNS, WIDTH)
    remember = (Embed(torch.ones(LEVELS, WIDTH), hidden), Write(hidden, kept))
    read = Dense((Read(kept, -1, 1),), torch.ones(WIDTH, WIDTH), None, hidden)

    program = StepProgram(ROWS, COLUMNS, (*STEP, *remember), row_sweep=(read, *SWEEP))

    # Then the sweep runs first
    assert program.grids == (whole, kept)


def test_a_vector_that_a_window_writes_to_is_a_grid_of_the_program() -> None:
    vector = Grid(1, 1, WIDTH * COLUMNS)
    own = Window(vector, tuple(range(0, vector.width, WIDTH)), (WIDTH,) * COLUMNS)
    program = StepProgram(1, COLUMNS, (*STEP, Embed(torch.ones(LEVELS, WIDTH), own)))
    assert program.grids == (vector,)


def test_a_program_knows_how_many_symbols_a_step_draws_and_from_what() -> None:
    colours = StepProgram(ROWS, COLUMNS, STEP * 3)
    assert (colours.channels, colours.levels) == (3, LEVELS)
    normal = Register(2)
    number = Dense((hidden,), torch.ones(2, WIDTH), None, normal)
    series = StepProgram(None, None, (number, Draw(normal, Gaussian())))
    assert (series.channels, series.levels) == (1, None)


@pytest.mark.parametrize(
    ("program", "period"),
    [
        (StepProgram(None, None, STEP), 1),
        (StepProgram(None, None, (When((HEAD,), column_step=2), *STEP)), 2),
        (StepProgram(1, COLUMNS, STEP), COLUMNS),
        (StepProgram(ROWS, COLUMNS, STEP), COLUMNS),
        (StepProgram(ROWS, COLUMNS, (When((HEAD,), row_step=2), *STEP)), 2 * COLUMNS),
        (StepProgram(ROWS, COLUMNS, STEP, frame_sweep=SWEEP), ROWS * COLUMNS),
    ],
    ids=[
        "a sound",
        "a sound, every 2nd sample",
        "one row",
        "an image",
        "an image, every 2nd row",
        "a clip",
    ],
)
def test_a_slot_is_admitted_where_a_program_begins_anew(program: StepProgram, period: int) -> None:
    assert program.period == period


def test_what_is_seldom_due_costs_a_position_its_share() -> None:
    # Given a product at every position, and one at every second row and third column
    seldom = When((HEAD,), row_step=2, column_step=3)
    swept = StepProgram(ROWS, COLUMNS, STEP, row_sweep=(seldom,))

    product = LEVELS * WIDTH
    assert swept.multiply_adds_per_step == product + product / 6


def test_what_differs_by_column_costs_a_position_the_mean_of_its_columns() -> None:
    # Given a product with as many floats as there are columns before, at each or at every third
    before = Window(Register(COLUMNS), (0,) * COLUMNS, tuple(range(COLUMNS)))
    weight = tuple(torch.ones(LEVELS, column) for column in range(COLUMNS))
    op = ByColumn((before,), weight, logits)
    always = StepProgram(1, COLUMNS, (op, *STEP))
    seldom = StepProgram(1, COLUMNS, (When((op,), column_step=3, column=2), *STEP))

    product = LEVELS * WIDTH
    assert always.multiply_adds_per_step == product + LEVELS * (0 + 1 + 2 + 3 + 4 + 5) / 6
    assert seldom.multiply_adds_per_step == product + LEVELS * (2 + 5) / 6
