"""How well a network foretells what it did not learn from: its held-out figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from ancestral.jobs.bundles import HELD_OUT
from ancestral.models import Autoregressive, Batch, Item, bits_per_dim
from ancestral.models.data import collate
from ancestral.orchestration.training.deal import Span, between
from ancestral.orchestration.training.examples import Events
from ancestral.orchestration.training.rows import all_spans

#: Symbols that are scored at a time, in as many whole events as that makes.
SYMBOLS_AT_A_TIME = 36_000

#: Held-out batches of up to so many bytes are kept; of more, all are read again each time.
KEPT_BYTES = 256 * 2**20


class HeldOut:
    """Batches of held-out events, to be gone through any number of times; of several ranks each has
    its own share. `net` makes the items.

    Raises DataError, which names the event, when one does not fit the network.
    """

    def __init__(
        self,
        events: Events,
        net: Autoregressive,
        device: torch.device,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._events, self._net, self._device = events, net, device
        self._rank, self._ranks = rank, ranks
        self._kept: list[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._kept) if self._kept is not None else self._read()

    def _read(self) -> Iterator[Batch]:
        kept, room = list[Batch](), KEPT_BYTES
        for batch in held_out_batches(self._items()):
            on_device = batch.to(self._device)
            room -= batch.bytes
            if room >= 0:
                kept.append(on_device)
            else:
                kept.clear()
            yield on_device
        if room >= 0:
            self._kept = kept

    def _items(self) -> Iterator[Item]:
        for number, example in self._events.read(self._spans()):
            yield self._events.item(self._net, number, example)

    def _spans(self) -> Iterator[Span]:
        """This rank's rows, which lie together, so that nobody decodes what is another's."""
        rows = len(self._events)
        first, last = (rows * rank // self._ranks for rank in (self._rank, self._rank + 1))
        return between(all_spans(self._events.sizes), first, last)


def held_out_batches(items: Iterable[Item]) -> Iterator[Batch]:
    """Every event once, whole, in batches that memory holds."""
    waiting: list[Item] = []
    for item in items:
        longest = max([item.x.numel(), *(each.x.numel() for each in waiting)])
        if waiting and longest * (len(waiting) + 1) > SYMBOLS_AT_A_TIME:
            yield collate(waiting)
            waiting = []
        waiting.append(item)
    if waiting:
        yield collate(waiting)


def held_out_metrics(net: Autoregressive, batches: Iterable[Batch]) -> dict[str, Any]:
    """Bits per dimension, and what kind of figure that is: exact, bound, or density.

    Real events do not tell the hidden symbols of a network that has some; what they are given is
    the bound of its `score`.
    """
    net.eval()
    kind = net.signature.get("likelihood_kind", "exact")
    if kind == "joint":
        return {HELD_OUT: _bound(net, batches), "held_out_kind": "bound"}
    return {HELD_OUT: bits_per_dim(net, batches), "held_out_kind": kind}


@torch.no_grad()
def _bound(net: Autoregressive, batches: Iterable[Batch]) -> float:
    nats, symbols = 0.0, 0
    for batch in batches:
        nats += float(net.score(batch.x, batch.conditions).sum())
        symbols += batch.x.numel()
    return -nats / (math.log(2) * symbols)
