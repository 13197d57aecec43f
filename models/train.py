"""Training by maximum likelihood: the whole loop on one page, for one process or one rank of many.

It knows neither files nor clusters. Batches, the clock and what becomes of progress and
checkpoints come from the caller.

    module      what is called with a batch and gives nats for each symbol: the network's
                `TrainingLoss`, or that wrapped for several ranks
    network     the network itself, whose running average of weights (EMA) is what training ends in
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ancestral.models.autoregressive import Autoregressive, TrainingLoss
from ancestral.models.data import Batch
from ancestral.models.errors import ConfigError, ModelError


@dataclass(frozen=True)
class TrainSettings:
    """How the weights move."""

    #: The highest learning rate of Adam, reached after the warm-up; it falls to 0 as a cosine.
    learning_rate: float = 4e-3
    #: Steps over which the learning rate rises.
    warmup_steps: int = 30
    #: Adam's memory of the gradient and of its square.
    betas: tuple[float, float] = (0.9, 0.95)
    #: The longest gradient (2-norm of all weights together) that is taken as it is.
    gradient_clip: float = 1.0
    #: What the running average of weights keeps at each step; it is shorter in the first steps.
    ema_decay: float = 0.99
    #: Steps between reports.
    report_every: int = 10
    #: How often the held-out batches are scored, evenly over the training; the last is at its end.
    validations: int = 4

    def __post_init__(self) -> None:
        """Raises ConfigError for a setting that trains nothing."""
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("warmup_steps", "report_every", "validations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not all(0 <= value < 1 for value in (self.ema_decay, *self.betas)):
            raise ConfigError("ema_decay and betas must be at least 0 and below 1")


@dataclass(frozen=True)
class TrainProgress:
    """Where training stands. Bits per dimension are nats / (ln 2 · symbols scored)."""

    step: int
    #: How much of the budget is used, 0 to 1.
    fraction: float
    learning_rate: float
    #: Of this rank's batches since the last report.
    bits_per_dim: float
    #: Of the held-out batches under the averaged weights, where they were just scored.
    validation_bits_per_dim: float | None = None


#: What a training can be continued from: plain numbers and tensors under "step", "network",
#: "average" and "optimizer".
TrainState = Mapping[str, Any]


def train(
    module: nn.Module,
    network: Autoregressive,
    batches: Iterator[Batch],
    settings: TrainSettings,
    *,
    fraction_done: Callable[[int], float],
    validation: Sequence[Batch] = (),
    report: Callable[[TrainProgress], None] = lambda progress: None,
    save: Callable[[TrainState], None] = lambda state: None,
    resume: TrainState | None = None,
) -> int:
    """Train until the budget is used, and leave the averaged weights in `network`.

    `fraction_done(step)` says how much of the budget is used before that step, the same to every
    rank; it is asked once a step. The `validation` batches are scored `settings.validations` times
    over the training; then `save` is called too.

    Returns the number of steps. Raises ModelError when the loss is no longer finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), betas=settings.betas)
    average = deepcopy(network).eval()
    step = 0
    if resume is not None:
        step = int(resume["step"])
        network.load_state_dict(resume["network"])
        average.load_state_dict(resume["average"])
        optimizer.load_state_dict(resume["optimizer"])
    module.train()
    heard: list[float] = []
    fraction = fraction_done(step)
    while fraction < 1:
        rate = learning_rate(settings, step, fraction)
        heard.append(_move(module, optimizer, next(batches), rate, settings.gradient_clip))
        step += 1
        if not math.isfinite(heard[-1]):
            raise ModelError(f"the loss of step {step} is not finite: lower the learning rate")
        _average(average, network, min(settings.ema_decay, step / (step + 10)))
        before, fraction = fraction, min(1.0, fraction_done(step))
        due = int(fraction * settings.validations) > int(before * settings.validations)
        if due or len(heard) == settings.report_every:
            score = bits_per_dim(average, validation) if due and validation else None
            report(TrainProgress(step, fraction, rate, sum(heard) / len(heard), score))
            heard = []
        if due:
            save(
                {
                    "step": step,
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                }
            )
    network.load_state_dict(average.state_dict())
    return step


def learning_rate(settings: TrainSettings, step: int, fraction: float) -> float:
    """A short rise with the steps, then half a cosine down to 0 with the budget."""
    rise = min(1.0, (step + 1) / settings.warmup_steps)
    return settings.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * fraction))


@torch.no_grad()
def bits_per_dim(network: Autoregressive, batches: Iterable[Batch]) -> float:
    """Bits per symbol of whole batches, as the network predicts them one by one."""
    module = TrainingLoss(network)
    total, symbols = 0.0, 0.0
    for batch in batches:
        weight = float(batch.weights.sum())
        total += float(_bits(module, batch)) * weight
        symbols += weight
    return total / symbols


def _bits(module: nn.Module, batch: Batch) -> Tensor:
    """Mean bits per symbol of a batch, padding left out."""
    nats: Tensor = module(batch.x, batch.conditions)
    return (nats * batch.weights).sum() / (batch.weights.sum() * math.log(2))


def _move(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    rate: float,
    gradient_clip: float,
) -> float:
    """One step of the optimizer; returns the batch's bits per symbol before it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    bits = _bits(module, batch)
    optimizer.zero_grad()
    torch.autograd.backward(bits)
    nn.utils.clip_grad_norm_(module.parameters(), gradient_clip)
    optimizer.step()
    return float(bits.detach())


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
