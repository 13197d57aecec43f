"""A WaveNet learns all moments of a sound at once; a recurrent network, one after the other.

    python benchmarks/parallel_training.py [--quick] [--seconds S] [--threads N] [--json FILE]

van den Oord et al. 2016, "WaveNet", section 2.1: all that a WaveNet is to foretell is known in
training, so it needs no loop over time, and learns faster than a recurrent network. Here the same
WaveNet and two-layer GRUs of as many parameters learn the same pieces of spoken digits with the
same optimizer on N threads, S seconds each. The GRU goes through time in Python, or (the stronger
peer) in torch's own loop. The table says what an epoch takes, held-out bits per sample after equal
time, and how long each needed for the bits that the GRU stepped in Python reached in the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from parts.cases import Case
from parts.learning import compute_on, fresh, read_events
from parts.options import command, count, positive
from parts.recurrent import FusedGRU, SteppedGRU, hidden_for
from parts.written import machine, write
from torch import Tensor, nn

from ancestral.models import Batch, Item, TrainingLoss, shuffled_batches
from ancestral.models.data import batches_in_order
from ancestral.models.train import learning_rate
from ancestral.models.train_settings import TrainSettings

SECONDS, QUICK_SECONDS = 300.0, 10.0
#: Samples of a piece, and pieces in a batch.
PIECE, BATCH = 1600, 8
#: How often the held-out sounds are scored, evenly over the time, which stands still meanwhile.
VALIDATIONS = 10


@dataclass(frozen=True)
class Point:
    """Where a curve passes."""

    seconds: float
    bits_per_sample: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    network: str
    parameters: int
    epoch_seconds: float
    epochs: float
    bits_per_sample: float
    #: To reach what the slowest network reached in the end; None: it did not.
    seconds_to_its_bits: float | None
    curve: list[Point]


@dataclass(frozen=True)
class Competitor:
    """`module` gives nats (B, T) of symbols (B, T) and their conditions."""

    name: str
    module: nn.Module
    settings: TrainSettings


class Alone(nn.Module):
    """A network of sounds that is asked for nothing."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, conditions: object) -> Tensor:
        """Nats (B, T) of symbols (B, T)."""
        nats: Tensor = self.network(x)
        return nats


def race(
    competitor: Competitor, train: Sequence[Item], held_out: Sequence[Item], seconds: float
) -> Row:
    """Train for so many seconds. What it took to the slowest one's bits is not known yet."""
    module, settings = competitor.module, competitor.settings
    optimizer = torch.optim.Adam(module.parameters(), betas=settings.betas)
    batches = shuffled_batches(train, BATCH, seed=0, crop_samples=PIECE)
    watched = list(batches_in_order(held_out, 1))
    curve, steps, samples, passed = list[Point](), 0, 0.0, 0.0
    while passed < seconds:
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, steps, passed / seconds)
        batch = next(batches)
        optimizer.zero_grad()
        torch.autograd.backward(mean_bits(module, batch))
        nn.utils.clip_grad_norm_(module.parameters(), settings.gradient_clip)
        optimizer.step()
        steps, samples = steps + 1, samples + float(batch.weights.sum())
        passed += time.perf_counter() - began
        if min(1.0, passed / seconds) * VALIDATIONS >= len(curve) + 1:
            curve.append(Point(round(passed, 1), held_out_bits(module, watched)))
    epochs = samples / sum(item.x.numel() for item in train)
    return Row(
        network=competitor.name,
        parameters=sum(weights.numel() for weights in module.parameters()),
        epoch_seconds=passed / epochs,
        epochs=epochs,
        bits_per_sample=curve[-1].bits_per_sample,
        seconds_to_its_bits=None,
        curve=curve,
    )


def mean_bits(module: nn.Module, batch: Batch) -> Tensor:
    """Bits per sample, padding left out."""
    nats: Tensor = module(batch.x, batch.conditions) * batch.weights
    return nats.sum() / (batch.weights.sum() * math.log(2))


@torch.no_grad()
def held_out_bits(module: nn.Module, batches: Sequence[Batch]) -> float:
    """Bits per sample of whole recordings."""
    symbols = [float(batch.weights.sum()) for batch in batches]
    bits = [float(mean_bits(module, batch)) for batch in batches]
    return sum(n * b for n, b in zip(symbols, bits, strict=True)) / sum(symbols)


def seconds_to(curve: Sequence[Point], bits: float) -> float | None:
    """When a curve first reached so few bits, on straight lines between its points."""
    for before, after in zip([Point(0.0, 8.0), *curve], curve, strict=False):
        if after.bits_per_sample <= bits:
            share = (before.bits_per_sample - bits) / (
                before.bits_per_sample - after.bits_per_sample
            )
            return before.seconds + share * (after.seconds - before.seconds)
    return None


def measure(seconds: float, most_held_out: int | None) -> list[Row]:
    """The rows, the slowest network last."""
    recipe = Case("wavenet", "telephone-digits").read()
    net = fresh(recipe)
    events = read_events(recipe, net, most_held_out)
    hidden = hidden_for(sum(weights.numel() for weights in net.parameters()), events.levels)
    fused, stepped = FusedGRU(events.levels, hidden), SteppedGRU(events.levels, hidden)
    stepped.load_state_dict(fused.state_dict())
    wavenet, gru = TrainSettings(learning_rate=8e-3), TrainSettings(learning_rate=4e-3)
    competitors = (
        Competitor("WaveNet, all moments at once", TrainingLoss(net), wavenet),
        Competitor("GRU, torch's loop over time", Alone(fused), gru),
        Competitor("GRU, a step a call", Alone(stepped), gru),
    )
    rows = [race(each, events.train, events.held_out, seconds) for each in competitors]
    target = rows[-1].bits_per_sample
    return [
        Row(**{**vars(row), "seconds_to_its_bits": seconds_to(row.curve, target)}) for row in rows
    ]


def main() -> None:
    parser = command(__doc__, quick="a few seconds for each network")
    parser.add_argument(
        "--seconds", type=positive, metavar="S", help="how long each network learns"
    )
    parser.add_argument("--threads", type=count, metavar="N", default=1, help="by default one")
    arguments = parser.parse_args()
    compute_on(arguments.threads)
    seconds = arguments.seconds
    if seconds is None:
        seconds = QUICK_SECONDS if arguments.quick else SECONDS
    rows = measure(seconds, 4 if arguments.quick else None)
    slowest = rows[-1]
    print(f"{seconds:g} seconds of training each, {arguments.threads} thread(s)\n")
    print(
        f"{'network':30} {'parameters':>10} {'s/epoch':>8} {'x':>6} {'epochs':>7} "
        f"{'bits/sample':>11} {'s to ' + format(slowest.bits_per_sample, '.3f'):>12} {'x':>6}"
    )
    for row in rows:
        needed = row.seconds_to_its_bits
        reached = (
            "never" if needed is None else f"{needed:.1f} {slowest.curve[-1].seconds / needed:6.1f}"
        )
        print(
            f"{row.network:30} {row.parameters:10,} {row.epoch_seconds:8.1f} "
            f"{slowest.epoch_seconds / row.epoch_seconds:6.1f} {row.epochs:7.2f} "
            f"{row.bits_per_sample:11.3f} {reached:>19}"
        )
    figures = {"threads": arguments.threads, "seconds": seconds}
    write(arguments.json, {**machine(), **figures, "rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
