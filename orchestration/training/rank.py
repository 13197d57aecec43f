"""One rank of a training run: a process that trains on its share of each batch.

    the last checkpoint, or what the network learns first  ──►  weights, the same to all ranks
    table ──► stream ──► its share of the batches ──► models.train on a network wrapped by DDP
                         (made ahead in a thread)         │ progress, pictures ──► board
                                                          │ checkpoints ──► state store
                                     rank 0 alone  ◄──────┘
                                     └──► bundle files and a picture, returned

All ranks stop at the same step, though each has a watch of its own: see budget.py. A network that
is fitted in closed form takes no steps: rank 0 fits it to all events at once.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from ancestral.jobs.errors import JobError
from ancestral.jobs.recipe import Recipe, Training
from ancestral.jobs.scratch import scratch_folder
from ancestral.models import (
    Autoregressive,
    Batch,
    ModelError,
    TrainingLoss,
    TrainProgress,
    from_media,
    save_bundle,
    train,
)
from ancestral.models.ahead import ahead
from ancestral.models.sampling.torch_state import device_of
from ancestral.models.train import TrainState
from ancestral.models.visits import Place, batches, visits
from ancestral.orchestration.cluster import ray, ray_module
from ancestral.orchestration.errors import OrchestrationError, TrainingFailed
from ancestral.orchestration.training.budget import Budget
from ancestral.orchestration.training.card import write_card
from ancestral.orchestration.training.checkpoints import Checkpoint, Checkpoints
from ancestral.orchestration.training.contact_sheet import draw_contact_sheet
from ancestral.orchestration.training.examples import Events, augmentation, network, train_settings
from ancestral.orchestration.training.held_out import HeldOut, held_out_metrics
from ancestral.orchestration.training.learners import ClosedForm, RawExample, learner
from ancestral.orchestration.training.news import Began, GaveUp, News, Picture, Said, as_document
from ancestral.orchestration.training.run import TrainingRun
from ancestral.orchestration.training.stream import Stream
from ancestral.orchestration.training.trial import described


@dataclass(frozen=True)
class Trained:
    """What rank 0 returns: the files of a bundle by name, its metrics, and the PNG of samples."""

    files: dict[str, bytes]
    metrics: dict[str, Any]
    picture: bytes | None


def train_rank_of_many(config: dict[str, Any]) -> Trained | None:
    """Called by Ray Train in every rank of several, with what `train_rank` takes."""
    context = ray_module("ray.train").get_context()
    return train_rank(config, context.get_world_rank(), context.get_world_size())


def train_rank(config: dict[str, Any], number: int = 0, ranks: int = 1) -> Trained | None:
    """A rank, with {"run": TrainingRun, "device": "cpu" or "cuda", "picture": whether samples are
    drawn, on the way and at the end, "board": the actor of a Board}.
    """
    torch.set_num_threads(1)
    # Numbers too small to matter cost a processor as much as three trainings.
    torch.set_flush_denormal(True)
    rank = _Rank(**config, number=number, ranks=ranks)
    try:
        return rank.train()
    except ModelError as error:
        # By itself Ray would restart the ranks; whoever reads the board ends the run instead.
        ray.get(config["board"].write.remote(as_document(GaveUp(str(error)))))
        raise
    except (JobError, OrchestrationError, OSError):
        raise
    except Exception as error:
        # A family may be anybody's and raise anything, and its traceback ends with this process.
        raise TrainingFailed(f"training broke down: {described(error)}") from error


@dataclass
class _Rank:
    """The rank `number` of `ranks`; rank 0 leads, and tells the board."""

    run: TrainingRun
    device: str
    picture: bool
    board: Any
    number: int
    ranks: int
    #: Where this rank stands in what it learns from.
    place: Place = field(default_factory=Place)

    @property
    def leads(self) -> bool:
        return self.number == 0

    @property
    def recipe(self) -> Recipe:
        return self.run.recipe

    def train(self) -> Trained | None:
        """Rank 0's result; the others have none."""
        torch.manual_seed(self.recipe.seed)
        net = network(self.recipe)
        if self.recipe.training is not None:
            metrics = self._descend(net, self.recipe.training)
        elif self.leads:
            metrics = self._fit(net)
        return self._finish(net, metrics) if self.leads else None

    def _fit(self, net: Autoregressive) -> dict[str, Any]:
        """Fit in closed form; what is to be told."""
        assert isinstance(net, ClosedForm), "a recipe without 'training' was checked for it"
        start = time.monotonic()
        events = self._events(net)
        net.fit([events.item(net, number, each).x for number, each in enumerate(events)])
        return {"steps": 1, "seconds": round(time.monotonic() - start, 1)}

    def _descend(self, net: Autoregressive, training: Training) -> dict[str, Any]:
        """Train step by step, from the last checkpoint if there is one; what is to be told."""
        checkpoints = Checkpoints(self.run.state_uri, self.run.name)
        device = self._own_device()
        before = self._last(checkpoints, device)
        learns = before is None and self._learn_first(net)
        step, seconds, states = 0, 0.0, list[TrainState]()
        if before is not None:
            step, seconds, states = before.step, before.seconds, [before.state]
            net.load_state_dict(before.state["network"])
            self.place = before.place(self.number, self.ranks)
        # A checkpoint is several times as large as the network, so only `states` holds it, and
        # `train` takes it out of there.
        del before
        module: nn.Module = TrainingLoss(net).to(device)
        if self.ranks > 1:
            # The wrapper gives rank 0's weights to all. No network changes its buffers in training:
            # they are given once, for what was learnt first lies in them, too.
            module = ray_module("ray.train.torch").prepare_model(
                module,
                move_to_device=device,
                parallel_strategy_kwargs={"broadcast_buffers": False},
            )
            for buffer in net.buffers():
                distributed.broadcast(buffer, src=0)
        # Items are made in another thread, by a network that nobody trains meanwhile.
        maker = deepcopy(net).cpu()
        budget = Budget(training, seconds, device, at_once=learns)
        told = deque[TrainProgress](maxlen=1)

        def report(progress: TrainProgress) -> None:
            told.append(progress)
            self._tell(progress)

        def save(state: TrainState) -> None:
            places = self._gathered(self.place, device)
            if self.leads:
                checkpoints.save(Checkpoint(state, budget.seconds, places))
            budget.saved()

        self._tell(Began(step))
        held_out = Events(self.recipe, net.signature, held_out=True)
        steps = train(
            module,
            net,
            self._batches(maker, training, device, step),
            train_settings(training),
            fraction_done=budget.fraction_done,
            validation=HeldOut(held_out, maker, device, self.number, self.ranks),
            summed=_summed,
            report=report,
            look=self._look,
            save=save,
            save_due=budget.save_due,
            resume=states.pop() if states else None,
        )
        metrics: dict[str, Any] = {"steps": steps, "seconds": round(budget.seconds, 1)}
        return {**metrics, "train_bits_per_dim": told[-1].bits_per_dim} if told else metrics

    def _own_device(self) -> torch.device:
        """The device of this rank. Raises ConfigError when torch finds none here."""
        if self.device == "cpu":
            return torch.device("cpu")
        if self.ranks == 1:
            # The one that Ray gave this process is the first to it.
            return device_of("cuda:0")
        device: torch.device = ray_module("ray.train.torch").get_device()
        return device

    def _last(self, checkpoints: Checkpoints, device: torch.device) -> Checkpoint | None:
        """The last checkpoint, the one that rank 0 sees."""
        steps = checkpoints.steps() if self.leads else []
        shared = [steps[-1] if steps else None]
        if distributed.is_initialized():
            distributed.broadcast_object_list(shared, src=0, device=device)
        return checkpoints.load(shared[0]) if shared[0] is not None else None

    def _learn_first(self, net: Autoregressive) -> bool:
        """What the network learns before the first step: by rank 0, for which the others wait."""
        learns = learner(net)
        if learns is not None and self.leads:
            learns.learn_first(
                _RawExamples(self._events(net), net),
                seed=self.recipe.seed,
                report=lambda text: self._tell(Said(text)),
            )
        return learns is not None

    def _gathered(self, place: Place, device: torch.device) -> list[Place]:
        """The places of all ranks."""
        if not distributed.is_initialized():
            return [place]
        mine = torch.tensor(dataclasses.astuple(place), device=device)
        theirs = [torch.zeros_like(mine) for _ in range(self.ranks)]
        distributed.all_gather(theirs, mine)
        return [Place(*numbers.tolist()) for numbers in theirs]

    def _batches(
        self, maker: Autoregressive, training: Training, device: torch.device, steps_before: int
    ) -> Iterator[Batch]:
        """This rank's share of each batch from its place on, in as many parts as a step has."""
        parts = train_settings(training).accumulate
        stream = Stream(
            self._events(maker),
            maker,
            seed=self.recipe.seed,
            rank=self.number,
            ranks=self.ranks,
            augmentation=augmentation(training),
        )
        visited = visits(
            stream.blocks,
            seed=self.recipe.seed,
            crop_samples=training.crop_samples,
            place=self.place,
        )
        size = training.batch_size // (self.ranks * parts)
        made = ahead(batches(visited, size))
        for number, (batch, place) in enumerate(made, start=steps_before * parts):
            # So that what is random in a step is the same however often the run was interrupted.
            seed = np.random.default_rng([self.recipe.seed, self.number, number]).integers(2**63)
            torch.manual_seed(int(seed))
            self.place = place
            yield batch.to(device)

    def _look(self, step: int, average: Autoregressive) -> None:
        if self.leads and self.picture:
            self._tell(Picture(step, draw_contact_sheet(deepcopy(average).cpu(), small=True)))

    def _events(self, net: Autoregressive) -> Events:
        return Events(self.recipe, net.signature)

    def _tell(self, news: News) -> None:
        if self.leads:
            # Whoever reads the board has all that was told, and in order, once the rank has ended.
            ray.get(self.board.write.remote(as_document(news)))

    def _finish(self, net: Autoregressive, metrics: dict[str, Any]) -> Trained:
        device = next(net.parameters()).device
        held_out = Events(self.recipe, net.signature, held_out=True)
        metrics = {
            **held_out_metrics(net, HeldOut(held_out, deepcopy(net).cpu(), device)),
            **metrics,
            "workers": self.ranks,
            "device": device.type,
            "parameters": sum(weights.numel() for weights in net.parameters()),
        }
        net = net.cpu().eval()
        with scratch_folder() as folder:
            save_bundle(folder, net, card=write_card(self.recipe, metrics), metrics=metrics)
            files = {path.name: path.read_bytes() for path in folder.iterdir()}
        picture = draw_contact_sheet(net) if self.picture else None
        return Trained(files, metrics, picture)


class _RawExamples:
    """Training events as symbols with their fields, read again each time they are gone through."""

    def __init__(self, events: Events, net: Autoregressive) -> None:
        self._events, self._signature = events, net.signature

    def __iter__(self) -> Iterator[RawExample]:
        for each in self._events:
            yield torch.from_numpy(from_media(self._signature, each.array)), each.fields


def _summed(tensor: Tensor) -> Tensor:
    if distributed.is_initialized():
        distributed.all_reduce(tensor)
    return tensor
