"""Draws without a network: the parameters of each event are what it is asked for.

    conditioning of a request ──▶ parameters ──▶ draw           (a colour mixture between the two)

Shapes: N events, P parameters of a symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.autoregressive import Projection
from ancestral.models.sampling.distributions import Distribution, LogisticMixture
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.ops import ColourMixture, Condition, Draw, Op, Register
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Start
from tests.models.native.watched import WIDE, executor_of


def law_of(distribution: Distribution) -> StepProgram:
    """A program that draws symbols of parameters (P,), which are its conditioning."""
    parameters = Register(distribution.parameters)
    given = Condition("global", 0, parameters, accumulate=False)
    step = (given, Draw(parameters, distribution))
    return StepProgram(None, None, step, global_width=distribution.parameters)


def law_of_colours(mixture: LogisticMixture) -> StepProgram:
    """A program that draws the three colours of pixels, given a pixel's raw outputs (10 K,)."""
    raw = Register(10 * mixture.components)
    step: list[Op] = [Condition("global", 0, raw, accumulate=False)]
    for colour in range(3):
        mixed = Register(mixture.parameters)
        step += [ColourMixture(raw, colour, mixture, mixed), Draw(mixed, mixture)]
    return StepProgram(None, None, tuple(step), global_width=raw.width)


def draw_each(
    program: StepProgram,
    parameters: Tensor,
    seeds: Tensor,
    settings: Sequence[Settings] = (Settings(),),
    *,
    slots: int = WIDE,
    build: str | None = None,
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """An event of one position for each row of parameters (N, P) and each seed (N,): its symbols
    (N, C), and their nats (N,). Settings take turns."""
    executor = executor_of(program, slots=slots, build=build)
    tile, channels = executor.new_tile(), program.channels
    symbols: list[NDArray[np.generic]] = []
    nats: list[float] = []
    for first in range(0, len(seeds), tile.slots):
        beside = range(first, min(first + tile.slots, len(seeds)))
        for number in beside:
            projection = Projection(fixed=parameters[number : number + 1])
            chosen = settings[number % len(settings)]
            start = Start(projection, channels, int(seeds[number]), 0, chosen)
            tile.admit(number - first, start)
        ((drawn,),) = executor.run([([tile], 1)])
        for number in beside:
            assert drawn[number - first].bad_position is None
            symbols.append(drawn[number - first].symbols)
            nats.append(drawn[number - first].log_likelihood_nats)
    return np.stack(symbols), np.array(nats)


def spread_seeds(count: int) -> tuple[Tensor, Tensor]:
    """Seeds (N,) whose first uniform numbers (N,) spread evenly over (0, 1), and reach as close to
    its ends as a million seeds do."""
    u, order = _million_seeds()
    ends = count // 10
    between = torch.linspace(ends, len(order) - 1 - ends, count - 2 * ends).long()
    chosen = torch.cat([order[:ends], order[between], order[len(order) - ends :]])
    return chosen, u[chosen].double()


@cache
def _million_seeds() -> tuple[Tensor, Tensor]:
    """The uniform number of each seed, and the seeds in the order of those."""
    u = uniform(torch.arange(2**20), torch.tensor(0), torch.tensor(0))
    return u, u.argsort()


def generator(seed: int) -> torch.Generator:
    """Random numbers that are the same in each run."""
    return torch.Generator().manual_seed(seed)
