"""The literature's yardstick: MNIST digits, 28 by 28, binarized once and for all.

Each network learns on the 50,000 training images for the time that its recipe states, and is scored
on the 10,000 validation images; on the way, on every tenth of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.models import TrainProgress, config_of
from parts.learning import fresh, learn, read_events
from parts.written import earlier, machine, write

#: Nats per test image, as van den Oord et al. 2016, table 4, lists them.
PUBLISHED = {"NADE": 88.33, "MADE": 86.64, "DARN": 84.13, "PixelCNN": 81.30}

PIXELS = 28 * 28


def _recipe(family: str, model: dict[str, Any], **training: float) -> Recipe:
    return read_recipe(
        {
            "name": f"mnist-{family.replace('_', '-')}",
            "family": family,
            "model": {"height": 28, "width": 28, **model},
            "data": {"path": "binarized_mnist", "held_out": "valid", "packed": True},
            "training": {"validations": 20, **training},
            "seed": 1,
        }
    )


RECIPES = {
    "darn": _recipe(
        "darn",
        {"local": 64, "local_depth": 3, "reach": 7, "dropout": 0.1},
        budget_seconds=4500,
        validations=10,
        batch_size=100,
        learning_rate=2.5e-3,
        ema_decay=0.999,
        warmup_steps=100,
    ),
    "made": _recipe(
        "made",
        {"levels": 2, "hidden": [784]},
        budget_seconds=140,
        batch_size=100,
        learning_rate=3e-3,
        ema_decay=0.998,
        warmup_steps=100,
    ),
    "pixelcnn": _recipe(
        "pixelcnn",
        {"levels": 2},
        budget_seconds=6000,
        batch_size=16,
        learning_rate=4e-3,
        ema_decay=0.997,
        warmup_steps=100,
    ),
    "gated_pixelcnn": _recipe(
        "gated_pixelcnn",
        {"levels": 2, "embedding": 2, "channels": 48, "layers": 6, "dilation_cycle": 4},
        budget_seconds=8400,
        batch_size=16,
        learning_rate=4e-3,
        ema_decay=0.997,
        warmup_steps=100,
    ),
}


@dataclass(frozen=True)
class Point:
    """Where a curve passes: nats per image of the last batches, and of the watched images."""

    step: int
    seconds: float
    train_nats: float
    validation_nats: float | None = None


@dataclass(frozen=True)
class Result:
    """A network at the end of its time. `kind` is exact, or bound where it has a hidden code;
    the standard error is that of the mean over so many images."""

    family: str
    validation_nats: float
    standard_error: float
    kind: str
    images: int
    parameters: int
    steps: int
    seconds: float
    recipe: dict[str, Any] = field(repr=False)
    curve: list[Point] = field(repr=False)


def learn_mnist(family: str, seconds: float | None, images: int | None) -> Result:
    """Train one network, for another time or on fewer validation images if asked.

    Raises SpecError when the table is not there.
    """
    recipe = RECIPES[family]
    net = fresh(recipe)
    events = read_events(recipe, net, images)
    curve: list[Point] = []

    def report(passed: float, progress: TrainProgress) -> None:
        watched = progress.validation_bits_per_dim
        validation = None if watched is None else _nats(watched)
        if validation is not None or progress.step % 100 == 0:
            train = _nats(progress.bits_per_dim)
            curve.append(Point(progress.step, round(passed, 1), train, validation))

    learned = learn(
        recipe,
        net,
        events,
        recipe.budget_seconds if seconds is None else seconds,
        watched=events.held_out[::10],
        report=report,
    )
    exact = events.signature["likelihood_kind"] == "exact"
    return Result(
        family=family,
        validation_nats=statistics.fmean(learned.nats),
        standard_error=statistics.stdev(learned.nats) / math.sqrt(len(learned.nats)),
        kind="exact" if exact else f"bound, K = {config_of(net)['score_codes']}",
        images=len(events.held_out),
        parameters=learned.parameters,
        steps=learned.steps,
        seconds=round(learned.seconds, 1),
        recipe=recipe.document(),
        curve=curve,
    )


def print_table(results: Sequence[Result]) -> None:
    """Ours above what was published."""
    print(
        f"{'network':16} {'nats/image':>10} {'±':>5} {'kind':14} {'parameters':>11} {'steps':>8} "
        f"{'s':>7}"
    )
    for result in sorted(results, key=lambda result: result.validation_nats):
        print(
            f"{result.family:16} {result.validation_nats:10.2f} {result.standard_error:5.2f} "
            f"{result.kind:14} {result.parameters:11,} {result.steps:8,} {result.seconds:7,.0f}"
        )
    print(f"\n{'published':16} {'nats/image':>10} (test images; DARN a bound)")
    for name, nats in sorted(PUBLISHED.items(), key=lambda item: item[1]):
        print(f"{name:16} {nats:10.2f}")


def keep(file: Path | None, results: Sequence[Result]) -> None:
    """The results in a JSON file, in place of earlier ones of the same networks. Raises SpecError
    when it holds other figures."""
    kept = earlier(file, "networks") or {}
    networks = {**kept, **{each.family: {**machine(), **asdict(each)} for each in results}}
    write(file, {"published": PUBLISHED, "networks": networks})


def _nats(bits_per_dim: float) -> float:
    return bits_per_dim * math.log(2) * PIXELS
