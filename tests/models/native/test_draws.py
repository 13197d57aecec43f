"""What the native executor draws from given parameters, and what it says of the likelihood.

The definition is `distributions.py` in float64: a symbol is right if u lies where it is drawn, up
to a tolerance in u that says how well running weights can be computed in float32.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.sampling.distributions import Bernoulli, Categorical, Distribution, Gaussian
from ancestral.models.sampling.draw import Settings, SettingsBatch
from tests.models.laws import needs_native
from tests.models.native.one_draw import draw_each, generator, law_of, spread_seeds
from tests.models.native.watched import NARROW, WIDE

pytestmark = needs_native

#: How far u may lie from where a symbol is drawn.
STEP_TOLERANCE = 1e-5

each_layout = pytest.mark.parametrize("slots", [NARROW, WIDE], ids=["narrow", "wide"])


@each_layout
@pytest.mark.parametrize("levels", [2, 3, 16, 17, 256])
@pytest.mark.parametrize("loudness", [0.0, 1.0, 30.0], ids=["even", "lively", "certain"])
def test_symbols_and_likelihoods_of_a_softmax(levels: int, loudness: float, slots: int) -> None:
    # Given random logits, and uniform numbers from one end to the other
    seeds, u = spread_seeds(200)
    law = Categorical(levels)
    logits = loudness * torch.randn(len(seeds), levels, generator=generator(levels))

    drawn, nats = draw_each(law_of(law), logits, seeds, slots=slots)

    assert_drawn(law, logits, u, torch.from_numpy(drawn[:, 0]).long(), nats)


@each_layout
def test_symbols_and_likelihoods_of_bits(slots: int) -> None:
    seeds, u = spread_seeds(400)
    logits = torch.linspace(-90, 90, len(seeds)).unsqueeze(1)
    logits = logits[torch.randperm(len(seeds), generator=generator(0))]

    drawn, nats = draw_each(law_of(Bernoulli()), logits, seeds, slots=slots)

    assert_drawn(Bernoulli(), logits, u, torch.from_numpy(drawn[:, 0]).long(), nats)


@each_layout
def test_real_numbers_lie_where_the_quantile_says(slots: int) -> None:
    # Given means and deviations of every size
    seeds, u = spread_seeds(1000)
    parameters = torch.randn(len(seeds), 2, generator=generator(0)) * torch.tensor([100.0, 3.0])

    # When numbers are drawn, at temperatures of 1 and others
    temperatures = [1.0, 0.5, 3.0]
    asked = [Settings(temperature) for temperature in temperatures]
    drawn, nats = draw_each(law_of(Gaussian()), parameters, seeds, asked, slots=slots)

    # Then each lies at u's quantile, far into both tails, and its density is the law's own
    mean, log_deviation = parameters.double().unbind(1)
    tempered = torch.tensor(temperatures).repeat(len(seeds))[: len(seeds)].double()
    expected = mean + log_deviation.exp() * tempered * torch.special.ndtri(u)
    x = torch.from_numpy(drawn[:, 0])
    assert ((x - expected).abs() <= 1e-12 * (1 + expected.abs())).all()
    density = Gaussian().log_prob(parameters.double(), x)
    np.testing.assert_allclose(nats, density.numpy(), rtol=1e-12, atol=1e-12)


@each_layout
@given(
    levels=st.integers(2, 40),
    seed=st.integers(0, 99),
    temperature=st.sampled_from([0.2, 0.9, 1.0, 4.0]),
    top_k=st.none() | st.integers(1, 45),
    top_p=st.none() | st.floats(0.05, 1.0),
)
@settings(max_examples=40)
def test_settings_are_those_of_the_reference(
    slots: int,
    levels: int,
    seed: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> None:
    # Given logits, and neighbours with other settings at each side
    law = Categorical(levels)
    seeds, u = spread_seeds(64)
    logits = 3 * torch.randn(len(seeds), levels, generator=generator(seed))
    asked = [Settings(temperature, top_k, top_p), Settings(), Settings(top_k=2)]

    drawn, _ = draw_each(law_of(law), logits, seeds, asked, slots=slots)

    # Then symbols are the reference's in float64, with u and the share kept as close as float32 is
    row = [asked[number % len(asked)] for number in range(len(seeds))]
    assert_settings(law, logits, u, row, drawn)


def test_settings_are_those_of_the_reference_where_many_symbols_are_alike() -> None:
    # Given a large alphabet of a few weights, so that many symbols share each
    law = Categorical(256)
    seeds, u = spread_seeds(200)
    logits = torch.randint(0, 5, (len(seeds), 256), generator=generator(0)).float()
    asked = [Settings(top_k=50), Settings(top_p=0.6), Settings(0.8, top_k=99, top_p=0.9)]

    drawn, _ = draw_each(law_of(law), logits, seeds, asked)

    # Then symbols are the reference's in float64, with u and the share kept as close as float32 is
    assert_settings(law, logits, u, [asked[n % 3] for n in range(len(seeds))], drawn)


def test_of_equals_the_lower_symbols_are_kept() -> None:
    # Given logits of which two are the highest and three come next
    seeds, _ = spread_seeds(200)
    logits = torch.tensor([[1.0, 2.0, 1.0, 2.0, 1.0]]).expand(len(seeds), -1)
    law = law_of(Categorical(5))

    # Then the third to be kept is the lowest of the three, whether by number or by share
    assert set(draw_each(law, logits, seeds, [Settings(top_k=3)])[0][:, 0]) == {0, 1, 3}
    assert set(draw_each(law, logits, seeds, [Settings(top_p=0.7)])[0][:, 0]) == {0, 1, 3}
    assert set(draw_each(law, logits, seeds, [Settings(top_k=1)])[0][:, 0]) == {1}
    # However small the share, the lower of the two highest is left
    for little in (1e-40, 1e-46, 1e-323):
        assert set(draw_each(law, logits, seeds, [Settings(top_p=little)])[0][:, 0]) == {1}
    # And with all the share everything is
    assert set(draw_each(law, logits, seeds, [Settings(top_p=1.0)])[0][:, 0]) == {0, 1, 2, 3, 4}


def test_what_settings_leave_out_counts_in_the_likelihood_nevertheless() -> None:
    # Given settings under which every event is the likeliest symbol
    seeds, _ = spread_seeds(50)
    logits = torch.randn(len(seeds), 9, generator=generator(4))

    drawn, nats = draw_each(law_of(Categorical(9)), logits, seeds, [Settings(0.4, top_k=1)])

    # Then it is as likely as the network says, not certain
    assert (torch.from_numpy(drawn[:, 0]) == logits.argmax(1)).all()
    highest = torch.log_softmax(logits.double(), 1).amax(1).numpy()
    np.testing.assert_allclose(nats, highest, rtol=1e-5)


def assert_drawn(
    law: Distribution, parameters: Tensor, u: Tensor, drawn: Tensor, nats: np.ndarray
) -> None:
    """That u (N,) lies where the symbols (N,) are drawn, and that their nats (N,) are the law's."""
    assert law.levels is not None
    exact = parameters.double()
    every = torch.arange(law.levels).expand(len(u), -1)
    steps = law.log_prob(exact.unsqueeze(2).expand(-1, -1, law.levels), every).exp().cumsum(1)
    after = steps.gather(1, drawn.unsqueeze(1)).squeeze(1)
    before = torch.where(drawn == 0, 0.0, steps.gather(1, (drawn - 1).clamp_min(0)[:, None])[:, 0])
    assert (before - u).max() <= STEP_TOLERANCE
    assert (u - after).max() <= STEP_TOLERANCE
    expected = law.log_prob(exact, drawn).numpy()
    np.testing.assert_allclose(nats, expected, rtol=1e-5, atol=1e-5)


def assert_settings(
    law: Categorical, logits: Tensor, u: Tensor, row: list[Settings], drawn: NDArray[np.generic]
) -> None:
    """That the symbols (N, 1) are those of the reference, whose settings are one for each."""
    allowed = [
        law.draw(logits.double(), u + moved, SettingsBatch.of(kept, law.levels, torch.float64))
        for moved in (0.0, STEP_TOLERANCE, -STEP_TOLERANCE)
        for kept in (row, _keeping(row, STEP_TOLERANCE), _keeping(row, -STEP_TOLERANCE))
    ]
    assert (torch.stack(allowed) == torch.from_numpy(drawn[:, 0])).any(0).all()


def _keeping(row: list[Settings], more: float) -> list[Settings]:
    """Settings that keep a little more, or less, of the probability."""
    return [
        one if one.top_p is None else replace(one, top_p=min(1.0, one.top_p + more)) for one in row
    ]
