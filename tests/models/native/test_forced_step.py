"""In which order a step's ops can each do a whole row at a time, and when there is none."""

from __future__ import annotations

import pytest
import torch

from ancestral.models.autoregressive import Projection
from ancestral.models.sampling.distributions import Categorical, LogisticMixture
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.native.forced import forced_step
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ColourMixture,
    Condition,
    Dense,
    Draw,
    Embed,
    Grid,
    Op,
    Read,
    Register,
    Source,
    Target,
    Value,
    When,
    Write,
    width_at,
)
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Start
from tests.models.laws import needs_native
from tests.models.native.asked import CASES
from tests.models.native.watched import NARROW, executor_of, stepped_memory

LEVELS, WIDTH = 5, 6


def dense(*sources: Source, to: Target, accumulate: bool = False) -> Dense:
    """Weights that keep what goes through them at its size."""
    reads, width = sum(width_at(source, 0) for source in sources), width_at(to, 0)
    generator = torch.Generator().manual_seed(width * reads)
    weight = torch.randn(width, reads, generator=generator) / reads**0.5
    return Dense(sources, weight, torch.full((width,), 0.1), to, accumulate)


def embed(register: Register) -> Embed:
    generator = torch.Generator().manual_seed(1)
    return Embed(torch.randn(LEVELS, register.width, generator=generator), register)


past, hidden, looked_up = Register(WIDTH), Register(WIDTH), Register(WIDTH)
logits = Register(LEVELS)
symbols, layer = Grid(1, 3, WIDTH), Grid(1, 4, WIDTH)
head, draw = dense(hidden, to=logits), Draw(logits, Categorical(LEVELS))
read, look_up = dense(Read(symbols, 0, -1), Read(symbols, 0, -2), to=past), embed(looked_up)
above = dense(past, Read(layer, 0, -3), to=hidden)

#: Two layers, as a WaveNet has them.
STEP: tuple[Op, ...] = (
    *(read, Write(past, layer), above, head, draw),
    *(look_up, Write(looked_up, symbols)),
)


def test_what_works_on_symbols_alone_comes_first_and_heads_are_left_out() -> None:
    forced = forced_step(StepProgram(None, None, STEP))

    remember = Write(looked_up, symbols)
    assert forced == (look_up, remember, read, Write(past, layer))


def test_layers_that_lead_to_a_draw_alone_are_not_computed() -> None:
    # Given a WaveNet of six layers with 6 channels, whose input reads two symbols
    forced = forced_step(CASES["wavenet"].net.program())

    # Then the last layer costs nothing, and neither do the skip connections and the head
    assert forced is not None
    assert not any(isinstance(op, Draw) for op in forced)
    taken = sum(op.weight.numel() for op in forced if isinstance(op, Dense))
    assert taken == 2 * 6 * 6 + 5 * (2 * 6 * 12 + 6 * 6)


def test_what_depends_on_its_own_symbol_and_its_own_past_has_no_such_order() -> None:
    # Given a recurrent network: its state is made of the state before and of what was drawn
    state, memory = Register(WIDTH), Grid(1, 1, WIDTH)
    recurrent = StepProgram(
        None,
        None,
        (
            *(dense(Read(memory, 0, -1), to=past), dense(past, to=logits), draw, look_up),
            *(dense(past, looked_up, to=state), Activation("tanh", state, state)),
            Write(state, memory),
        ),
    )

    assert forced_step(recurrent) is None


def test_two_layers_that_wait_for_each_other_have_no_such_order() -> None:
    # Given a layer that reads the past of the one above it
    top = Grid(1, 2, WIDTH)
    step = (
        dense(Read(symbols, 0, -1), Read(top, 0, -1), to=past),
        *(Write(past, layer), dense(Read(layer, 0, -2), to=hidden), Write(hidden, top)),
        *(head, draw, look_up, Write(looked_up, symbols)),
    )

    assert forced_step(StepProgram(None, None, step)) is None


@pytest.mark.parametrize("family", ["made", "darn by label"])
def test_a_step_that_changes_with_the_column_has_no_such_order(family: str) -> None:
    assert forced_step(CASES[family].net.program()) is None


