"""One rank of a training run: a process that trains on its share of each batch.

    table ──► items ──► its share of the batches ──► models.train on a network wrapped by DDP
                                                          │ progress ──► board ──► whoever watches
                                                          │ checkpoints ──► state store
                                     rank 0 alone  ◄──────┘
                                     └──► bundle files and a picture, returned

All ranks stop at the same step, though each has a watch of its own: rank 0 looks at its watch and
tells the others. A network that is fitted in closed form takes no steps: rank 0 fits it to all
events at once.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, distributed, nn

from ancestral.jobs.recipe import Recipe, Training
from ancestral.models import (
    Autoregressive,
    Batch,
    Item,
    TrainingLoss,
    TrainProgress,
    TrainSettings,
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
from ancestral.orchestration.held_out import held_out_batches, held_out_metrics


@runtime_checkable
class ClosedForm(Protocol):
    """A network that is fitted at once, not step by step."""

    def fit(self, x: Sequence[Tensor]) -> None:
        """To events `x`, each (*E)."""


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
    # Numbers too small to matter cost a processor as much as three trainings.
    torch.set_flush_denormal(True)
    torch.manual_seed(plan.recipe.seed)
    net = network(plan.recipe)
    rank = _Rank(
        plan=plan,
        net=net,
        # What is fitted in closed form has no gradients that ranks could share.
        module=net if isinstance(net, ClosedForm) else ray_torch.prepare_model(TrainingLoss(net)),
        device=ray_torch.get_device(),
        number=context.get_world_rank(),
        ranks=context.get_world_size(),
    )
    return rank.train(config["board"])


@dataclass
class _Rank:
    """The rank `number` of `ranks`. `module` is what training calls, wrapped for several ranks."""

    plan: RankPlan
    net: Autoregressive
    module: nn.Module
    device: torch.device
    number: int
    ranks: int

    def train(self, board: Any) -> Trained | None:
        """Rank 0's result; the others have none, and tell nothing."""
        leads = self.number == 0
        held_out = held_out_batches(self._items(held_out=True), self.device) if leads else []
        metrics: dict[str, Any] = {}
        if self.plan.recipe.training is not None:
            metrics |= self._descend(self.plan.recipe.training, held_out, board)
        elif leads:
            metrics |= self._fit()
        if not leads:
            return None
        return self._finish(
            {
                **held_out_metrics(self.net, held_out),
                **metrics,
                "workers": self.ranks,
                "device": self.device.type,
                "parameters": sum(weights.numel() for weights in self.net.parameters()),
            }
        )

    def _descend(
        self, training: Training, held_out: Sequence[Batch], board: Any
    ) -> dict[str, float]:
        """Train step by step, from the last checkpoint if there is one; what is to be told."""
        leads = self.number == 0
        checkpoints = Checkpoints(self.plan.state_uri, self.plan.run)
        before = checkpoints.load()
        clock = Clock(training, before.seconds if before else 0.0, self.device)
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
            self._batches(training, before.state["step"] if before else 0),
            train_settings(training),
            fraction_done=clock,
            validation=held_out,
            report=report,
            save=save,
            resume=before.state if before else None,
        )
        metrics = {"steps": steps, "seconds": round(clock.seconds, 1)}
        return {**metrics, "train_bits_per_dim": told[-1].bits_per_dim} if told else metrics

    def _fit(self) -> dict[str, float]:
        """Fit in closed form; what is to be told."""
        assert isinstance(self.net, ClosedForm), "a recipe without 'training' was checked for it"
        start = time.monotonic()
        self.net.fit([item.x for item in self._items()])
        return {"steps": 1, "seconds": round(time.monotonic() - start, 1)}

    def _items(self, held_out: bool = False) -> list[Item]:
        examples = read_examples(self.plan.recipe, self.net.signature, held_out=held_out)
        return items_of(self.net, examples)

    def _batches(self, training: Training, steps_before: int) -> Iterator[Batch]:
        """This rank's share of each batch, from that step on."""
        seed = self.plan.recipe.seed
        batches = shuffled_batches(
            self._items(),
            max(1, training.batch_size // self.ranks),
            seed=seed,
            rank=self.number,
            world_size=self.ranks,
            crop_samples=training.crop_samples,
        )
        for step, batch in enumerate(islice(batches, steps_before, None), start=steps_before):
            # So that what is random in a step is the same however often the run was interrupted.
            torch.manual_seed(int(np.random.default_rng([seed, self.number, step]).integers(2**63)))
            yield batch.to(self.device)

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
