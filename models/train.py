"""Training by maximum likelihood: the whole loop on one page, for one process or one rank of many.

It knows neither files nor clusters. Batches, the clock and what becomes of progress and
checkpoints come from the caller.

    module      what is called with a batch and gives nats for each symbol: the network's
                `TrainingLoss`, or that wrapped for several ranks
    network     the network itself, whose running average of weights (EMA) is what training ends
                in: as it was when the held-out batches were foretold best
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ancestral.models.autoregressive import Autoregressive, TrainingLoss
from ancestral.models.data import Batch
from ancestral.models.errors import ModelError
from ancestral.models.optimizer import optimizers_of
from ancestral.models.stopwatch import Stopwatch
from ancestral.models.train_settings import PRECISIONS, TrainSettings


@dataclass(frozen=True)
class TrainProgress:
    """Where training stands. Bits per dimension are nats / (ln 2 · symbols scored)."""

    step: int
    #: How much of the budget is used, 0 to 1.
    fraction: float
    learning_rate: float
    #: Of this rank's batches since the last report.
    bits_per_dim: float
    #: The 2-norm of the last step's gradient before it was clipped.
    gradient_norm: float
    #: Since the last report, validation and checkpoints left out.
    steps_per_second: float
    #: Of this process, since it began: in all, for batches, and for checkpoints.
    seconds: float
    seconds_waited: float
    seconds_saved: float
    #: Of the held-out batches under the averaged weights, where they were just scored.
    validation_bits_per_dim: float | None = None


#: What a training can be continued from: plain numbers, lists and tensors under "step", "fraction",
#: "network", "average", "optimizers", "best" and "heard".
TrainState = Mapping[str, Any]


@dataclass(frozen=True)
class Best:
    """The best validation so far, and how many came since."""

    step: int = 0
    bits_per_dim: float = math.inf
    since: int = 0
    #: The averaged weights that it was made with; None before the first.
    weights: Mapping[str, Tensor] | None = None

    def after(self, step: int, bits_per_dim: float, average: nn.Module) -> Best:
        """After another validation."""
        if bits_per_dim < self.bits_per_dim:
            weights = {name: each.clone() for name, each in average.state_dict().items()}
            return Best(step, bits_per_dim, 0, weights)
        return replace(self, since=self.since + 1)


def train(
    module: nn.Module,
    network: Autoregressive,
    batches: Iterator[Batch],
    settings: TrainSettings,
    *,
    fraction_done: Callable[[int], float],
    validation: Iterable[Batch] = (),
    summed: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    report: Callable[[TrainProgress], None] = lambda progress: None,
    look: Callable[[int, Autoregressive], None] = lambda step, average: None,
    save: Callable[[TrainState], None] = lambda state: None,
    save_due: Callable[[], bool] = lambda: False,
    resume: TrainState | None = None,
) -> int:
    """Train until the budget or patience is used, and leave the best averaged weights in `network`,
    in evaluation mode.

    `fraction_done(step)` says how much of the budget is used before that step, the same to every
    rank; it is asked once a step. The `validation` batches, gone through `settings.validations`
    times, are this rank's share of them; `summed` adds up a tensor over all ranks. Each time `look`
    is shown the averaged network, and `save` is called. It also is whenever `save_due()`, asked
    before the first step and after each, says so: the same to every rank.

    Returns the number of steps. Raises ModelError when the loss or its gradient is no longer
    finite, which moves nothing; when `resume` is of another network or optimizer; or when the
    batches end first: they go round and round (`shuffled_batches`).
    """
    optimizers = optimizers_of(network, settings)
    average = deepcopy(network).eval()
    step, best, heard = 0, Best(), list[float]()
    fraction = fraction_done(0 if resume is None else int(resume["step"]))
    if resume is not None:
        take_up(resume, network, average, optimizers)
        step, best, heard = int(resume["step"]), Best(**resume["best"]), list(resume["heard"])
        # Not by the clock, which may be past a validation that is still to be made.
        fraction = float(resume["fraction"])
        # It is as large as all that was made of it, and training may take days.
        del resume
    watch = Stopwatch()

    def keep() -> None:
        with watch.save():
            save(_state(step, fraction, network, average, optimizers, best, heard))

    module.train()
    if save_due():
        keep()
    while fraction < 1 and (settings.patience is None or best.since < settings.patience):
        with watch.step():
            rate = learning_rate(settings, step, fraction)
            with watch.wait():
                parts = list(islice(batches, settings.accumulate))
            if not parts:
                raise ModelError(f"the batches end after {step} steps, before the budget is used")
            bits, norm = _pull(module, parts, settings, summed)
            step += 1
            # The gradient is that of all ranks, so that they end together.
            if not (math.isfinite(bits) and math.isfinite(norm)):
                raise ModelError(
                    f"the loss or the gradient of step {step} is not finite: lower the learning "
                    "rate"
                )
            _move(optimizers, rate)
            _average(average, network, min(settings.ema_decay, step / (step + 10)))
        heard.append(bits)
        before, fraction = fraction, min(1.0, fraction_done(step))
        due = int(fraction * settings.validations) > int(before * settings.validations)
        score = _score(average, validation, summed) if due else None
        if score is not None:
            best = best.after(step, score, average)
        if due or len(heard) >= settings.report_every:
            report(
                TrainProgress(
                    step=step,
                    fraction=fraction,
                    learning_rate=rate,
                    bits_per_dim=sum(heard) / len(heard),
                    gradient_norm=norm,
                    steps_per_second=watch.pace(),
                    seconds=watch.seconds,
                    seconds_waited=watch.waited,
                    seconds_saved=watch.saved,
                    validation_bits_per_dim=score,
                )
            )
            heard = []
        if due:
            look(step, average)
        if save_due() or due:
            keep()
    network.load_state_dict(best.weights or average.state_dict())
    network.eval()
    return step


def learning_rate(settings: TrainSettings, step: int, fraction: float) -> float:
    """A short rise with the steps, then half a cosine down to 0 with the budget."""
    rise = min(1.0, (step + 1) / settings.warmup_steps)
    return settings.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * fraction))


def bits_per_dim(network: Autoregressive, batches: Iterable[Batch]) -> float:
    """Bits per symbol of whole batches, as the network predicts them one by one."""
    bits = _score(network, batches, lambda tensor: tensor)
    assert bits is not None, "there are batches to score"
    return bits


@torch.no_grad()
def _score(
    network: Autoregressive, batches: Iterable[Batch], summed: Callable[[Tensor], Tensor]
) -> float | None:
    """Bits per symbol of the batches of all ranks; None when there are none."""
    module = TrainingLoss(network)
    total = torch.zeros(2, dtype=torch.float64, device=next(network.parameters()).device)
    for batch in batches:
        nats: Tensor = module(batch.x, batch.conditions)
        scored = torch.stack([(nats * batch.weights).sum(), batch.weights.sum()])
        total += scored.double()
    nats_in_all, symbols = summed(total).tolist()
    return nats_in_all / (symbols * math.log(2)) if symbols else None


def first_state(network: Autoregressive, settings: TrainSettings) -> TrainState:
    """What training goes on from that starts with the weights that `network` has."""
    return _state(0, 0.0, network, network, optimizers_of(network, settings), Best(), [])


def _state(
    step: int,
    fraction: float,
    network: nn.Module,
    average: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    best: Best,
    heard: Sequence[float],
) -> TrainState:
    return {
        "step": step,
        "fraction": fraction,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "best": vars(best),
        "heard": list(heard),
    }


def take_up(
    state: TrainState,
    network: nn.Module,
    average: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
) -> None:
    """Give weights and optimizers what was kept of them. Raises ModelError when it does not fit."""
    try:
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            # An optimizer would go on in the very tensors that it is given.
            optimizer.load_state_dict(deepcopy(kept))
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            "training cannot go on from this state, which is of another network or optimizer"
        ) from error


def _pull(
    module: nn.Module,
    parts: Sequence[Batch],
    settings: TrainSettings,
    summed: Callable[[Tensor], Tensor],
) -> tuple[float, float]:
    """The gradient of a step, clipped; returns the bits per symbol of this rank's batches, and the
    norm of the gradient before.
    """
    # All that there is: what has learnt something first may have left gradients, too.
    module.zero_grad()
    mine = sum(float(part.weights.sum()) for part in parts)
    counted = torch.tensor([mine, 1.0], dtype=torch.float64, device=parts[0].weights.device)
    symbols, ranks = summed(counted).tolist()
    bits = 0.0
    for number, part in enumerate(parts, start=1):
        with _alone(module, number < len(parts)):
            with _computing(part, settings.precision):
                nats: Tensor = module(part.x, part.conditions)
            share = (nats * part.weights).sum() / math.log(2)
            # Ranks take the mean of their gradients: so each symbol weighs alike, whosever it is.
            torch.autograd.backward(share / (symbols / ranks))
        bits += float(share.detach())
    norm = nn.utils.clip_grad_norm_(module.parameters(), settings.gradient_clip)
    return bits / mine, float(norm)


def _move(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """One step, by the gradient that the weights have."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()


def _alone(module: nn.Module, more_to_come: bool) -> AbstractContextManager[None]:
    """Ranks share gradients once a step: with its last part."""
    if more_to_come and isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


def _computing(batch: Batch, precision: str) -> AbstractContextManager[None]:
    dtype = PRECISIONS[precision]
    return torch.autocast(batch.weights.device.type, dtype, enabled=dtype != torch.float32)


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        if new.requires_grad:
            kept.lerp_(new, 1 - decay)
