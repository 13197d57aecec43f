"""The executor's own functions are as exact as a float is, from the smallest numbers to the
largest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.autoregressive import Projection
from ancestral.models.sampling.distributions import Bernoulli
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.ops import (
    Activation,
    Condition,
    Draw,
    Gate,
    Grid,
    Op,
    Register,
    Write,
)
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Start
from tests.models.laws import needs_native
from tests.models.native.watched import NARROW, WIDE, executor_of

pytestmark = needs_native

#: What functions.h promises: relative to 1, or to the result where that is larger.
TOLERANCE = 3e-7

_magnitudes = torch.cat([torch.logspace(-30, 2.5, 500), torch.linspace(0, 20, 2001)])
#: Numbers of every size, both signs, and what lies beyond numbers.
X = torch.cat([_magnitudes, -_magnitudes, torch.tensor([3e38, -3e38, torch.inf, -torch.inf])])

source, pair = Register(len(X)), Register(2 * len(X), parts=2)
single, double = Register(len(X)), Register(2 * len(X), parts=2)


@pytest.mark.parametrize("slots", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize(
    ("op", "exact"),
    [
        pytest.param(Activation("tanh", source, single), torch.tanh, id="tanh"),
        pytest.param(Activation("relu", source, single), torch.relu, id="relu"),
        pytest.param(
            Activation("concat_elu", source, double),
            lambda x: torch.cat([F.elu(x), F.elu(-x)]),
            id="concat_elu",
        ),
    ],
)
def test_an_activation_is_the_function_that_it_is_called_after(
    op: Activation, exact: Callable[[Tensor], Tensor], slots: int
) -> None:
    _check(_computed(op, X, slots), exact(X.double()))


@pytest.mark.parametrize("slots", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("squash", ["tanh", "none"])
def test_a_gate_is_its_two_functions_multiplied(squash: str, slots: int) -> None:
    # Given numbers that are gated by others, small by large ones and large by small ones
    x = X.clamp(-1e30, 1e30)
    opening = x.flip(0)

    found = _computed(Gate(pair, single, squash), torch.cat([x, opening]), slots)  # type: ignore[arg-type]

    signal = torch.tanh(x.double()) if squash == "tanh" else x.double()
    _check(found, signal * torch.sigmoid(opening.double()))


def _computed(op: Activation | Gate, x: Tensor, slots: int) -> Tensor:
    """What an op makes of numbers, which are an event's conditioning."""
    bit = Register(1)
    step: tuple[Op, ...] = (
        *(Condition("global", 0, op.source, accumulate=False), op),
        Write(op.target, Grid(1, 1, op.target.width, op.target.parts)),  # type: ignore[arg-type, union-attr]
        *(Condition("global", 0, bit, accumulate=False), Draw(bit, Bernoulli())),
    )
    executor = executor_of(StepProgram(None, None, step, global_width=len(x)), slots=slots)
    tile = executor.new_tile()
    tile.admit(0, Start(Projection(fixed=x[None]), 2, 0, 0, Settings()))
    executor.run([([tile], 1)])
    return tile.memory(0).grids[0].flatten()


def _check(found: Tensor, exact: Tensor) -> None:
    infinite = exact.isinf()
    assert torch.equal(found[infinite].double(), exact[infinite])
    error = (found.double() - exact)[~infinite].abs()
    assert (error <= TOLERANCE * exact[~infinite].abs().clamp_min(1)).all()