def offsets_by_column() -> StepProgram:
    """Of the conditioning, each of four columns remembers a part of its own."""
    kept = Grid(1, 4, WIDTH)
    own = Condition("global", (0, WIDTH, 2 * WIDTH, 3 * WIDTH), past, accumulate=False)
    step = (own, Write(past, kept), *STEP[:1], *(head, draw, look_up, Write(looked_up, symbols)))
    return StepProgram(1, 4, step, global_width=4 * WIDTH)


def sums_by_rows() -> StepProgram:
    """Sums of conditioning, a layer and the row above; in every second row something else."""
    drawn, kept = Grid(2, 6, WIDTH), Grid(2, 6, WIDTH)
    second = When((dense(Read(drawn, -1, 1), to=hidden),), row_step=2, row=1)
    step: tuple[Op | When, ...] = (
        *(dense(Read(drawn, 0, -1), Read(kept, -1, 0), to=past), Condition("global", 0, past)),
        *(dense(past, to=hidden), Add(Read(drawn, -1, 0), hidden), second),
        *(dense(past, to=hidden, accumulate=True), Activation("relu", hidden, hidden)),
        *(Write(hidden, kept), head, draw, look_up, Write(looked_up, drawn)),
    )
    return StepProgram(4, 6, step, global_width=WIDTH)


def strided() -> StepProgram:
    """A layer at every second column, of registers of its own."""
    slow, coarse = Register(WIDTH), Grid(1, 3, WIDTH, column_stride=2)
    seldom = When((dense(Read(layer, 0, -1), to=slow), Write(slow, coarse)), column_step=2)
    step: tuple[Op | When, ...] = (
        *(read, Write(past, layer), seldom, dense(past, Read(coarse, 0, -2), to=hidden)),
        *(head, draw, look_up, Write(looked_up, symbols)),
    )
    return StepProgram(None, None, step)


def shared_by_columns() -> StepProgram:
    """A layer at every third column that goes on with the register of every column."""
    coarse = Grid(1, 3, WIDTH, column_stride=3)
    seldom = When((dense(past, to=hidden), Write(hidden, coarse)), column_step=3)
    step: tuple[Op | When, ...] = (
        *(read, seldom, dense(Read(coarse, 0, 0), to=looked_up), dense(looked_up, to=logits)),
        *(draw, look_up, Write(looked_up, symbols)),
    )
    return StepProgram(None, None, step)


def mixtures_remembered() -> StepProgram:
    """A mixture of colours that is remembered as if it were a layer."""
    law = LogisticMixture(LEVELS, 2)
    raw, mixed, value = Register(20), Register(6), Register(1)
    values, mixtures = Grid(1, 2, 1), Grid(1, 4, 6)
    step: tuple[Op | When, ...] = (
        *(dense(Read(values, 0, -1), to=raw), ColourMixture(raw, 0, law, mixed)),
        *(Write(mixed, mixtures), Draw(mixed, law)),
        *(Value(0.5, -1.0, value), Write(value, values)),
    )
    return StepProgram(None, None, step)


@needs_native
@pytest.mark.parametrize(
    ("program", "taken"),
    [
        pytest.param(StepProgram(None, None, STEP), True, id="layers"),
        pytest.param(sums_by_rows(), True, id="sums by rows"),
        pytest.param(strided(), True, id="strided"),
        pytest.param(shared_by_columns(), False, id="shared by columns"),
        pytest.param(offsets_by_column(), False, id="offsets by column"),
        pytest.param(mixtures_remembered(), True, id="mixtures remembered"),
    ],
)
def test_what_is_taken_in_at_once_is_what_the_steps_remember(
    program: StepProgram, taken: bool
) -> None:
    # Given symbols of an event, and conditioning where the program takes some
    positions = 24 if program.rows else 132
    generator = torch.Generator().manual_seed(2)
    x = torch.randint(0, LEVELS, (positions,), generator=generator)
    fixed = torch.randn(1, program.global_width, generator=generator)
    start = Start(Projection(fixed=fixed), 2 * positions, 0, 0, Settings(), x)
    executor = executor_of(program, slots=NARROW)

    for known in range(program.period, positions + 1, program.period):
        # When so many are taken in at once, where that can be done
        at_once = executor.prefilled(start, known)

        # Then the same is remembered as after so many steps
        by_steps = stepped_memory(executor, start, known)
        assert (at_once is not None) == taken
        assert at_once is None or all(map(torch.equal, at_once.grids, by_steps.grids))
