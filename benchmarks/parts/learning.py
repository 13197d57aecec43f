"""From a recipe to events, and to a network that has learned from them for a fixed time."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ancestral.jobs.recipe import Recipe
from ancestral.models import (
    Autoregressive,
    Item,
    TrainingLoss,
    TrainProgress,
    from_media,
    prepare,
    shuffled_batches,
)
from ancestral.models.data import batches_in_order, collate
from ancestral.models.train import train
from ancestral.orchestration.training import examples
from ancestral.orchestration.training.examples import Example, network, train_settings
from ancestral.orchestration.training.held_out import SYMBOLS_AT_A_TIME
from ancestral.orchestration.training.learners import ClosedForm, RawExample, learner


@dataclass(frozen=True)
class Events:
    """A recipe's events as its network takes them. `signature` says what they are."""

    signature: Mapping[str, Any]
    train: list[Item]
    held_out: list[Item]

    @property
    def levels(self) -> int:
        """Symbols of the alphabet; of a series, the amplitudes of the sounds that it comes from."""
        return self.signature["levels"] or 65536

    def symbols(self, *, held_out: bool) -> list[NDArray[np.int64]]:
        """The events without padding. Amplitudes count from the lowest one."""
        lowest = 0 if self.signature["levels"] else -32768
        items = self.held_out if held_out else self.train
        return [_without_padding(item).numpy().astype(np.int64) - lowest for item in items]


@dataclass(frozen=True)
class Learned:
    """What came of a training. `nats` are those of each held-out event."""

    bits_per_dim: float
    nats: list[float]
    parameters: int
    steps: int
    seconds: float


def compute_on(threads: int) -> None:
    """So many threads, on which numbers below 1e-38 count as 0: a trained network's gradients hold
    many, and the processor would take three times as long to keep them."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def fresh(recipe: Recipe) -> Autoregressive:
    """The recipe's network before it has learned anything."""
    torch.manual_seed(recipe.seed)
    return network(recipe)


def read_events(recipe: Recipe, net: Autoregressive, most_held_out: int | None = None) -> Events:
    """All events, of those held out at most so many, spread evenly over the table.

    What the network learns before it can say what an item is, it learns here. Raises SpecError when
    the table is not there.
    """
    learnt, others = (
        list(examples.Events(recipe, net.signature, held_out=held_out))
        for held_out in (False, True)
    )
    first = learner(net)
    if first is not None:
        first.learn_first(_raw(net, learnt), seed=recipe.seed, report=lambda line: None)
    learned, kept = _items(net, learnt), _items(net, others)
    count = min(most_held_out or len(kept), len(kept))
    return Events(net.signature, learned, [kept[i * len(kept) // count] for i in range(count)])


def learn(
    recipe: Recipe,
    net: Autoregressive,
    events: Events,
    seconds: float,
    *,
    watched: Sequence[Item] = (),
    report: Callable[[float, TrainProgress], None] = lambda seconds, progress: None,
) -> Learned:
    """Train `net` for so many seconds by the clock, and score what is held out.

    `watched` items are scored on the way; `report` hears of it, with the seconds since the start.
    """
    began = time.perf_counter()

    def passed() -> float:
        return time.perf_counter() - began

    if recipe.training is None:
        assert isinstance(net, ClosedForm), "a recipe without training is for a closed form"
        net.fit([item.x for item in events.train])
        steps = 1
    else:
        steps = train(
            TrainingLoss(net),
            net,
            shuffled_batches(
                events.train,
                recipe.training.batch_size,
                seed=recipe.seed,
                crop_samples=recipe.training.crop_samples,
            ),
            train_settings(recipe.training),
            fraction_done=lambda step: passed() / seconds,
            validation=list(batches_in_order(watched, _together(watched))) if watched else [],
            report=lambda progress: report(passed(), progress),
        )
    taken = passed()
    nats = held_out_nats(net.eval(), events.held_out)
    symbols = sum(item.weights.numel() for item in events.held_out)
    return Learned(
        bits_per_dim=sum(nats) / (symbols * math.log(2)),
        nats=nats,
        parameters=sum(weights.numel() for weights in net.parameters()),
        steps=steps,
        seconds=taken,
    )


@torch.no_grad()
def held_out_nats(net: Autoregressive, items: Sequence[Item]) -> list[float]:
    """Nats of each event by the network's own score: exact, or a bound where it has hidden
    symbols."""
    nats = list[float]()
    for shape, alike in itertools.groupby(items, key=lambda item: item.x.shape):
        some = list(alike)
        size = max(1, SYMBOLS_AT_A_TIME // math.prod(shape))
        for start in range(0, len(some), size):
            batch = collate(some[start : start + size])
            assert batch.weights.all(), "what is asked for nothing needs no padding"
            nats += (-net.score(batch.x, batch.conditions)).tolist()
    return nats


def _together(items: Sequence[Item]) -> int:
    return max(1, SYMBOLS_AT_A_TIME // max(item.x.numel() for item in items))


def _items(net: Autoregressive, some: Sequence[Example]) -> list[Item]:
    return prepare(net, [each.array for each in some], [each.fields for each in some])


def _raw(net: Autoregressive, some: Sequence[Example]) -> list[RawExample]:
    return [(torch.from_numpy(from_media(net.signature, each.array)), each.fields) for each in some]


def _without_padding(item: Item) -> torch.Tensor:
    assert item.weights.all(), "what is asked for nothing needs no padding"
    return item.x
