"""Requests in, samples out; slots filled and freed.

    request ──admit──▶ a free slot of a tile ──advance, advance, ...──▶ sample
                              ▲                                           │
                              └──────────── the slot is free again ◀──────┘

A sample is a function of (network, fields, seed, sample index, settings) alone: not of the slots,
the neighbours or the order of admission.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.errors import ConditionError, ConfigError, SlotsFull
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.philox import LARGEST_SEED
from ancestral.models.sampling.reference import (
    TILE_SLOTS,
    Drawn,
    ReferenceTile,
    Start,
    numerics_class,
    single_threaded,
)

#: Steps between two looks at the slots, at most (an image always ends its row).
CHUNK_STEPS = 128


@dataclass(frozen=True)
class SampleRequest:
    """One event to draw. `key` comes back with the sample and means nothing here.

    `seed` lies in [0, 2⁶³), else ConditionError; `sample` tells the samples of one seed apart.
    """

    key: Hashable
    fields: Mapping[str, Any]
    seed: int
    sample: int = 0
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ConditionError(f"a seed lies in [0, 2**63), not {self.seed}")


@dataclass(frozen=True)
class Sample:
    """A drawn event.

    `symbols` int16 has the event's shape; `log_likelihood_nats` is log p(x | c) under the
    unadjusted network; `error` says why the event is worthless, if it is; `seconds` is its share of
    the sampler's time.
    """

    key: Hashable
    symbols: np.ndarray
    log_likelihood_nats: float
    error: str | None
    seconds: float


@dataclass
class _Active:
    request: SampleRequest
    shape: tuple[int, ...]
    seconds: float = 0.0


class Sampler:
    """One network on one device, with a fixed number of slots and everything preallocated.

    sampler = Sampler(load_bundle(folder).net, slots=64)
    for sample in sampler.sample(SampleRequest(i, {"label": 7}, seed=i) for i in range(100)):
        ...
    """

    def __init__(
        self,
        net: Autoregressive,
        *,
        slots: int = TILE_SLOTS,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if slots < 1:
            raise ConfigError(f"a sampler needs at least one slot, not {slots}")
        self._device = torch.device(device)
        # A copy, so that the caller's network keeps its own device, dtype and training mode.
        self._net = copy.deepcopy(net).to(self._device, dtype).eval()
        self._program = net.program()
        tiles = -(-slots // TILE_SLOTS)
        self._tiles = [ReferenceTile(self._program, self._device, dtype) for _ in range(tiles)]
        self._active: dict[tuple[int, int], _Active] = {}
        self.slots = slots
        self.numerics = numerics_class(self._device, dtype)
        #: Positions advanced so far, over all tiles: it stands still when the sampler hangs.
        self.steps = 0

    @property
    def active(self) -> int:
        """Events being drawn."""
        return len(self._active)

    @property
    def free(self) -> int:
        """Events that can be admitted now."""
        return self.slots - self.active

    @torch.inference_mode()
    def admit(self, request: SampleRequest) -> None:
        """Begin drawing an event.

        Raises SlotsFull when no slot is free, ConditionError when the request does not fit the
        network.
        """
        if not self.free:
            raise SlotsFull(f"all {self.slots} slots are drawing: advance() until one is free")
        request.settings.check_alphabet(self._program.levels)
        shape = self._net.event_shape(request.fields)
        conditions = {
            name: value.to(self._device)
            for name, value in self._net.conditions(request.fields).items()
        }
        with single_threaded():
            projection = self._net.project(conditions)
        start = Start(
            projection, int(np.prod(shape)), request.seed, request.sample, request.settings
        )
        # The fullest tile first, so that a tile without events costs nothing.
        tiles = sorted(enumerate(self._tiles), key=lambda numbered: -numbered[1].active)
        number, tile, slot = next(
            (number, tile, tile.free_slot) for number, tile in tiles if tile.free_slot is not None
        )
        tile.admit(slot, start)
        self._active[number, slot] = _Active(request, shape)

    @torch.inference_mode()
    def advance(self) -> list[Sample]:
        """Draw a chunk of symbols in every tile; the events that ended with it."""
        samples = []
        with single_threaded():
            for number, tile in enumerate(self._tiles):
                if tile.active:
                    samples += self._advance_tile(number, tile)
        return samples

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Sample]:
        """Draw all requests, in the order in which they end; slots stay full while there are more.

        Raises what `admit` raises; what was admitted before can still be advanced.
        """
        waiting = iter(requests)
        exhausted = False
        while True:
            while self.free and not exhausted:
                request = next(waiting, None)
                if request is None:
                    exhausted = True
                else:
                    self.admit(request)
            if not self.active:
                return
            yield from self.advance()

    def _advance_tile(self, number: int, tile: ReferenceTile) -> list[Sample]:
        period = self._program.period
        chunk = max(CHUNK_STEPS // period * period, period)
        steps = min(tile.steps_to_end, chunk)
        began = time.perf_counter()
        drawn = tile.run(steps)
        share = (time.perf_counter() - began) / (tile.active + len(drawn))
        self.steps += steps
        for (of_tile, _), active in self._active.items():
            if of_tile == number:
                active.seconds += share
        return [_sample(self._active.pop((number, slot)), event) for slot, event in drawn.items()]


def _sample(active: _Active, drawn: Drawn) -> Sample:
    error = None
    symbols = drawn.symbols
    if drawn.bad_position is not None:
        error = f"the logits are not finite at position {drawn.bad_position}"
        symbols = np.zeros(int(np.prod(active.shape)), dtype=np.int16)
    return Sample(
        active.request.key,
        symbols.reshape(active.shape),
        drawn.log_likelihood_nats,
        error,
        active.seconds,
    )
