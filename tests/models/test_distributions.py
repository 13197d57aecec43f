"""What each distribution says of a symbol, and that drawing agrees with it."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.sampling.distributions import (
    LARGEST_LOG_SCALE,
    Bernoulli,
    Categorical,
    Distribution,
    Gaussian,
    LogisticMixture,
    colour_mixture,
)
from ancestral.models.sampling.draw import Settings, SettingsBatch

#: Uniform numbers, evenly spread: as many of them draw a symbol as it is likely.
SPREAD = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000

LEVELLED = st.one_of(
    st.integers(2, 40).map(Categorical),
    st.just(Bernoulli()),
    st.builds(LogisticMixture, st.integers(2, 40), st.integers(1, 4)),
)
SEEDS = st.integers(0, 9999)


def some_parameters(distribution: Distribution, seed: int, size: float = 2.0) -> Tensor:
    """Parameters (1, P) in float64."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(1, distribution.parameters, generator=generator, dtype=torch.float64)
    return size * normal


def probabilities(distribution: Distribution, parameters: Tensor) -> Tensor:
    """The probability of each symbol (L,) under parameters (1, P)."""
    assert distribution.levels is not None
    every = torch.arange(distribution.levels).unsqueeze(0)
    each = parameters.unsqueeze(2).expand(-1, -1, distribution.levels)
    return distribution.log_prob(each, every)[0].exp()


def shares(
    distribution: Distribution, parameters: Tensor, chosen: Settings | None = None
) -> Tensor:
    """The share of uniform numbers that draw each symbol, (L,)."""
    assert distribution.levels is not None
    batch = SettingsBatch.of(
        [chosen or Settings()] * len(SPREAD), distribution.levels, SPREAD.dtype
    )
    drawn = distribution.draw(parameters.expand(len(SPREAD), -1), SPREAD, batch)
    return torch.bincount(drawn, minlength=distribution.levels).double() / len(SPREAD)


def assert_shares(measured: Tensor, expected: Tensor) -> None:
    # A symbol is drawn by an interval of uniform numbers, which cuts at most one at each end.
    assert measured.shape == expected.shape
    assert (measured - expected).abs().max() <= 1.01 / len(SPREAD)


@settings(max_examples=40)
@given(distribution=LEVELLED, seed=SEEDS, size=st.sampled_from([0.1, 1.0, 10.0, 300.0]))
def test_the_probabilities_of_all_symbols_sum_to_one(
    distribution: Distribution, seed: int, size: float
) -> None:
    every = probabilities(distribution, some_parameters(distribution, seed, size))
    assert abs(float(every.sum()) - 1) < 1e-12


@settings(max_examples=40)
@given(distribution=LEVELLED, seed=SEEDS, size=st.sampled_from([0.3, 2.0, 30.0]))
def test_a_symbol_is_drawn_as_often_as_it_is_likely(
    distribution: Distribution, seed: int, size: float
) -> None:
    parameters = some_parameters(distribution, seed, size)
    assert_shares(shares(distribution, parameters), probabilities(distribution, parameters))


@settings(max_examples=30)
@given(distribution=LEVELLED, seed=SEEDS)
def test_a_larger_uniform_number_never_draws_a_lower_symbol(
    distribution: Distribution, seed: int
) -> None:
    parameters = some_parameters(distribution, seed).expand(len(SPREAD), -1)
    drawn = distribution.draw(parameters, SPREAD, SettingsBatch(None, None, None))
    assert (drawn.diff() >= 0).all()


@settings(max_examples=30)
@given(
    distribution=st.one_of(st.integers(2, 40).map(Categorical), st.just(Bernoulli())),
    seed=SEEDS,
    temperature=st.sampled_from([0.3, 0.9, 2.0]),
)
def test_temperature_divides_logits(
    distribution: Distribution, seed: int, temperature: float
) -> None:
    parameters = some_parameters(distribution, seed)
    assert_shares(
        shares(distribution, parameters, Settings(temperature=temperature)),
        probabilities(distribution, parameters / temperature),
    )


