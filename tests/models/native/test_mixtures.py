"""Mixtures of logistic functions on the native executor: up to 65,536 levels, narrow and wide
scales, far tails, and the colours of a pixel.

Shapes: N symbols, each from parameters of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ancestral.models.sampling.distributions import (
    LARGEST_LOG_SCALE,
    LogisticMixture,
    colour_mixture,
)
from ancestral.models.sampling.draw import Settings, SettingsBatch
from ancestral.models.sampling.philox import uniform
from tests.models.laws import needs_native
from tests.models.native.one_draw import (
    draw_each,
    generator,
    law_of,
    law_of_colours,
    spread_seeds,
)
from tests.models.native.watched import NARROW, WIDE

pytestmark = needs_native

each_layout = pytest.mark.parametrize("slots", [NARROW, WIDE], ids=["narrow", "wide"])
COMPONENTS = 3


@pytest.mark.parametrize("levels", [2, 16, 256, 65_536])
@pytest.mark.parametrize("log_scale", [-20.0, -9.0, -5.0, -2.0, 1.0, 18.0, 30.0])
def test_symbols_lie_where_u_is_and_are_as_likely_as_the_law_says(
    levels: int, log_scale: float
) -> None:
    # Given mixtures of scales about that size, whose means lie on the levels and beyond
    mixture = LogisticMixture(levels, COMPONENTS)
    seeds, u = spread_seeds(160)
    parameters = _parameters(len(seeds), log_scale, seed=levels)

    drawn, nats = draw_each(law_of(mixture), parameters, seeds)

    # Then u lies where each symbol does, but for what a symbol's place in float32 says of it
    symbol = torch.from_numpy(drawn[:, 0]).long()
    narrowness = float(torch.exp(-_parts(mixture, parameters)[2]).max())
    step_tolerance = 2e-6 + 1e-9 * narrowness
    below, upto = (_cumulative(mixture, parameters, symbol + more) for more in (-1, 0))
    assert (below - u).max() <= step_tolerance
    assert (u - upto).max() <= step_tolerance
    # And its likelihood is that of `distributions.py` in float64
    expected = mixture.log_prob(parameters.double(), symbol).numpy()
    np.testing.assert_allclose(nats, expected, rtol=1e-5, atol=1e-5 + 1e-7 * narrowness)


@each_layout
@pytest.mark.parametrize("levels", [2, 3, 8])
def test_the_probabilities_of_all_symbols_sum_to_one(levels: int, slots: int) -> None:
    # Given one mixture, and uniform numbers and temperatures that draw each of its symbols
    mixture = LogisticMixture(levels, COMPONENTS)
    seeds, _ = spread_seeds(300)
    parameters = _parameters(1, -1.0, seed=3).expand(len(seeds), -1)
    asked = [Settings(temperature) for temperature in (1.0, 2.0, 5.0)]

    drawn, nats = draw_each(law_of(mixture), parameters, seeds, asked, slots=slots)

    # Then a symbol is as likely whenever it is drawn, and together they are certain
    likelihood = {symbol: set(nats[drawn[:, 0] == symbol]) for symbol in range(levels)}
    assert [len(own) for own in likelihood.values()] == [1] * levels
    assert sum(np.exp(own.pop()) for own in likelihood.values()) == pytest.approx(1, abs=1e-5)


@each_layout
@pytest.mark.parametrize("log_scale", [-30.0, -2.0])
def test_settings_are_those_of_the_reference(slots: int, log_scale: float) -> None:
    # Given slots of which each asks for something else, of scales at their floor and above it
    mixture = LogisticMixture(64, COMPONENTS)
    seeds, u = spread_seeds(300)
    parameters = _parameters(len(seeds), log_scale, seed=8)
    asked = [
        *(Settings(), Settings(0.5), Settings(1.7), Settings(top_k=5), Settings(top_p=0.6)),
        *(Settings(0.9), Settings(0.1), Settings(top_k=64)),
        Settings(0.8, top_k=20, top_p=0.9),
    ]

    drawn, nats = draw_each(law_of(mixture), parameters, seeds, asked, slots=slots)

    # Then each symbol is the reference's, with u and the share kept as close as float32 is
    symbol = torch.from_numpy(drawn[:, 0]).long()
    row = [asked[number % len(asked)] for number in range(len(seeds))]
    allowed = []
    for more in (0.0, 1e-5, -1e-5):
        kept = [s if s.top_p is None else replace(s, top_p=s.top_p + more) for s in row]
        batch = SettingsBatch.of(kept, mixture.levels, torch.float64)
        allowed += [mixture.draw(parameters.double(), u + by, batch) for by in (0, 1e-5, -1e-5)]
    assert (torch.stack(allowed) == symbol).any(0).all()
    # And its likelihood knows nothing of settings
    expected = mixture.log_prob(parameters.double(), symbol).numpy()
    np.testing.assert_allclose(nats, expected, rtol=1e-5, atol=1e-5)


@each_layout
@pytest.mark.parametrize("levels", [2, 16, 256])
def test_the_colours_of_a_pixel_pull_each_other(levels: int, slots: int) -> None:
    # Given the raw outputs of pixels
    mixture = LogisticMixture(levels, COMPONENTS)
    seeds, _ = spread_seeds(200)
    raw = torch.randn(len(seeds), 10 * COMPONENTS, generator=generator(levels))

    pixels, nats = draw_each(law_of_colours(mixture), raw, seeds, slots=slots)

    # Then u lies where each colour is drawn, given the colours before it, which it is pulled by
    drawn = torch.from_numpy(pixels).long()
    expected = torch.zeros(len(seeds), dtype=torch.float64)
    for colour in range(3):
        own = colour_mixture(raw.double(), drawn[:, :colour], mixture)
        u = uniform(seeds, torch.tensor(0), torch.tensor(0), colour).double()
        assert (_cumulative(mixture, own, drawn[:, colour] - 1) - u).max() <= 1e-5
        assert (u - _cumulative(mixture, own, drawn[:, colour])).max() <= 1e-5
        expected += mixture.log_prob(own, drawn[:, colour])
    np.testing.assert_allclose(nats, expected.numpy(), rtol=1e-5, atol=1e-4)


def _parameters(count: int, log_scale: float, seed: int) -> Tensor:
    """(N, 3 K), float32."""
    random = torch.randn(3, count, COMPONENTS, generator=generator(seed))
    return torch.cat([2 * random[0], 0.9 * random[1], log_scale + 0.5 * random[2]], dim=1)


def _parts(mixture: LogisticMixture, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, means and log scales, (N, K) float64 each, the scales within their limits."""
    logits, means, log_scales = parameters.double().chunk(3, dim=1)
    return logits, means, log_scales.clamp(mixture.smallest_log_scale, LARGEST_LOG_SCALE)


def _cumulative(mixture: LogisticMixture, parameters: Tensor, symbol: Tensor) -> Tensor:
    """The probability of a symbol and all below it, (N,) float64."""
    logits, means, log_scales = _parts(mixture, parameters)
    edge = mixture.value(symbol).unsqueeze(1) + 1 / (mixture.levels - 1)
    parts = torch.softmax(logits, 1) * torch.sigmoid((edge - means) * torch.exp(-log_scales))
    inside = torch.where(symbol < 0, 0.0, parts.sum(1))
    return torch.where(symbol >= mixture.levels - 1, 1.0, inside)
