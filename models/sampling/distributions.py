"""What a network's outputs mean: the law of one symbol, given everything before it.

    distribution        parameters P of a symbol                    symbols
    Categorical         a logit for each level                      0 ... levels−1
    Bernoulli           the logit of 1                              0, 1
    LogisticMixture     K mixture logits, K means, K log scales     0 ... levels−1
    Gaussian            mean, log standard deviation                real numbers

Every symbol is drawn from one uniform number u by inverting its cumulative distribution: it is the
first whose running weight exceeds u · total. For a mixture that weight is a sum of logistic
functions, so the symbol is found by bisection, and no alphabet is too large.

Shapes: B batch, P parameters, E positions of any shape, S slots, K components.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.sampling.draw import SettingsBatch, draw

#: Logistic functions wider than this leave all that can be counted in the tails, and no slope.
LARGEST_LOG_SCALE = 20.0


class Distribution(ABC):
    """The law of one symbol."""

    #: How many symbols there are; None when they are real numbers.
    levels: int | None

    @property
    @abstractmethod
    def parameters(self) -> int:
        """P: the numbers that a network gives for each symbol."""

    @property
    def symbol_dtype(self) -> torch.dtype:
        """int64 for levels, float64 for real numbers."""
        return torch.float64 if self.levels is None else torch.int64

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Nats of each symbol of `x` (B, *E) under `parameters` (B, P, *E): (B, *E).

        Of real numbers it is the density. It is computed in the parameters' dtype.
        """

    @abstractmethod
    def draw(self, parameters: Tensor, u: Tensor, settings: SettingsBatch) -> Tensor:
        """Symbols (S,) for parameters (S, P) and uniform numbers u (S,)."""


@dataclass(frozen=True)
class Categorical(Distribution):
    """A softmax over the levels."""

    levels: int

    @property
    def parameters(self) -> int:
        return self.levels

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        if parameters.requires_grad:
            # Levels last, flat: the layout in which a processor's cross entropy is fastest.
            flat = parameters.movedim(1, -1).flatten(0, -2)
            return -F.cross_entropy(flat, x.flatten().long(), reduction="none").view(x.shape)
        log_p = torch.log_softmax(parameters, dim=1)
        return log_p.gather(1, x.unsqueeze(1).long()).squeeze(1)

    def draw(self, parameters: Tensor, u: Tensor, settings: SettingsBatch) -> Tensor:
        return draw(parameters, u, settings)


@dataclass(frozen=True)
class Bernoulli(Distribution):
    """One bit: a softmax over the logits 0 and l."""

    levels: int = field(default=2, init=False)

    @property
    def parameters(self) -> int:
        return 1

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        logit = parameters.squeeze(1)
        return F.logsigmoid(torch.where(x == 1, logit, -logit))

    def draw(self, parameters: Tensor, u: Tensor, settings: SettingsBatch) -> Tensor:
        return draw(F.pad(parameters, (1, 0)), u, settings)


@dataclass(frozen=True)
class LogisticMixture(Distribution):
    """A mixture of logistic functions, cut into levels (Salimans et al. 2017, equation 2).

    Symbol s stands at v = 2s/(levels−1) − 1 and holds what lies within half a step of it; the first
    and the last symbol hold the tails.

        P(s) = Σ_k π_k [σ((v + δ − m_k) / c_k) − σ((v − δ − m_k) / c_k)],   δ = 1/(levels−1)
    """

    levels: int
    components: int

    @property
    def parameters(self) -> int:
        return 3 * self.components

    @property
    def smallest_log_scale(self) -> float:
        """Scales below a fraction of a step tell nothing more."""
        return -math.log(self.levels) - 2

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return self._log_prob(*self._split(parameters), x)

    def component_log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Nats of each symbol of `x` (B, *E) under each component alone: (B, K, *E)."""
        _, means, log_scales = self._split(parameters)
        return self._component_log_prob(means, log_scales, x)

    def draw(self, parameters: Tensor, u: Tensor, settings: SettingsBatch) -> Tensor:
        logits, means, log_scales = self._split(parameters)
        if settings.temperature is not None:
            logits = logits / settings.temperature
            log_scales = log_scales + torch.log(settings.temperature)
        bisected = self._bisect(logits, means, log_scales, u)
        if settings.top_k is None and settings.top_p is None:
            return bisected
        every = torch.arange(self.levels, device=u.device).expand(len(u), -1)
        log_p = self._log_prob(
            logits.unsqueeze(2), means.unsqueeze(2), log_scales.unsqueeze(2), every
        )
        drawn = draw(log_p, u, replace(settings, temperature=None))
        # Who is not truncated is drawn as if no neighbour were.
        return torch.where(_asks(settings, self.levels), drawn, bisected)

    def value(self, symbol: Tensor) -> Tensor:
        """Where symbols stand in [−1, 1], float64."""
        return symbol.double() * (2 / (self.levels - 1)) - 1

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mixture logits, means and log scales, each (B, K, *E). The network's scales are bounded
        here, once: temperature may make them narrower than that."""
        logits, means, log_scales = parameters.chunk(3, dim=1)
        return logits, means, log_scales.clamp(self.smallest_log_scale, LARGEST_LOG_SCALE)

    def _log_prob(self, logits: Tensor, means: Tensor, log_scales: Tensor, x: Tensor) -> Tensor:
        mixed = torch.log_softmax(logits, dim=1) + self._component_log_prob(means, log_scales, x)
        return torch.logsumexp(mixed, dim=1)

    def _component_log_prob(self, means: Tensor, log_scales: Tensor, x: Tensor) -> Tensor:
        """With a > b, and without loss of digits,
        log(σ(a) − σ(b)) = log σ(a) + log σ(−b) + log(1 − exp(b − a))."""
        narrowness = torch.exp(-log_scales)
        symbol = x.unsqueeze(1)
        step = 1 / (self.levels - 1)
        centred = self.value(symbol).to(means) - means
        upper, lower = (centred + step) * narrowness, (centred - step) * narrowness
        below = torch.where(symbol == self.levels - 1, 0.0, F.logsigmoid(upper))
        above = torch.where(symbol == 0, 0.0, F.logsigmoid(-lower))
        inside = (symbol > 0) & (symbol < self.levels - 1)
        between = torch.where(inside, torch.log(-torch.expm1(-2 * step * narrowness)), 0.0)
        return below + above + between

    def _bisect(self, logits: Tensor, means: Tensor, log_scales: Tensor, u: Tensor) -> Tensor:
        """The first symbol whose cumulative probability exceeds u."""
        weights, narrowness = torch.softmax(logits, dim=1), torch.exp(-log_scales)
        low = torch.zeros(u.shape, dtype=torch.int64, device=u.device)
        high = low + self.levels - 1
        for _ in range(math.ceil(math.log2(self.levels))):
            middle = (low + high) // 2
            edge = self.value(middle).to(means).unsqueeze(1) + 1 / (self.levels - 1)
            running = (weights * torch.sigmoid((edge - means) * narrowness)).sum(1)
            exceeds = running > u
            high = torch.where(exceeds, middle, high)
            low = torch.where(exceeds | (low == high), low, middle + 1)
        return high


