"""Linear models from data: against statsmodels, and against what is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ancestral.models.errors import DataError
from ancestral.models.linear_fit import (
    LinearFit,
    burg,
    is_stationary,
    least_squares,
    levinson_durbin,
    reflection_coefficients,
    yule_walker,
)

Fit = Callable[[list[torch.Tensor], int], LinearFit]


def series(values: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def drawn(coefficients: list[float], mean: float, length: int, seed: int) -> torch.Tensor:
    """A series of that model with ε of standard deviation 2."""
    noise = 2 * np.random.default_rng(seed).standard_normal(length)
    past = [0.0] * len(coefficients)
    values = []
    for epsilon in noise:
        value = float(np.dot(coefficients, past)) + epsilon
        past = [value, *past[:-1]]
        values.append(mean + value)
    return series(values)


@pytest.fixture(scope="module")
def sunspot_numbers() -> NDArray[np.float64]:
    """Yearly, 1700 to 2008: 309 real numbers. What comes from statsmodels is imported where it is
    used: that takes seconds, in every process that collects this file."""
    from statsmodels.datasets import sunspots

    numbers: NDArray[np.float64] = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    return numbers


@pytest.mark.parametrize("order", [1, 2, 9])
def test_least_squares_is_that_of_statsmodels(
    sunspot_numbers: NDArray[np.float64], order: int
) -> None:
    from statsmodels.tsa.ar_model import AutoReg

    reference = AutoReg(sunspot_numbers, order, trend="c").fit()

    fit = least_squares([series(sunspot_numbers)], order)

    constant = fit.mean * (1 - float(fit.coefficients.sum()))
    np.testing.assert_allclose([constant, *fit.coefficients], reference.params, rtol=1e-9)
    np.testing.assert_allclose(fit.deviation**2, reference.sigma2, rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 9])
def test_yule_walker_is_that_of_statsmodels(
    sunspot_numbers: NDArray[np.float64], order: int
) -> None:
    from statsmodels.regression import linear_model

    coefficients, deviation = linear_model.yule_walker(
        sunspot_numbers, order, method="mle", result_object=False
    )

    fit = yule_walker([series(sunspot_numbers)], order)

    np.testing.assert_allclose(fit.coefficients, coefficients, rtol=1e-9)
    np.testing.assert_allclose(fit.deviation, deviation, rtol=1e-9)
    np.testing.assert_allclose(fit.mean, sunspot_numbers.mean(), rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 9])
def test_burg_is_that_of_statsmodels(sunspot_numbers: NDArray[np.float64], order: int) -> None:
    from statsmodels.regression import linear_model

    coefficients, variance = linear_model.burg(sunspot_numbers, order)

    fit = burg([series(sunspot_numbers)], order)

    np.testing.assert_allclose(fit.coefficients, coefficients, rtol=1e-9)
    np.testing.assert_allclose(fit.deviation**2, variance, rtol=1e-9)
    np.testing.assert_allclose(fit.mean, sunspot_numbers.mean(), rtol=1e-12)


def test_of_short_series_burg_finds_the_model_that_yule_walker_tames() -> None:
    # Given series of 60 values each, of a model that rings long
    known = [1.8, -0.95]
    short = [drawn(known, mean=7, length=260, seed=seed)[200:] for seed in range(40)]

    # When each is fitted by itself
    def misses(solve: Fit) -> float:
        found = torch.stack([solve([x], 2).coefficients for x in short]).mean(0)
        return float((found - series(known)).abs().max())

    # Then Burg's are near it, and Yule-Walker's are not
    assert misses(burg) < 0.05
    assert misses(yule_walker) > 0.1


@settings(max_examples=50)
@given(
    values=st.lists(st.lists(st.integers(-9, 9), min_size=5, max_size=12), min_size=1, max_size=3),
    order=st.integers(1, 4),
)
def test_what_burg_finds_is_stationary(values: list[list[int]], order: int) -> None:
    try:
        fit = burg([series(each) for each in values], order)
    except DataError:
        return
    assert is_stationary(fit.coefficients)


@pytest.mark.parametrize("solve", [least_squares, yule_walker, burg])
def test_the_model_that_drew_the_series_is_found(solve: Fit) -> None:
    # Given three series of one model
    known = [1.2, -0.5, 0.1]
    several = [drawn(known, mean=40, length=length, seed=length) for length in (4000, 7000, 9000)]

    fit = solve(several, 3)

    # Then it is found to within four standard errors of 20,000 values
    np.testing.assert_allclose(fit.coefficients, known, atol=0.04)
    assert abs(fit.mean - 40) < 4 * 2 / (1 - sum(known)) / np.sqrt(20_000)
    assert abs(fit.deviation - 2) < 4 * 2 / np.sqrt(2 * 20_000)


@pytest.mark.parametrize("solve", [least_squares, yule_walker, burg])
def test_a_fit_is_in_the_units_of_the_series(solve: Fit) -> None:
    x = drawn([0.9, -0.4], mean=0, length=200, seed=1)

    fit, moved = solve([x], 2), solve([1e6 + 1e-3 * x], 2)

    torch.testing.assert_close(moved.coefficients, fit.coefficients, rtol=0, atol=1e-5)
    np.testing.assert_allclose(moved.mean, 1e6 + 1e-3 * fit.mean, rtol=1e-9)
    np.testing.assert_allclose(moved.deviation, 1e-3 * fit.deviation, rtol=1e-5)


@pytest.mark.parametrize("solve", [least_squares, burg])
def test_series_are_not_joined_at_their_ends(solve: Fit) -> None:
    x = drawn([0.8], mean=0, length=50, seed=2)

    once, twice = solve([x], 1), solve([x, x], 1)

    torch.testing.assert_close(twice.coefficients, once.coefficients)


@settings(max_examples=50)
@given(seed=st.integers(0, 999), order=st.integers(1, 8), length=st.integers(9, 40))
def test_levinson_durbin_solves_the_toeplitz_system(seed: int, order: int, length: int) -> None:
    # Given the autocovariance of any series
    x = np.random.default_rng(seed).standard_normal(length)
    r = np.array([x[: length - lag] @ x[lag:] for lag in range(order + 1)])

    coefficients, variance = levinson_durbin(series(r))

    lags = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    np.testing.assert_allclose(r[lags] @ coefficients.numpy(), r[1:], atol=1e-9 * r[0])
    np.testing.assert_allclose(variance, r[0] - coefficients.numpy() @ r[1:], atol=1e-9 * r[0])
    assert is_stationary(coefficients)


@settings(max_examples=100)
@given(st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=5))
def test_stationary_is_all_roots_within_the_unit_circle(coefficients: list[float]) -> None:
    largest = max(np.abs(np.roots([1, *(-c for c in coefficients)])), default=0.0)
    assume(abs(largest - 1) > 1e-3)

    assert is_stationary(series(coefficients)) == (largest < 1)


def test_reflection_coefficients_are_the_last_ones_of_each_order() -> None:
    # Given δ of orders 1 and 2 by hand: 0.5, then (0.5 + 0.2 · 0.5, −0.2)
    assert reflection_coefficients(series([0.6, -0.2])) == pytest.approx([-0.2, 0.5])


@pytest.mark.parametrize("solve", [yule_walker, burg])
def test_what_grows_without_bound_has_a_stationary_model_by_other_methods(solve: Fit) -> None:
    growing = 1.05 ** np.arange(200) + np.random.default_rng(0).standard_normal(200)

    with pytest.raises(DataError, match=r"the least squares fit is not stationary, .* 'burg'"):
        least_squares([series(growing)], 1)

    assert is_stationary(solve([series(growing)], 1).coefficients)


@pytest.mark.parametrize("solve", [least_squares, yule_walker, burg])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([], "there is no series to fit"),
        ([[1.0, 2.0]], r"series 0 has the shape \(2,\), and a fit of order 2 needs more than 2"),
        ([[[1.0, 2.0, 3.0]]], r"series 0 has the shape \(1, 3\)"),
        ([[1.0, 2.0, float("nan"), 3.0]], "a series has values that are not finite"),
        ([[0.1] * 9], "the series never change"),
    ],
)
def test_what_cannot_be_fitted_is_refused(solve: Fit, x: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        solve([series(values) for values in x], 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0, 0.0, 1.0, 0.0, 1.0, 0.0], "do not tell 2 coefficients apart"),
        ([0.5**t + 2 * (-0.7) ** t for t in range(12)], "foretold without error"),
    ],
)
def test_least_squares_needs_more_than_it_solves_for(x: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        least_squares([series(x)], 2)
