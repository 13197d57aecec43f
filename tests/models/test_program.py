"""A program that contradicts itself is refused when it is made."""

import pytest
import torch

from ancestral.models.errors import ProgramError
from ancestral.models.sampling.program import (
    Condition,
    Dense,
    Draw,
    Embed,
    Gate,
    Grid,
    Op,
    Read,
    Register,
    StepProgram,
    Write,
)

LEVELS = 5
grid = Grid(rows=1, columns=2, width=4)
hidden, gated, wide, logits = Register(4), Register(4), Register(8, parts=2), Register(LEVELS)

READ = Dense((Read(grid, 0, -1),), torch.ones(8, 4), torch.zeros(8), wide)
GATE = Gate(wide, gated)
HEAD = Dense((gated,), torch.ones(LEVELS, 4), None, logits)
REMEMBER = (Embed(torch.ones(LEVELS, 4), hidden), Write(hidden, grid))
STEP: tuple[Op, ...] = (READ, GATE, HEAD, Draw(logits), *REMEMBER)


def test_a_sound_program_knows_its_grids_its_period_and_its_cost() -> None:
    program = StepProgram(LEVELS, None, STEP)
    assert program.grids == (grid,)
    assert program.period == 1
    assert program.multiply_adds_per_symbol == 8 * 4 + LEVELS * 4


def test_a_swept_program_admits_at_the_start_of_a_row() -> None:
    swept = Grid(rows=2, columns=7, width=4)
    sweep = (Dense((Read(swept, -1, 1),), torch.ones(4, 4), None, gated), Write(gated, swept))
    program = StepProgram(LEVELS, 7, STEP, sweep)
    assert program.period == 7
    assert program.grids == (swept, grid)


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ((READ, GATE, HEAD, *REMEMBER), "exactly once"),
        ((*STEP, Draw(logits)), "exactly once"),
        ((*REMEMBER, *STEP), "behind the draw"),
        ((READ, GATE, HEAD, Draw(logits)), "never written"),
        ((Draw(hidden), *REMEMBER), "4 logits cannot draw 5"),
        (
            (Dense((hidden,), torch.ones(LEVELS, 3), None, logits), Draw(logits)),
            "from 4 to 5 has weights",
        ),
        (
            (Dense((hidden,), torch.ones(LEVELS, 4), torch.ones(4), logits), Draw(logits)),
            "a bias of",
        ),
        ((Gate(hidden, gated), *STEP), "halves"),
        ((*STEP, Embed(torch.ones(LEVELS, 3), hidden)), "embeddings of 3"),
        ((*STEP, Write(wide, grid)), "8 floats written"),
    ],
)
def test_a_contradiction_is_named(step: tuple[Op, ...], complaint: str) -> None:
    with pytest.raises(ProgramError, match=complaint):
        StepProgram(LEVELS, None, step)


def test_a_sweep_needs_columns_and_draws_nothing() -> None:
    with pytest.raises(ProgramError, match="columns"):
        StepProgram(LEVELS, None, STEP, sweep=(GATE,))
    with pytest.raises(ProgramError, match="exactly once"):
        StepProgram(LEVELS, 7, STEP, sweep=(Draw(logits),))


def test_aligned_conditioning_belongs_to_the_step() -> None:
    with pytest.raises(ProgramError, match="aligned"):
        StepProgram(LEVELS, 7, STEP, sweep=(Condition("local", 0, gated),), local_width=4)


def test_conditioning_lies_inside_what_is_projected() -> None:
    with pytest.raises(ProgramError, match="projected"):
        StepProgram(LEVELS, None, (Condition("global", 2, gated), *STEP), global_width=4)


@pytest.mark.parametrize(
    ("dy", "dx", "complaint"),
    [(0, 1, "not drawn yet"), (1, 0, "not drawn yet"), (0, -3, "keeps 2"), (-1, 0, "keeps 2")],
)
def test_a_ring_is_read_in_its_past_and_no_further_than_it_keeps(
    dy: int, dx: int, complaint: str
) -> None:
    read = Dense((Read(grid, dy, dx),), torch.ones(8, 4), None, wide)
    with pytest.raises(ProgramError, match=complaint):
        StepProgram(LEVELS, None, (read, *STEP))


def test_only_a_sweep_reads_to_its_right_and_nobody_above_what_is_kept() -> None:
    # Given a grid of two rows, and reads of it from a sweep
    rows = Grid(rows=2, columns=7, width=4)

    def sweep(dy: int, dx: int) -> tuple[Op, ...]:
        return (
            Dense((Read(rows, dy, dx),), torch.ones(4, 4), None, gated),
            Write(gated, rows),
        )

    # Then to the right in its own row is known to it, and one row above is kept
    StepProgram(LEVELS, 7, STEP, sweep(0, 1))
    StepProgram(LEVELS, 7, STEP, sweep(-1, 1))
    with pytest.raises(ProgramError, match="2 rows above of a grid that keeps 2"):
        StepProgram(LEVELS, 7, STEP, sweep(-2, 0))
    # And a step does not know what is to its right
    right = Dense((Read(rows, 0, 1),), torch.ones(4, 4), None, gated)
    with pytest.raises(ProgramError, match="not drawn yet"):
        StepProgram(LEVELS, 7, (right, *STEP), sweep(0, 0))
