"""How fast it learns on a cluster of one machine, and what loading and checkpoints cost.

    python benchmarks/training.py [--quick] [--cases NAMES] [--seconds S] [--json FILE]
    python benchmarks/training.py --curves [--quick] [--json FILE] [--svg FILE]

The same network learns from the same items in batches of the same size: by `ancestral train` with
two ranks of one thread each (Ray Train, DDP, averaged weights, streamed rows, checkpoints every
minute), and by a bare loop in one process with two threads, whose items all lie in memory. Images
are augmented by neither, whatever the recipe says. Items a second, once each has warmed up; and the
share of a rank's time that went into waiting for batches, reading the table for the first time
included, and into checkpoints.

With `--curves`, a training is run twice: once in peace, and once with `kill -9` of a rank after a
third of the steps, and of the whole command after two thirds (parts/killed.py).
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from parts.curves import draw_killed
from parts.killed import compare
from parts.learning import compute_on, fresh, read_events
from parts.options import command, file_to_write, positive
from parts.written import machine, write
from torch import nn

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.registry import Registry
from ancestral.models import TrainingLoss, TrainProgress, shuffled_batches
from ancestral.models.optimizer import optimizers_of
from ancestral.orchestration.cluster import cluster
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.training.examples import train_settings
from ancestral.orchestration.training.news import News
from ancestral.orchestration.training.recipe import find_recipe
from ancestral.orchestration.training.run import plan_training
from ancestral.orchestration.training.tables import table_uri
from ancestral.orchestration.training.train import train

CASES, QUICK_CASES = ("digits", "telephone-digits", "piano"), ("digits",)
SECONDS, QUICK_SECONDS = 180.0, 20.0
#: Ranks of one thread, and threads of the bare loop.
WORKERS = 2
#: Of the time, until a rate counts.
WARM_UP = 0.2

#: Of the bare rate; and of a rank's time.
TARGET_RATIO, TARGET_WAITED, TARGET_SAVED = 0.9, 0.03, 0.02


@dataclass(frozen=True)
class Row:
    """One recipe. Items are events, or pieces of them."""

    recipe: str
    batch: int
    ours_per_second: float
    bare_per_second: float
    ratio: float
    waited: float
    saved: float
    steps: int
    seconds: float
    target_ratio: float = TARGET_RATIO
    target_waited: float = TARGET_WAITED
    target_saved: float = TARGET_SAVED

    @property
    def misses(self) -> list[str]:
        """Which targets it does not meet."""
        missed = {
            "ratio": self.ratio < self.target_ratio,
            "waited": self.waited > self.target_waited,
            "saved": self.saved > self.target_saved,
        }
        return [name for name, is_missed in missed.items() if is_missed]


def ours(recipe: Recipe, seconds: float) -> tuple[float, TrainProgress]:
    """Items a second of our loop, and where it stood in the end."""
    told: list[TrainProgress] = []

    def listen(news: News) -> None:
        if isinstance(news, TrainProgress):
            told.append(news)

    with tempfile.TemporaryDirectory() as folder, Interrupt() as interrupt:
        train(
            plan_training(recipe.with_budget(seconds), registry_in(folder)),
            workers=WORKERS,
            picture=False,
            stream=io.StringIO(),
            interrupt=interrupt,
            listen=listen,
        )
    assert recipe.training is not None
    steps, stepped = 0, 0.0
    for before, each in pairwise([None, *told]):
        if each is not None and each.fraction > WARM_UP:
            taken = each.step - (before.step if before is not None else 0)
            steps, stepped = steps + taken, stepped + taken / each.steps_per_second
    return recipe.training.batch_size * steps / stepped, told[-1]


def bare(recipe: Recipe, seconds: float) -> float:
    """Items a second of the shortest loop that there is."""
    compute_on(WORKERS)
    net = fresh(recipe)
    assert recipe.training is not None
    module, settings = TrainingLoss(net), train_settings(recipe.training)
    optimizers = optimizers_of(net, settings)
    batches = shuffled_batches(
        read_events(recipe, net).train,
        recipe.training.batch_size,
        seed=recipe.seed,
        crop_samples=recipe.training.crop_samples,
    )
    began, counted, since = time.perf_counter(), 0, 0.0
    while (passed := time.perf_counter() - began) < seconds:
        if passed < WARM_UP * seconds:
            counted, since = 0, passed
        batch = next(batches)
        nats = module(batch.x, batch.conditions) * batch.weights
        for optimizer in optimizers:
            optimizer.zero_grad()
        torch.autograd.backward(nats.sum() / batch.weights.sum())
        nn.utils.clip_grad_norm_(net.parameters(), settings.gradient_clip)
        for optimizer in optimizers:
            optimizer.step()
        counted += len(batch.x)
    return counted / (time.perf_counter() - began - since)


def named(names: Sequence[str]) -> list[Recipe]:
    """The recipes. Raises SpecError when one, or its table, is not there, or takes no steps."""
    recipes = [find_recipe(name) for name in names]
    for recipe in recipes:
        if recipe.training is None:
            raise SpecError(f"{recipe.name} takes no steps: it is a closed form")
        table_uri(recipe.data.path)
    return recipes


def measure(recipes: Sequence[Recipe], seconds: float) -> Iterator[Row]:
    """A row for each recipe whose table is there."""
    for recipe in recipes:
        name, training = recipe.name, recipe.training
        assert training is not None, "a closed form takes no steps"
        training = training.model_copy(update={"validations": 1, "augmentation": None})
        recipe = recipe.model_copy(update={"training": training})
        print(f"{name}: {seconds:g} s of each loop", file=sys.stderr)
        try:
            with cluster(cpus=WORKERS):
                rate, last = ours(recipe, seconds)
            plain = bare(plan_recipe(recipe), seconds)
        except SpecError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        yield Row(
            recipe=name,
            batch=training.batch_size,
            ours_per_second=rate,
            bare_per_second=plain,
            ratio=rate / plain,
            waited=last.seconds_waited / last.seconds,
            saved=last.seconds_saved / last.seconds,
            steps=last.step,
            seconds=seconds,
        )


def plan_recipe(recipe: Recipe) -> Recipe:
    """The recipe with what its data tells of the model."""
    with tempfile.TemporaryDirectory() as folder:
        return plan_training(recipe, registry_in(folder)).recipe


def registry_in(folder: str) -> Registry:
    return Registry(folder, Path(folder) / "cache")


def print_rows(rows: Sequence[Row]) -> None:
    """A star where a target is missed."""
    print(
        f"{'recipe':16} {'batch':>5} {'ours/s':>8} {'bare/s':>8} {'ratio':>6} "
        f"{'waited':>7} {'saved':>6}"
    )
    for row in rows:
        missed = "".join(f" *{name}" for name in row.misses)
        print(
            f"{row.recipe:16} {row.batch:5} {row.ours_per_second:8.1f} {row.bare_per_second:8.1f} "
            f"{row.ratio:6.2f} {row.waited:7.2%} {row.saved:6.2%}{missed}"
        )


def main() -> None:
    parser = command(__doc__, quick="one recipe, for a few seconds")
    parser.add_argument("--cases", metavar="NAMES", help="recipes by name, with commas between")
    parser.add_argument("--seconds", type=positive, metavar="S", help="of each loop")
    parser.add_argument("--curves", action="store_true", help="a training that is killed instead")
    parser.add_argument("--svg", type=file_to_write, metavar="FILE", help="draw the curves there")
    arguments = parser.parse_args()
    if arguments.curves:
        if arguments.cases is not None or arguments.seconds is not None:
            parser.error("--curves take no --cases and no --seconds: they are of fixed steps")
        killed = compare(quick=arguments.quick)
        print(killed.sentence())
        write(arguments.json, {**machine(), **asdict(killed)})
        if arguments.svg:
            arguments.svg.write_text(draw_killed(killed))
        return
    if arguments.svg:
        parser.error("--svg draws the curves: say --curves, too")
    seconds = arguments.seconds
    if seconds is None:
        seconds = QUICK_SECONDS if arguments.quick else SECONDS
    if arguments.cases is None:
        recipes = [find_recipe(name) for name in (QUICK_CASES if arguments.quick else CASES)]
    else:
        try:
            recipes = named(arguments.cases.split(","))
        except SpecError as error:
            parser.error(str(error))
    rows = list[Row]()
    for row in measure(recipes, seconds):
        rows.append(row)
        write(
            arguments.json, {**machine(), "workers": WORKERS, "rows": [asdict(row) for row in rows]}
        )
    print_rows(rows)


if __name__ == "__main__":
    main()
