"""The likelihood of given events, teacher-forced: many at once, and nothing is drawn.

    event ──admit──▶ waiting ──advance──▶ one batch through the network ──▶ scores

A score is a function of (network, event, fields) alone, down to the last bit, because the shape of
a batch is a function of the event: the same sums in the same order, whatever the neighbours are.

    events of one shape      │ a │ b │ c │ c │ c │ c │     a fixed number of places, filled up with
                                                          copies of the last
    events of any length     │ aaaaaaaaaaaaaaaaaaaaaa │    each a batch by itself

Shapes: B batch, E the event.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.data import Batch, Item, collate
from ancestral.models.errors import ConditionError, ConfigError, SlotsFull
from ancestral.models.sampling.torch_state import (
    device_of,
    full_precision,
    numerics_class,
    single_threaded,
)

#: Places of a batch, by the most symbols that an event may have for it: some 65,000 in all. More
#: would gain nothing, and memory is taken for the parameters of every symbol.
PLACES = {1024: 64, 4096: 16}


@dataclass(frozen=True)
class Score:
    """A scored event: `symbols` as they were given, `drawn` of them, and log p of all in nats.

    `error` says why the number is worthless, if it is; `seconds` is the event's share of the time.
    """

    key: Hashable
    symbols: np.ndarray
    log_likelihood_nats: float
    error: str | None
    seconds: float
    drawn: int


@dataclass(frozen=True)
class _Waiting:
    key: Hashable
    symbols: np.ndarray
    item: Item


class Scorer:
    """One network on one device; up to `slots` events wait for their batch."""

    def __init__(
        self,
        net: Autoregressive,
        *,
        slots: int = 64,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if slots < 1:
            raise ConfigError(f"a scorer needs at least one slot, not {slots}")
        self._device = device_of(device)
        # A copy, so that the caller's network keeps its own device, dtype and training mode.
        self._net = copy.deepcopy(net).to(self._device, dtype).eval()
        self._places = _places(net.signature)
        self._waiting: deque[_Waiting] = deque()
        self.slots = slots
        self.numerics = numerics_class("reference", self._device, dtype)
        #: Batches scored so far, and the symbols in them.
        self.steps = 0
        self.symbols = 0
        #: Events that were admitted, and their symbols.
        self.events_begun = 0
        self.symbols_begun = 0

    @property
    def free(self) -> int:
        """Events that can be admitted now."""
        return self.slots - len(self._waiting)

    def admit(self, key: Hashable, symbols: np.ndarray, fields: Mapping[str, Any]) -> int:
        """Let an event wait: symbols (*E) int64, or float64 where they are real numbers. Returns
        how many `steps` pass at most until it is scored.

        Raises SlotsFull when too many wait, ConditionError when the event or its fields do not fit
        the network.
        """
        if not self.free:
            raise SlotsFull(f"all {self.slots} slots are taken: advance() until one is free")
        given = torch.from_numpy(symbols)
        self._check_symbols(given)
        with single_threaded(), full_precision():
            x, conditions = self._net.example(given, fields)
        weights = torch.zeros(x.shape)
        weights[tuple(slice(size) for size in given.shape)] = 1
        self._waiting.append(_Waiting(key, symbols, Item(x, weights, conditions)))
        self.events_begun += 1
        self.symbols_begun += symbols.size
        return math.ceil(len(self._waiting) / self._places)

    def _check_symbols(self, given: Tensor) -> None:
        if not given.numel():
            raise ConditionError("an event without symbols cannot be scored")
        levels = self._net.distribution.levels
        if levels is None:
            return
        if given.dtype.is_floating_point or not 0 <= given.min() <= given.max() < levels:
            raise ConditionError(f"an event holds symbols that are not among {levels} levels")

    def drop(self, key: Hashable) -> None:
        """Score an event no more, if it still waits."""
        self._waiting = deque(event for event in self._waiting if event.key != key)

    @torch.inference_mode()
    def advance(self) -> list[Score]:
        """Score one batch of what waits."""
        count = min(self._places, len(self._waiting))
        if not count:
            return []
        events = [self._waiting.popleft() for _ in range(count)]
        items = [event.item for event in events]
        items += items[-1:] * (self._places - count)
        began = time.perf_counter()
        with single_threaded(), full_precision():
            nats = self._nats(collate(items).to(self._device)).tolist()
        share = (time.perf_counter() - began) / count
        self.steps += 1
        self.symbols += sum(event.symbols.size for event in events)
        return [_score(event, nats[index], share) for index, event in enumerate(events)]

    def _nats(self, batch: Batch) -> Tensor:
        """log p (B,) float64 of what is no padding."""
        if batch.weights.all():
            return self._net.score(batch.x, batch.conditions)
        nats = self._net.training_nats(batch.x, batch.conditions).double()
        return -(nats * batch.weights).flatten(1).sum(1)


def _places(signature: Mapping[str, Any]) -> int:
    """How many events share a batch. One whose hidden symbols are tried out is many by itself."""
    shape = signature["shape"]
    if None in shape or signature.get("hidden"):
        return 1
    return next((places for most, places in PLACES.items() if math.prod(shape) <= most), 1)


def _score(event: _Waiting, nats: float, seconds: float) -> Score:
    error = None if math.isfinite(nats) else f"the likelihood is {nats}"
    return Score(event.key, event.symbols, nats, error, seconds, event.symbols.size)