@settings(max_examples=60)
@given(
    distribution=st.builds(LogisticMixture, st.integers(2, 40), st.integers(1, 4)),
    seed=SEEDS,
    size=st.sampled_from([1.0, 30.0]),
    temperature=st.sampled_from([1e-3, 0.3, 0.9, 2.0]),
)
def test_temperature_multiplies_the_scales_of_a_mixture(
    distribution: LogisticMixture, seed: int, size: float, temperature: float
) -> None:
    # Given scales of which the larger size has many at their floor
    parameters = some_parameters(distribution, seed, size)
    logits, means, log_scales = parameters[0].chunk(3)
    scales = log_scales.clamp(distribution.smallest_log_scale, LARGEST_LOG_SCALE).exp()

    # When the law is written down with tempered ones
    levels = distribution.levels
    edges = distribution.value(torch.arange(levels - 1)).unsqueeze(1) + 1 / (levels - 1)
    below = torch.sigmoid((edges - means) / (scales * temperature))
    running = F.pad((torch.softmax(logits / temperature, 0) * below).sum(1), (1, 0))
    expected = F.pad(running, (0, 1), value=1.0).diff()

    # Then a symbol is drawn as often as that says, whether or not others are truncated
    for chosen in (Settings(temperature), Settings(temperature, top_p=1 - 1e-12)):
        assert_shares(shares(distribution, parameters, chosen), expected)


@settings(max_examples=30)
@given(distribution=LEVELLED, seed=SEEDS, top_k=st.integers(1, 50))
def test_top_k_keeps_the_likeliest_in_their_proportions(
    distribution: Distribution, seed: int, top_k: int
) -> None:
    parameters = some_parameters(distribution, seed)
    every = probabilities(distribution, parameters)
    kept = torch.zeros_like(every)
    likeliest = every.argsort(descending=True, stable=True)[:top_k]
    kept[likeliest] = every[likeliest]
    assert_shares(shares(distribution, parameters, Settings(top_k=top_k)), kept / kept.sum())


@settings(max_examples=30)
@given(distribution=LEVELLED, seed=SEEDS, top_p=st.floats(0.05, 1))
def test_top_p_keeps_the_fewest_that_hold_the_share(
    distribution: Distribution, seed: int, top_p: float
) -> None:
    parameters = some_parameters(distribution, seed)
    every = probabilities(distribution, parameters)
    ordered = every.argsort(descending=True, stable=True)
    held = every[ordered].cumsum(0)
    enough = 1 + int((held < top_p * held[-1]).sum())
    kept = torch.zeros_like(every)
    kept[ordered[:enough]] = every[ordered[:enough]]
    assert_shares(shares(distribution, parameters, Settings(top_p=top_p)), kept / kept.sum())


def test_slots_are_drawn_with_settings_of_their_own() -> None:
    # Given one law, and slots that ask for different things
    mixture = LogisticMixture(256, 2)
    parameters = torch.tensor([0.0, 1.0, -0.5, 0.5, -1.0, -2.0]).double().expand(3, -1)
    asked = [Settings(), Settings(temperature=0.5), Settings(top_k=1)]
    u = torch.full((3,), 0.3, dtype=torch.float64)

    # When they are drawn together
    together = mixture.draw(parameters, u, SettingsBatch.of(asked, 256, u.dtype))

    # Then each gets what it gets alone, and no two the same
    alone = [
        int(mixture.draw(parameters[:1], u[:1], SettingsBatch.of([one], 256, u.dtype)))
        for one in asked
    ]
    assert together.tolist() == alone
    assert len(set(alone)) == 3


