"""What ops do to windows, float by float: they change no other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ancestral.models.sampling.actions import make_ready
from ancestral.models.sampling.distributions import Categorical
from ancestral.models.sampling.grid_memory import Span
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.ops import (
    Activation,
    ByColumn,
    Condition,
    Dense,
    Draw,
    Embed,
    Grid,
    Op,
    Register,
    Value,
    Window,
)
from ancestral.models.sampling.program import StepProgram

SLOTS, COLUMNS, WIDTH = 3, 4, 20
logits = Register(3)
vast, wide = Grid(1, 1, WIDTH), Register(WIDTH)
#: Growing, moving pieces of a vector, and equal ones of a register.
grown = Window(vast, (17, 0, 3, 1), (0, 1, 2, 18))
three = Window(wide, (0, 17, 5, 6), (3,) * COLUMNS)
SYMBOLS = torch.tensor([2, 0, 1])
EVERY_FLOAT = Window(vast, (0,) * COLUMNS, (WIDTH,) * COLUMNS)


@pytest.fixture(params=range(COLUMNS), ids="column {}".format)
def column(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def run(op: Op, column: int) -> tuple[TileMemory, Tensor, Tensor]:
    """One op on random floats; the memory, and what vector and register were before."""
    memory = memory_for(op)
    generator = torch.Generator().manual_seed(column)
    for floats in floats_of(memory):
        floats.copy_(torch.randn(SLOTS, WIDTH, generator=generator))
    vector, register = (floats.clone() for floats in floats_of(memory))
    make_ready(op, memory, Span("position"), [SYMBOLS])(0, 0, column)
    return memory, vector, register


def memory_for(op: Op) -> TileMemory:
    """That of a program with this op, which is asked with a map of two cells."""
    program = StepProgram(
        1,
        COLUMNS,
        (Draw(logits, Categorical(3)), op, Embed(torch.zeros(3, WIDTH), EVERY_FLOAT)),
        global_width=WIDTH,
        local_width=WIDTH,
        cells=2,
    )
    return TileMemory(program, SLOTS, torch.device("cpu"), torch.float32)


def floats_of(memory: TileMemory) -> tuple[Tensor, Tensor]:
    """Those of the vector, and those of the register."""
    return memory.pieces(EVERY_FLOAT)[0], memory.register(wide, Span("position"))[:, :WIDTH]


def piece(window: Window, column: int) -> slice:
    return slice(window.starts[column], window.starts[column] + window.widths[column])


@pytest.mark.parametrize("accumulate", [True, False])
def test_a_product_goes_to_a_window(column: int, accumulate: bool) -> None:
    # Given a product with a bias, the same at all columns, and one with weights of their own
    target = Window(vast, (0, 3, 16, 17), (3,) * COLUMNS)
    weight, bias = torch.randn(3, 3), torch.randn(3)
    weights = tuple(torch.randn(width, 3) for width in grown.widths)
    for op, where, matrix, added in (
        (Dense((three,), weight, bias, target, accumulate), target, weight, bias),
        (ByColumn((three,), weights, grown, accumulate), grown, weights[column], 0.0),
    ):
        # When it is computed
        memory, vector, register = run(op, column)

        # Then the window holds it, or has it added, and the rest is as it was
        at = piece(where, column)
        product = register[:, piece(three, column)] @ matrix.t() + added
        vector[:, at] = product + vector[:, at] if accumulate else product
        torch.testing.assert_close(floats_of(memory), (vector, register))


@pytest.mark.parametrize("accumulate", [True, False])
@pytest.mark.parametrize("scope", ["global", "local"])
def test_conditioning_goes_to_a_window(column: int, accumulate: bool, scope: str) -> None:
    # Given as many floats as the window has, from another place at each column; of a map, those of
    # the column's cell
    offsets = (9, 5, 0, 2)
    op = Condition(scope, offsets, grown, accumulate)  # type: ignore[arg-type]
    memory = memory_for(op)
    held, cell = (memory.fixed, 0) if scope == "global" else (memory.aligned, column // 2)
    projected = torch.randn(len(held.rows) * SLOTS, WIDTH)
    held.rows.copy_(held.pack(projected).view_as(held.rows))
    vector, _ = floats_of(memory)
    vector.copy_(torch.randn(SLOTS, WIDTH))
    expected = vector.clone()

    # When they are added, or set
    make_ready(op, memory, Span("position"), [])(0, 0, column)

    # Then the window has them, and the rest is as it was
    at, first = piece(grown, column), offsets[column]
    taken = projected.view(-1, SLOTS, WIDTH)[cell, :, first : first + grown.widths[column]]
    expected[:, at] = taken + expected[:, at] if accumulate else taken
    torch.testing.assert_close(vector, expected)


def test_a_window_is_activated_in_place_or_into_another(column: int) -> None:
    other = Window(wide, (19, 18, 4, 0), grown.widths)
    memory, vector, register = run(Activation("relu", grown, grown), column)
    vector[:, piece(grown, column)].clamp_(min=0)
    torch.testing.assert_close(floats_of(memory), (vector, register))

    memory, vector, register = run(Activation("tanh", grown, other), column)
    register[:, piece(other, column)] = vector[:, piece(grown, column)].tanh()
    torch.testing.assert_close(floats_of(memory), (vector, register))


def test_a_symbol_goes_to_a_window(column: int) -> None:
    table, target = torch.randn(3, 3), Window(vast, (0, 17, 5, 6), (3,) * COLUMNS)
    memory, vector, register = run(Embed(table, target), column)
    vector[:, piece(target, column)] = table[SYMBOLS]
    torch.testing.assert_close(floats_of(memory), (vector, register))

    one = Window(vast, (0, 19, 5, 6), (1,) * COLUMNS)
    memory, vector, register = run(Value(0.5, -1.0, one), column)
    vector[:, piece(one, column)] = SYMBOLS.unsqueeze(1) * 0.5 - 1
    torch.testing.assert_close(floats_of(memory), (vector, register))
