"""One rank of a training run: a process that trains on its share of each batch.

    table ──► items ──► its share of the batches ──► models.train on a network wrapped by DDP
                                                          │ progress ──► board ──► whoever watches
                                                          │ checkpoints ──► state store
                                     rank 0 alone  ◄──────┘
                                     └──► bundle files and a picture, returned

All ranks stop at the same step, though each has a watch of its own: rank 0 looks at its watch and
tells the others.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from ancestral.jobs.recipe import Recipe, Training
from ancestral.models import (
    Autoregressive,
    Batch,
    TrainProgress,
    TrainSettings,
    batches_in_order,
    bits_per_dim,
    save_bundle,
    shuffled_batches,
    train,
)
from ancestral.models.train import TrainState
from ancestral.orchestration.card import write_card
from ancestral.orchestration.checkpoints import Checkpoint, Checkpoints
from ancestral.orchestration.cluster import ray_module
from ancestral.orchestration.contact_sheet import draw_contact_sheet
from ancestral.orchestration.examples import items_of, network, read_examples
from ancestral.orchestration.measures import HELD_OUT

#: Events that are scored at a time.
HELD_OUT_BATCH = 90


@dataclass(frozen=True)
class RankPlan:
    """What every rank needs to know. `recipe` is complete: its model needs nothing from the data.

    picture: whether to draw samples at the end.
    """

    recipe: Recipe
    run: str
    state_uri: str
    picture: bool


@dataclass(frozen=True)
class Trained:
    """What rank 0 returns: the files of a bundle by name, its metrics, and the PNG of samples."""

    files: dict[str, bytes]
    metrics: dict[str, Any]
    picture: bytes | None


class Board:
    """A Ray actor on which rank 0 writes how far it is, for the process that shows it."""

    def __init__(self) -> None:
        self._news: list[TrainProgress] = []

    def write(self, progress: TrainProgress) -> None:
        self._news.append(progress)

    def read(self) -> list[TrainProgress]:
        """What was written since the last call."""
        news, self._news = self._news, []
        return news


class Clock:
    """How much of the budget is used, the same to every rank."""

    def __init__(self, training: Training, seconds_before: float, device: torch.device) -> None:
        self._training = training
        self._start = time.monotonic() - seconds_before
        self._shared = torch.zeros((), dtype=torch.float64, device=device)

    @property
    def seconds(self) -> float:
        """Since training began, runs before an interruption included; by this rank's watch."""
        return time.monotonic() - self._start

    def __call__(self, step: int) -> float:
        if self._training.budget_seconds is None:
            assert self._training.steps is not None, "a recipe has one or the other"
            return step / self._training.steps
        self._shared.fill_(self.seconds / self._training.budget_seconds)
        if distributed.is_initialized():
            distributed.broadcast(self._shared, src=0)
        return float(self._shared)


def train_rank(config: dict[str, Any]) -> Trained | None:
    """Called by Ray Train in every rank, with {"plan": RankPlan, "board": the actor of a Board}."""
    ray_torch = ray_module("ray.train.torch")
    context = ray_module("ray.train").get_context()
    plan: RankPlan = config["plan"]
    torch.set_num_threads(1)
    torch.manual_seed(plan.recipe.seed)
    net = network(plan.recipe)
    rank = _Rank(
        plan=plan,
        net=net,
        module=ray_torch.prepare_model(net),
        device=ray_torch.get_device(),
        number=context.get_world_rank(),
        ranks=context.get_world_size(),
    )
    return rank.train(config["board"])


@dataclass
class _Rank:
    """The rank `number` of `ranks`. `module` is `net`, wrapped if there are several."""

    plan: RankPlan
    net: Autoregressive
    module: nn.Module
    device: torch.device
    number: int
    ranks: int

    def train(self, board: Any) -> Trained | None:
        """Rank 0's result; the others have none, and tell nothing."""
        leads = self.number == 0
        recipe = self.plan.recipe
        held_out = self._held_out() if leads else []
        checkpoints = Checkpoints(self.plan.state_uri, self.plan.run)
        before = checkpoints.load()
        clock = Clock(recipe.training, before.seconds if before else 0.0, self.device)
        told: list[TrainProgress] = []

        def report(progress: TrainProgress) -> None:
            if leads:
                told.append(progress)
                board.write.remote(progress)

        def save(state: TrainState) -> None:
            if leads:
                checkpoints.save(Checkpoint(state, clock.seconds))

        steps = train(
            self.module,
            self.net,
            self._batches(before.state["step"] if before else 0),
            train_settings(recipe.training),
            fraction_done=clock,
            validation=held_out,
            report=report,
            save=save,
            resume=before.state if before else None,
        )
        if not leads:
            return None
        metrics = {
            HELD_OUT: bits_per_dim(self.net, held_out),
            "steps": steps,
            "seconds": round(clock.seconds, 1),
            "workers": self.ranks,
            "device": self.device.type,
            "parameters": sum(weights.numel() for weights in self.net.parameters()),
        }
        if told:
            metrics["train_bits_per_dim"] = told[-1].bits_per_dim
        return self._finish(metrics)

    def _batches(self, steps_before: int) -> Iterator[Batch]:
        """This rank's share of each batch, from that step on."""
        training = self.plan.recipe.training
        items = items_of(self.net, read_examples(self.plan.recipe, "train"))
        batches = shuffled_batches(
            items,
            max(1, training.batch_size // self.ranks),
            seed=self.plan.recipe.seed,
            rank=self.number,
            world_size=self.ranks,
            crop_columns=training.crop_columns,
        )
        return (batch.to(self.device) for batch in islice(batches, steps_before, None))

    def _held_out(self) -> Sequence[Batch]:
        items = items_of(self.net, read_examples(self.plan.recipe, "test"))
        return [batch.to(self.device) for batch in batches_in_order(items, HELD_OUT_BATCH)]

    def _finish(self, metrics: dict[str, Any]) -> Trained:
        net = self.net.cpu().eval()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            save_bundle(folder, net, card=write_card(self.plan.recipe, metrics), metrics=metrics)
            files = {path.name: path.read_bytes() for path in folder.iterdir()}
        picture = draw_contact_sheet(net) if self.plan.picture else None
        return Trained(files, metrics, picture)


def train_settings(training: Training) -> TrainSettings:
    """What the recipe says about how weights move, and good values for what it does not say.

    Raises ConfigError for a setting that trains nothing.
    """
    names = [field.name for field in dataclasses.fields(TrainSettings)]
    given = {name: getattr(training, name, None) for name in names}
    return TrainSettings(**{name: value for name, value in given.items() if value is not None})