@dataclass(frozen=True)
class Gaussian(Distribution):
    """A normal distribution over real numbers: x = offset + mean + standard deviation · Φ⁻¹(u).

    Far from zero a parameter has too few digits to tell numbers apart, so that `offset`, about
    which they lie, is added in float64.
    """

    offset: float = 0.0
    levels: None = field(default=None, init=False)

    @property
    def parameters(self) -> int:
        return 2

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        mean, log_deviation = parameters.unbind(1)
        about = (x.double() - self.offset).to(mean)
        standard = (about - mean) * torch.exp(-log_deviation)
        return -0.5 * (standard**2 + math.log(2 * math.pi)) - log_deviation

    def draw(self, parameters: Tensor, u: Tensor, settings: SettingsBatch) -> Tensor:
        mean, log_deviation = parameters.double().unbind(1)
        deviation = torch.exp(log_deviation)
        if settings.temperature is not None:
            deviation = deviation * settings.temperature.double().squeeze(1)
        standard: Tensor = torch.special.ndtri(u.double())
        return self.offset + (mean + deviation * standard)


def _asks(settings: SettingsBatch, levels: int) -> Tensor:
    """Which slots are truncated, (S,)."""
    if settings.top_k is None:
        assert settings.top_p is not None
        return (settings.top_p < 1).squeeze(1)
    asks = settings.top_k < levels
    if settings.top_p is not None:
        asks = asks | (settings.top_p < 1)
    return asks.squeeze(1)


def colour_mixture(raw: Tensor, earlier: Tensor, distribution: LogisticMixture) -> Tensor:
    """The mixture of the next colour of a pixel (Salimans et al. 2017, section 2.2).

    `raw` (B, 10K, ...) holds for each of K components a mixture logit; the means, then the log
    scales, of red, green and blue; and the coefficients green-red, blue-red and blue-green, which
    a hyperbolic tangent keeps within (−1, 1).
    `earlier` (B, c, ...) holds the symbols of the colours before colour c. The components are
    shared: what the earlier colours were says which of them are likely,

        π'_k ∝ π_k Π_{d<c} P_k(x_d)
        m'_k = m_k + Σ_{d<c} tanh(coefficient_{cd,k}) · value(x_d)

    so that colour c has a mixture of its own, (B, 3K, ...), and one uniform number draws it.
    """
    count = distribution.components
    logits = raw[:, :count]
    means, log_scales, coefficients = (
        part.chunk(3, dim=1) for part in raw[:, count:].chunk(3, dim=1)
    )
    green_red, blue_red, blue_green = (torch.tanh(part) for part in coefficients)
    pulls = {(1, 0): green_red, (2, 0): blue_red, (2, 1): blue_green}
    values = distribution.value(earlier).to(raw)
    mixture = raw
    for colour in range(earlier.shape[1] + 1):
        mean = means[colour]
        for before in range(colour):
            mean = mean + pulls[colour, before] * values[:, before : before + 1]
        mixture = torch.cat([logits, mean, log_scales[colour]], dim=1)
        if colour < earlier.shape[1]:
            logits = logits + distribution.component_log_prob(mixture, earlier[:, colour])
    return mixture
