"""Linear autoregression, AR(p): Yule 1927, "On a Method of Investigating Periodicities in Disturbed
Series, with Special Reference to Wolfer's Sunspot Numbers".

    x_{t+1} = δ_0 x_t + δ_1 x_{t−1} + ... + δ_{p−1} x_{t−p+1} + c + ε,    ε normal, variance σ²

    ○─────────┐                     order 3: the next value reads the last three
         ○────┤ δ_2, δ_1, δ_0
              ○──▶ ●
    t−2  t−1  t   t+1   ← time

It is kept and computed about its mean μ = c / (1 − Σ δ_i),

    x_{t+1} − μ = Σ δ_i (x_{t−i} − μ) + ε

so that the zeros before the first value say that the series stood at its mean until then, and so
that a series far from zero keeps its digits: μ and values are of float64, whatever products are of.

Its parameters are found in closed form (linear_fit.py): `fit` is all the training there is.

Shapes: B batch, T values of a series, p order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.fields import check_names, vector, whole
from ancestral.models.linear_fit import burg, is_stationary, least_squares, yule_walker
from ancestral.models.sampling.distributions import Gaussian
from ancestral.models.sampling.ops import Dense, Draw, Grid, Read, Register, Value, Write
from ancestral.models.sampling.program import StepProgram

#: How the parameters can be solved for (linear_fit.py).
METHODS = {"least_squares": least_squares, "yule_walker": yule_walker, "burg": burg}


@dataclass(frozen=True)
class LinearConfig:
    """A linear model of series of real numbers."""

    #: p: how many values before it a value depends on.
    order: int
    #: The longest series that can be asked for.
    max_length: int = 100_000
    #: How it is fitted: least_squares, the likeliest model, which may be none that is stationary;
    #: burg or yule_walker, which always are.
    method: str = "least_squares"

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no model."""
        if self.order < 1:
            raise ConfigError(f"order must be at least 1, not {self.order}")
        if self.max_length <= self.order:
            raise ConfigError(f"max_length must be above order, which is {self.order}")
        if self.method not in METHODS:
            raise ConfigError(f"no method {self.method!r}: there are {', '.join(METHODS)}")


def yearly_sunspots() -> LinearConfig:
    """Sunspot numbers year by year: Yule's own series, in his own order."""
    return LinearConfig(order=2, max_length=1000)


class LinearAR(Autoregressive):
    """p(series) over real numbers; a fresh one draws white noise."""

    family: ClassVar[str] = "linear"
    config: LinearConfig

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        #: δ, (p,) float64, the coefficient of the latest value first.
        self.coefficients = nn.Parameter(torch.zeros(config.order, dtype=torch.float64))
        #: μ, () float64. The distribution has it as a number, so that no gradient could find it.
        self.mean = nn.Parameter(torch.zeros((), dtype=torch.float64), requires_grad=False)
        #: log σ, () float64.
        self.log_deviation = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Who asks for another dtype gets it for all but the mean."""
        mean = self.mean.detach()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.mean.dtype != mean.dtype:
            self.mean.data = mean.to(self.mean.device)
        return self

    @torch.no_grad()
    def fit(self, x: Sequence[Tensor]) -> None:
        """Takes the parameters from real series (T,), each longer than the order.

        Raises DataError when the series give no stationary model; the parameters are then as
        before.
        """
        found = METHODS[self.config.method](x, self.config.order)
        self.coefficients.copy_(found.coefficients)
        self.mean.fill_(found.mean)
        self.log_deviation.copy_(torch.tensor(found.deviation, dtype=torch.float64).log())

    @property
    def stationary(self) -> bool:
        """Whether what it draws stays near its mean, however long it is."""
        return is_stationary(self.coefficients.detach())

    @property
    def distribution(self) -> Gaussian:
        return Gaussian(offset=self.mean.item())

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        return {
            "medium": "series",
            "levels": None,
            "shape": [None],
            "max_length": config.max_length,
            "likelihood_kind": "density",
            "fields": {
                "length": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": config.max_length,
                    "decides": "length",
                    "description": "How many values the series has, the initial ones included.",
                },
                "initial": {
                    "type": "vector",
                    "length": config.order,
                    "default": None,
                    "description": "The first values of the series; null draws them too.",
                },
            },
        }

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        """Nothing: all that a value depends on are the values before it."""
        self.event_shape(fields)
        return {}

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        config = self.config
        check_names({"initial": None, **fields}, self.signature["fields"])
        length = whole(fields, "length")
        initial = self.prefix(fields)
        fixed = 0 if initial is None else len(initial)
        if not fixed < length <= config.max_length:
            raise ConditionError(
                f"length must be above {fixed} and at most {config.max_length}, not {length}"
            )
        return (length,)

    def prefix(self, fields: Mapping[str, Any]) -> Tensor | None:
        if fields.get("initial") is None:
            return None
        vector(fields, "initial", self.config.order)
        return torch.tensor(fields["initial"], dtype=torch.float64)

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """A real series is as long as it is, whether or not the fields say so."""
        x, conditions = super().example(x, {"length": len(x), **fields})
        initial = self.prefix(fields)
        if initial is not None and not torch.equal(x[: len(initial)], initial):
            raise ConditionError("the series does not begin with the initial values")
        return x, conditions

    def project(self, conditions: Conditions) -> Projection:
        return Projection()

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Series (B, T) to means, less μ, and log standard deviations, (B, 2, T)."""
        before = F.pad((x - self.mean).to(self.coefficients), (self.config.order, -1))
        kernel = self.coefficients.flip(0).view(1, 1, -1)
        mean = F.conv1d(before.unsqueeze(1), kernel).squeeze(1)
        return torch.stack([mean, self.log_deviation.expand_as(mean)], dim=1)

    def program(self) -> StepProgram:
        order = self.config.order
        values, value, parameters = Grid(1, order, 1), Register(1), Register(2)
        coefficients, log_deviation = self.coefficients.detach(), self.log_deviation.detach()
        return StepProgram(
            rows=None,
            columns=None,
            step=(
                Dense(
                    sources=tuple(Read(values, 0, -1 - i) for i in range(order)),
                    weight=torch.stack([coefficients, torch.zeros_like(coefficients)]),
                    bias=torch.stack([torch.zeros_like(log_deviation), log_deviation]),
                    target=parameters,
                ),
                Draw(parameters, self.distribution),
                Value(1.0, -self.mean.item(), value),
                Write(value, values),
            ),
        )
