"""The laws, and what a linear model is asked for."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.errors import ConditionError, ConfigError, DataError
from ancestral.models.linear import METHODS, LinearAR, LinearConfig, yearly_sunspots
from ancestral.models.naive import sample_naive
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from ancestral.models.scoring import Scorer
from tests.models import laws
from tests.models.laws import needs_native


@st.composite
def nets(draw: st.DrawFn) -> LinearAR:
    """Stationary models: coefficients that sum to less than 1, without their signs."""
    raw = draw(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
    return model(
        [0.9 * value / max(1.0, sum(map(abs, raw))) for value in raw],
        mean=draw(st.floats(-3, 3)),
        deviation=draw(st.floats(0.1, 3)),
    )


def model(coefficients: list[float], mean: float, deviation: float) -> LinearAR:
    net = LinearAR(LinearConfig(len(coefficients), max_length=60))
    with torch.no_grad():
        net.coefficients.copy_(torch.tensor(coefficients))
        net.mean.fill_(mean)
        net.log_deviation.fill_(math.log(deviation))
    return net.eval()


def requests_of(net: LinearAR) -> list[dict[str, Any]]:
    order = net.config.order
    initial = [float(value) for value in range(order)]
    return [{"length": 13}, {"length": 20, "initial": None}, {"length": 17, "initial": initial}]


@settings(max_examples=20)
@given(net=nets(), position=st.integers(0, 12), seed=st.integers(0, 999))
def test_law_of_causality(net: LinearAR, position: int, seed: int) -> None:
    laws.check_causality(net, {"length": 13}, position, seed)


@settings(max_examples=20)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: LinearAR, seed: int) -> None:
    laws.check_sameness(net.float(), requests_of(net), seed)


@settings(max_examples=10)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_the_definition(net: LinearAR, seed: int) -> None:
    for request in requests_of(net):
        laws.check_definition(net, request, seed)


@settings(max_examples=20)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: LinearAR, seed: int) -> None:
    laws.check_log_prob(net, {"length": 13}, seed)


@pytest.mark.parametrize(("mean", "deviation"), [(1013.25, 1.0), (1e5 / 3, 50.0), (-1e6 / 7, 1.0)])
@pytest.mark.parametrize(
    ("executor", "slots"),
    [
        ("reference", 1),
        ("graph", 1),
        pytest.param("native", 1, marks=needs_native),
        pytest.param("native", 20, marks=needs_native),
    ],
)
def test_far_from_zero_a_series_keeps_its_digits(
    mean: float, deviation: float, executor: ExecutorName, slots: int
) -> None:
    # Given series far from zero for their deviation, one of which begins with given values
    net = model([1.2, -0.5], mean, deviation)
    initial = [mean + deviation / 3, mean - deviation / 7]
    for more in ({}, {"initial": initial}):
        # When one is drawn in float32
        request = SampleRequest(0, {"length": 30, **more}, seed=5)
        (drawn,) = Sampler(net, slots=slots, executor=executor).sample([request])
        # Then it lies within 1e-5 of a deviation of what the definition draws in float64
        exact = sample_naive(net, request.fields, request.seed)
        apart = np.abs(drawn.symbols - exact.symbols.numpy()).max()
        assert apart < 1e-5 * deviation
        # And is as likely, when it was drawn and when it is scored in float32
        assert drawn.log_likelihood_nats == pytest.approx(exact.log_likelihood_nats, abs=1e-3)
        scorer = Scorer(net)
        scorer.admit(0, drawn.symbols, {})
        (scored,) = scorer.advance()
        whole = net.log_prob(torch.from_numpy(drawn.symbols).unsqueeze(0), {}).item()
        assert scored.log_likelihood_nats == pytest.approx(whole, abs=1e-3)


def test_another_dtype_is_for_all_but_the_mean() -> None:
    net = model([0.5], mean=1e6 / 7, deviation=1.0).float()
    assert net.coefficients.dtype == net.log_deviation.dtype == torch.float32
    assert net.mean.item() == 1e6 / 7


def test_law_of_normalisation() -> None:
    """The density of one value, whatever came before, has the area 1."""
    net = model([0.5], mean=3.0, deviation=0.4)
    values = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
    x = torch.stack([torch.full_like(values, 1.5), values], dim=1)

    nats = net.distribution.log_prob(net(x, {}), x)[:, 1]

    assert torch.trapezoid(nats.exp(), values).item() == pytest.approx(1)


def test_the_next_value_is_foretold_as_the_equation_says() -> None:
    # Given x_{t+1} = 0.5 x_t − 0.25 x_{t−1} + 3 + ε, whose mean is 4
    net = model([0.5, -0.25], mean=4.0, deviation=2.0)
    x = torch.tensor([[6.0, 8.0, 1.0]], dtype=torch.float64)

    means, log_deviations = net(x, {})[0]
    means = means + net.distribution.offset

    # Before its first value the series stood at its mean
    assert means.tolist() == pytest.approx([4.0, 0.5 * 6 - 0.25 * 4 + 3, 0.5 * 8 - 0.25 * 6 + 3])
    assert log_deviations.tolist() == pytest.approx([math.log(2)] * 3)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_drawn_gives_its_model_back(method: str) -> None:
    # Given a long series, drawn
    net = model([1.1, -0.6], mean=5.0, deviation=0.5)
    long = LinearAR(LinearConfig(order=2, max_length=2000))
    long.load_state_dict(net.state_dict())
    (sample,) = Sampler(long, slots=1).sample([SampleRequest(0, {"length": 2000}, seed=3)])

    # When another model is fitted to it
    fitted = LinearAR(LinearConfig(order=2, method=method))
    fitted.fit([torch.from_numpy(sample.symbols)])

    # Then they agree within four standard errors
    torch.testing.assert_close(fitted.coefficients, net.coefficients, rtol=0, atol=0.07)
    assert abs(fitted.mean.item() - 5) < 0.09
    assert abs(fitted.log_deviation.item() - math.log(0.5)) < 0.07
    assert fitted.stationary


def test_initial_values_are_kept_bit_for_bit_and_drawn_on_from() -> None:
    net = model([0.99], mean=0.0, deviation=0.001)
    initial = [0.1 + 0.2]

    (sample,) = Sampler(net, slots=1).sample(
        [SampleRequest(0, {"length": 3, "initial": initial}, seed=1)]
    )

    assert sample.symbols[0] == initial[0]
    np.testing.assert_allclose(sample.symbols[1:], [0.297, 0.294], atol=0.01)
    assert sample.drawn == 2


def test_a_failed_fit_changes_nothing() -> None:
    net = model([0.5], mean=4.0, deviation=2.0)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    with pytest.raises(DataError, match="not stationary"):
        net.fit([torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])])

    torch.testing.assert_close(net.state_dict(), before)


def test_the_configuration_says_by_which_method_a_model_is_fitted() -> None:
    # Given a series that is too short for the methods to agree
    x = torch.tensor([1.0, 3.0, 2.0, 5.0, 4.0, 4.5, 1.0, 2.5], dtype=torch.float64)
    found = set()
    for method, solve in METHODS.items():
        net = LinearAR(LinearConfig(order=1, method=method))

        net.fit([x])

        # torch may add in another order, by where a tensor happens to lie
        torch.testing.assert_close(net.coefficients.detach(), solve([x], 1).coefficients)
        found.add(net.coefficients.item())
    assert len(found) == len(METHODS)


def test_an_explosive_model_says_so() -> None:
    assert not model([1.2], mean=0.0, deviation=1.0).stationary
    assert not model([1.0], mean=0.0, deviation=1.0).stationary
    assert model([0.9], mean=0.0, deviation=1.0).stationary


def test_an_example_is_as_long_as_it_is() -> None:
    net = model([0.5, 0.1], mean=0.0, deviation=1.0)
    x = torch.arange(7, dtype=torch.float64)

    assert net.example(x, {})[0] is x
    assert net.example(x, {"length": 7, "initial": [0.0, 1.0]})[1] == {}
    with pytest.raises(ConditionError, match="an event of"):
        net.example(x, {"length": 8})
    with pytest.raises(ConditionError, match="does not begin with the initial values"):
        net.example(x, {"initial": [1.0, 1.0]})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the model needs the field 'length'"),
        ({"length": 5, "label": 1}, "the model has no field 'label'"),
        ({"length": 0}, "length must be above 0 and at most 60, not 0"),
        ({"length": 61}, "length must be above 0 and at most 60, not 61"),
        ({"length": 2.5}, "length must be a whole number, not 2.5"),
        ({"length": True}, "length must be a whole number, not True"),
        ({"length": 2, "initial": [1.0, 2.0]}, "length must be above 2 and at most 60, not 2"),
        ({"length": 5, "initial": [1.0]}, "initial must be a list of 2 finite numbers"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        model([0.5, 0.1], mean=0.0, deviation=1.0).conditions(fields)


def test_sizes_that_make_no_model_are_named() -> None:
    assert LinearAR(yearly_sunspots()).event_shape({"length": 309}) == (309,)
    with pytest.raises(ConfigError, match="order must be at least 1, not 0"):
        LinearConfig(order=0)
    with pytest.raises(ConfigError, match="max_length must be above order, which is 3"):
        LinearConfig(order=3, max_length=3)
    with pytest.raises(ConfigError, match="no method 'ols': there are least_squares, yule"):
        LinearConfig(order=3, method="ols")