@pytest.mark.parametrize("event", [(), (5,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize(
    "distribution", [Categorical(7), Bernoulli(), LogisticMixture(7, 2), Gaussian()]
)
def test_symbols_of_any_shape_are_scored_each_by_its_own_parameters(
    distribution: Distribution, event: Sequence[int]
) -> None:
    torch.manual_seed(0)
    parameters = torch.randn(3, distribution.parameters, *event)
    if distribution.levels is None:
        x = torch.randn(3, *event)
    else:
        x = torch.randint(0, distribution.levels, (3, *event))
    together = distribution.log_prob(parameters, x)
    assert together.shape == x.shape
    assert together.dtype == parameters.dtype
    flat, symbols = parameters.flatten(2) if event else parameters.unsqueeze(2), x.reshape(3, -1)
    for row, place in itertools.product(range(3), range(symbols.shape[1])):
        own, symbol = flat[row : row + 1, :, place], symbols[row : row + 1, place]
        alone = distribution.log_prob(own, symbol)
        torch.testing.assert_close(together.reshape(3, -1)[row : row + 1, place], alone)


def test_a_softmax_scores_the_same_in_training() -> None:
    torch.manual_seed(0)
    logits, x = torch.randn(2, 5, 3, 4), torch.randint(0, 5, (2, 3, 4))
    training = Categorical(5).log_prob(logits.clone().requires_grad_(), x)
    torch.testing.assert_close(training.detach(), Categorical(5).log_prob(logits, x))


@settings(max_examples=30)
@given(logit=st.floats(-30, 30))
def test_a_bit_is_a_softmax_over_zero_and_the_logit(logit: float) -> None:
    one = torch.tensor([[logit]], dtype=torch.float64)
    two = F.pad(one, (1, 0))
    torch.testing.assert_close(probabilities(Bernoulli(), one), probabilities(Categorical(2), two))
    assert torch.equal(shares(Bernoulli(), one), shares(Categorical(2), two))


@settings(max_examples=30)
@given(levels=st.integers(2, 30), components=st.integers(1, 4), seed=SEEDS)
def test_a_mixture_is_what_equation_2_says(levels: int, components: int, seed: int) -> None:
    mixture = LogisticMixture(levels, components)
    parameters = some_parameters(mixture, seed, size=0.7)
    logits, means, log_scales = parameters[0].view(3, components)
    every = torch.linspace(-1, 1, levels, dtype=torch.float64)
    edges = (every[1:] + every[:-1]) / 2
    inner = torch.sigmoid((edges - means[:, None]) / log_scales.exp()[:, None])
    cumulative = F.pad(F.pad(inner, (1, 0), value=0.0), (0, 1), value=1.0)
    expected = torch.softmax(logits, 0) @ cumulative.diff(dim=1)
    torch.testing.assert_close(probabilities(mixture, parameters), expected)


@pytest.mark.parametrize("levels", [2, 16, 256, 65536])
@pytest.mark.parametrize("mean", [-1e4, -1.0, 0.3, 5.0])
@pytest.mark.parametrize("log_scale", [-1e4, -30.0, -5.0, 0.0, 15.0, 1e4])
def test_far_means_and_extreme_scales_leave_likelihoods_and_gradients_finite(
    levels: int, mean: float, log_scale: float
) -> None:
    # Given two components, one of them without weight, in float32
    mixture, every = LogisticMixture(levels, 2), torch.arange(levels)
    parameters = torch.tensor([[0.0, -1e4, mean, 0.0, log_scale, 0.0]])
    parameters = parameters.expand(levels, -1).clone().requires_grad_()

    # When every symbol is scored
    log_p = mixture.log_prob(parameters, every)
    (gradient,) = torch.autograd.grad(log_p.sum(), parameters)

    # Then all is finite, and still sums to one
    assert log_p.isfinite().all() and gradient.isfinite().all()
    assert abs(log_p.double().exp().sum().item() - 1) < 1e-5


@pytest.mark.parametrize(("log_scale", "mean"), [(-1e4, 0.2), (1e4, 0.2), (-1e4, -9.0), (0.0, 9.0)])
def test_extreme_mixtures_draw_as_they_score(log_scale: float, mean: float) -> None:
    mixture = LogisticMixture(256, 1)
    parameters = torch.tensor([[0.0, mean, log_scale]], dtype=torch.float64)
    assert_shares(shares(mixture, parameters), probabilities(mixture, parameters))


def test_scales_beyond_their_bounds_are_the_bounds() -> None:
    mixture = LogisticMixture(16, 1)
    for beyond, bound in [(-50.0, mixture.smallest_log_scale), (50.0, LARGEST_LOG_SCALE)]:
        far, near = (torch.tensor([[0.0, 0.1, scale]]) for scale in (beyond, bound))
        assert torch.equal(probabilities(mixture, far), probabilities(mixture, near))


def test_the_narrowest_component_holds_nearly_all_of_a_symbol() -> None:
    for levels in (2, 16, 256):
        mixture = LogisticMixture(levels, 1)
        mean = float(mixture.value(torch.tensor(levels // 2)))
        parameters = torch.tensor([[0.0, mean, -50.0]], dtype=torch.float64)
        assert probabilities(mixture, parameters)[levels // 2] > 0.998


@pytest.mark.parametrize(
    "broken", [[math.nan, 0.0, 0.0], [0.0, math.nan, 0.0], [0.0, 0.0, math.nan]]
)
def test_parameters_that_are_not_numbers_draw_some_symbol(broken: list[float]) -> None:
    parameters, u = torch.tensor([broken]), torch.tensor([0.5])
    drawn = LogisticMixture(16, 1).draw(parameters, u, SettingsBatch(None, None, None))
    assert 0 <= int(drawn) < 16


@settings(max_examples=30)
@given(mean=st.floats(-50, 50), log_deviation=st.floats(-5, 5), x=st.floats(-60, 60))
def test_a_gaussian_has_the_density_of_a_normal_distribution(
    mean: float, log_deviation: float, x: float
) -> None:
    parameters = torch.tensor([[mean, log_deviation]], dtype=torch.float64)
    value = torch.tensor([x], dtype=torch.float64)
    normal: Any = torch.distributions.Normal(parameters[:, 0], parameters[:, 1].exp())
    torch.testing.assert_close(Gaussian().log_prob(parameters, value), normal.log_prob(value))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_gaussian_is_drawn_by_its_inverse(temperature: float) -> None:
    parameters = torch.tensor([[2.0, -1.0]], dtype=torch.float64).expand(len(SPREAD), -1)
    batch = SettingsBatch.of([Settings(temperature)] * len(SPREAD), None, SPREAD.dtype)
    drawn = Gaussian().draw(parameters, SPREAD, batch)
    deviation = parameters[:, 1].exp() * temperature
    normal: Any = torch.distributions.Normal(parameters[:, 0], deviation)
    torch.testing.assert_close(normal.cdf(drawn), SPREAD)


def test_a_gaussian_far_from_zero_is_the_one_at_zero_moved() -> None:
    # Given float32 parameters, which cannot tell numbers about the offset apart
    offset = 1e9 / 7
    parameters = torch.tensor([[0.3, -1.0]]).expand(len(SPREAD), -1)
    settings = SettingsBatch(None, None, None)

    here, there = (law.draw(parameters, SPREAD, settings) for law in (Gaussian(), Gaussian(offset)))

    torch.testing.assert_close(there - offset, here, rtol=0, atol=1e-7)
    nats = Gaussian().log_prob(parameters, here)
    torch.testing.assert_close(Gaussian(offset).log_prob(parameters, there), nats)


@settings(max_examples=20)
@given(levels=st.integers(2, 4), components=st.integers(1, 3), seed=SEEDS)
def test_the_colours_of_a_pixel_are_one_mixture_over_all_three(
    levels: int, components: int, seed: int
) -> None:
    # Given a pixel's raw outputs, and every pixel there is
    mixture = LogisticMixture(levels, components)
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(1, 10 * components, generator=generator, dtype=torch.float64)
    pixels = torch.tensor(list(itertools.product(range(levels), repeat=3)))

    # When the colours are scored one after the other
    chained = torch.zeros(len(pixels), dtype=torch.float64)
    for colour in range(3):
        own = colour_mixture(raw.expand(len(pixels), -1), pixels[:, :colour], mixture)
        chained += mixture.log_prob(own, pixels[:, colour])

    # Then that is the mixture of whole pixels (Salimans et al. 2017, equation 3)
    logits, means, log_scales, coefficients = (
        part.view(-1, components)
        for part in torch.split(raw[0], [components, *[3 * components] * 3])
    )
    green_red, blue_red, blue_green = torch.tanh(coefficients)
    red, green, _ = mixture.value(pixels).unbind(1)
    shifted = (
        means[0].expand(len(pixels), -1),
        means[1] + green_red * red[:, None],
        means[2] + blue_red * red[:, None] + blue_green * green[:, None],
    )
    whole = torch.log_softmax(logits, 1).expand(len(pixels), -1)
    for colour, mean in enumerate(shifted):
        scales = log_scales[colour].expand(len(pixels), -1)
        own = torch.cat([torch.zeros_like(mean), mean, scales], dim=1)
        whole = whole + mixture.component_log_prob(own, pixels[:, colour])
    torch.testing.assert_close(chained, whole.logsumexp(1))
    assert abs(chained.exp().sum().item() - 1) < 1e-9


def test_colour_mixtures_of_feature_maps_are_those_of_their_pixels() -> None:
    torch.manual_seed(0)
    mixture = LogisticMixture(8, 2)
    raw, x = torch.randn(2, 20, 3, 4), torch.randint(0, 8, (2, 3, 3, 4))
    for colour in range(3):
        whole = colour_mixture(raw, x[:, :colour], mixture)
        single = colour_mixture(raw[:, :, 1, 2], x[:, :colour, 1, 2], mixture)
        assert whole.shape == (2, mixture.parameters, 3, 4)
        torch.testing.assert_close(whole[:, :, 1, 2], single)
