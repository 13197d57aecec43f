"""Linear autoregression from data, in closed form, float64 throughout.

    least squares    the coefficients that foretell x_{t+1} from x_t ... x_{t-p+1} with the smallest
                     squared error: the likeliest ones, given the first p values of each series
    Yule-Walker      the coefficients whose autocovariances r_0 ... r_p are the series' own
                     (Yule 1927, Walker 1931); always stationary, and of short series too tame
    Burg             order by order, the reflection coefficient with the smallest squared error of
                     foretelling forwards and backwards (Burg 1975, "Maximum Entropy Spectral
                     Analysis"); always stationary

Yule-Walker is a Toeplitz system, which Levinson and Durbin solve order by order in O(p²):

    │ r_0  r_1  r_2 │ │ δ_0 │   │ r_1 │
    │ r_1  r_0  r_1 │ │ δ_1 │ = │ r_2 │
    │ r_2  r_1  r_0 │ │ δ_2 │   │ r_3 │

The last coefficient of each order is that order's reflection coefficient. The other way round, the
reflection coefficients of given δ say whether a model is stationary: all lie within (−1, 1) just
when all roots of z^p = δ_0 z^(p−1) + ... + δ_{p−1} lie within the unit circle (Schur 1917, Cohn
1922). An explosive model grows without bound as it is drawn, and has no mean.

Shapes: p order, T values of a series, N values to foretell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.models.errors import DataError

#: A reflection coefficient this close to 1, or an error (in standard deviations of the series) this
#: close to 0, is just that, but for rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class LinearFit:
    """x_{t+1} − mean = Σ coefficients[i] (x_{t−i} − mean) + ε, ε of that standard deviation."""

    coefficients: Tensor
    mean: float
    deviation: float


def least_squares(x: Sequence[Tensor], order: int) -> LinearFit:
    """The likeliest model of series (T,), given the first `order` values of each.

    Raises DataError for series that are too short, constant, not finite or foretold without error,
    and for series of which the likeliest model is not stationary.
    """
    series, centre, spread = _standardised(x, order)
    windows = torch.cat([values.unfold(0, order + 1, 1) for values in series])
    past = torch.cat([windows[:, :-1].flip(1), torch.ones_like(windows[:, :1])], dim=1)
    future = windows[:, -1:]
    solution, _, rank, _ = torch.linalg.lstsq(past, future, driver="gelsy")
    if int(rank) <= order:
        raise DataError(f"the series do not tell {order} coefficients apart: lower the order")
    coefficients, constant = solution[:-1, 0], solution[-1, 0]
    if not is_stationary(coefficients):
        raise DataError(
            "the least squares fit is not stationary, so that what it draws would grow without "
            "bound: fit the differences of the series, or by the method 'burg'"
        )
    deviation = (future - past @ solution).square().mean().sqrt()
    mean = constant / (1 - coefficients.sum())
    return _in_units(coefficients, mean, deviation, centre, spread)


def yule_walker(x: Sequence[Tensor], order: int) -> LinearFit:
    """The model that has the autocovariances of series (T,), each divided by the number of values.

    Raises DataError for series that are too short, constant or not finite.
    """
    series, centre, spread = _standardised(x, order)
    count = sum(len(values) for values in series)
    autocovariance = torch.stack(
        [
            torch.stack([values[: len(values) - lag] @ values[lag:] for values in series]).sum()
            for lag in range(order + 1)
        ]
    )
    coefficients, variance = levinson_durbin(autocovariance / count)
    return _in_units(coefficients, torch.zeros(()), variance.sqrt(), centre, spread)


def burg(x: Sequence[Tensor], order: int) -> LinearFit:
    """The model of series (T,) whose reflection coefficients foretell best in both directions.

    Raises DataError for series that are too short, constant, not finite or foretold without error.
    """
    series, centre, spread = _standardised(x, order)
    coefficients = series[0][:0]
    # What an order leaves of each value, foretold from those before it, and from those behind it.
    forwards, backwards = series, series
    for _ in range(order):
        forwards = [errors[1:] for errors in forwards]
        backwards = [errors[:-1] for errors in backwards]
        ahead, behind = torch.cat(forwards), torch.cat(backwards)
        reflection = 2 * (ahead @ behind) / (ahead @ ahead + behind @ behind)
        pairs = list(zip(forwards, backwards, strict=True))
        forwards = [ahead - reflection * behind for ahead, behind in pairs]
        backwards = [behind - reflection * ahead for ahead, behind in pairs]
        coefficients = _longer(coefficients, reflection)
    deviation = torch.cat(forwards + backwards).square().mean().sqrt()
    return _in_units(coefficients, torch.zeros(()), deviation, centre, spread)


def levinson_durbin(autocovariance: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients (p,) and the variance of ε for autocovariances r_0 ... r_p (p + 1,)."""
    coefficients, variance = autocovariance[:0], autocovariance[0]
    for lag in range(1, len(autocovariance)):
        foretold = coefficients @ autocovariance[1:lag].flip(0)
        reflection = (autocovariance[lag] - foretold) / variance
        coefficients = _longer(coefficients, reflection)
        variance = variance * (1 - reflection**2)
    return coefficients, variance


def _longer(coefficients: Tensor, reflection: Tensor) -> Tensor:
    """The coefficients of the next order."""
    return torch.cat([coefficients - reflection * coefficients.flip(0), reflection.view(1)])


def reflection_coefficients(coefficients: Tensor) -> list[float]:
    """Those of orders p, p − 1, ..., down to 1, or to the first that is outside (−1, 1)."""
    reflections: list[float] = []
    while len(coefficients):
        reflection = float(coefficients[-1])
        reflections.append(reflection)
        if abs(reflection) >= 1:
            break
        shorter = coefficients[:-1]
        coefficients = (shorter + reflection * shorter.flip(0)) / (1 - reflection**2)
    return reflections


def is_stationary(coefficients: Tensor) -> bool:
    """Whether what the coefficients (p,) draw stays near its mean."""
    return all(
        abs(reflection) < 1 - ROUNDING for reflection in reflection_coefficients(coefficients)
    )


def _standardised(x: Sequence[Tensor], order: int) -> tuple[list[Tensor], float, float]:
    """The series in units of their standard deviation about their mean, and both of these."""
    for index, values in enumerate(x):
        if values.ndim != 1 or len(values) <= order:
            raise DataError(
                f"series {index} has the shape {tuple(values.shape)}, and a fit of order {order} "
                f"needs more than {order} values in a row"
            )
    if not x:
        raise DataError("there is no series to fit")
    together = torch.cat([values.double() for values in x])
    if not bool(torch.isfinite(together).all()):
        raise DataError("a series has values that are not finite")
    centre, spread = float(together.mean()), float(together.std(correction=0))
    if spread <= abs(centre) * torch.finfo(torch.float64).eps:
        raise DataError("the series never change: there is nothing to fit")
    return [(values.double() - centre) / spread for values in x], centre, spread


def _in_units(
    coefficients: Tensor, mean: Tensor, deviation: Tensor, centre: float, spread: float
) -> LinearFit:
    if not float(deviation) > ROUNDING:
        raise DataError("the series are foretold without error: there is no noise to draw")
    return LinearFit(coefficients, centre + spread * float(mean), spread * float(deviation))
