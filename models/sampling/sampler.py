"""Requests in, samples out; slots filled and freed.

    request ──admit──▶ a free slot of a tile ──advance, advance, ...──▶ sample
                              ▲                                           │
                              └──────────── the slot is free again ◀──────┘

A sample is a function of (network, fields, prefix, seed, sample index, settings) alone: not of the
slots, the neighbours or the order of admission.

Samples that begin with the same prefix share its prefill: while the first of them brings its slot's
memory up to the end of the prefix, the others wait; then they all go on from there.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.errors import ConditionError, ConfigError, SlotsFull
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.philox import LARGEST_SEED
from ancestral.models.sampling.prefills import Prefills, prefix_digest
from ancestral.models.sampling.reference import (
    TILE_SLOTS,
    Drawn,
    ReferenceTile,
    Start,
    numerics_class,
    single_threaded,
)

#: Positions between two looks at the slots, at most (an image always ends its row).
CHUNK_POSITIONS = 128


@dataclass(frozen=True)
class SampleRequest:
    """One event to draw. `key` comes back with the sample and means nothing here.

    `seed` lies in [0, 2⁶³), else ConditionError; `sample` tells the samples of one seed apart.
    `prefix` (n,) are the event's first symbols, which are not drawn but given.
    """

    key: Hashable
    fields: Mapping[str, Any]
    seed: int
    sample: int = 0
    settings: Settings = field(default_factory=Settings)
    prefix: Tensor | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ConditionError(f"a seed lies in [0, 2**63), not {self.seed}")


@dataclass(frozen=True)
class Sample:
    """A drawn event.

    `symbols` (int32, or float64 for real numbers) has the event's shape and begins with the prefix;
    `log_likelihood_nats` is log p(x | c) of the `drawn` symbols under the unadjusted network;
    `error` says why the event is worthless, if it is; `seconds` is its share of the sampler's time.
    """

    key: Hashable
    symbols: np.ndarray
    log_likelihood_nats: float
    error: str | None
    seconds: float
    drawn: int


@dataclass
class _Active:
    """A request in a slot, or waiting for the prefill of its prefix (called `digest`)."""

    request: SampleRequest
    shape: tuple[int, ...]
    start: Start
    digest: bytes | None
    seconds: float = 0.0
    prefilling: bool = False


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
        self._waiting: list[_Active] = []
        self._prefills = Prefills()
        self.slots = slots
        self.numerics = numerics_class(self._device, dtype)
        #: Positions advanced so far, over all tiles: it stands still when the sampler hangs.
        self.steps = 0

    @property
    def active(self) -> int:
        """Events being drawn."""
        return len(self._active) + len(self._waiting)

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
        length = math.prod(shape)
        prefix = self._net.prefix(request.fields) if request.prefix is None else request.prefix
        self._check_prefix(prefix, length)
        conditions = {
            name: value.to(self._device)
            for name, value in self._net.conditions(request.fields).items()
        }
        with single_threaded():
            projection = self._net.project(conditions)
        start = Start(projection, length, request.seed, request.sample, request.settings, prefix)
        digest = None
        if prefix is not None and self._prefill_symbols(len(prefix)):
            digest = prefix_digest(projection, prefix)
        active = _Active(request, shape, start, digest)
        if any(other.prefilling and other.digest == digest for other in self._active.values()):
            self._waiting.append(active)
        else:
            self._place(active)

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

    def _check_prefix(self, prefix: Tensor | None, length: int) -> None:
        if prefix is None:
            return
        levels = self._program.levels
        if prefix.ndim != 1 or len(prefix) >= length:
            raise ConditionError(
                f"a prefix of {tuple(prefix.shape)} leaves nothing to draw of {length} symbols"
            )
        if levels is not None and len(prefix) and not 0 <= prefix.min() <= prefix.max() < levels:
            raise ConditionError(f"a prefix holds symbols that are not among {levels} levels")

    def _prefill_symbols(self, prefix: int) -> int:
        """How much of a prefix can be prefilled: whole periods."""
        period = self._program.period * self._program.channels
        return prefix // period * period

    def _place(self, active: _Active) -> None:
        """Put an event in a slot; with its prefill, if that is known."""
        if active.digest is not None:
            prefill = self._prefills.get(active.digest)
            active.prefilling = prefill is None
            active.start = replace(active.start, prefill=prefill)
        # The fullest tile first, so that a tile without events costs nothing.
        tiles = sorted(enumerate(self._tiles), key=lambda numbered: -numbered[1].active)
        number, tile, slot = next(
            (number, tile, tile.free_slot) for number, tile in tiles if tile.free_slot is not None
        )
        tile.admit(slot, active.start)
        self._active[number, slot] = active

    def _advance_tile(self, number: int, tile: ReferenceTile) -> list[Sample]:
        period = self._program.period
        chunk = max(CHUNK_POSITIONS // period * period, period)
        positions = min(tile.positions_to_end, chunk, self._positions_to_prefill(number))
        began = time.perf_counter()
        drawn = tile.run(positions)
        share = (time.perf_counter() - began) / (tile.active + len(drawn))
        self.steps += positions
        for (of_tile, _), active in self._active.items():
            if of_tile == number:
                active.seconds += share
        ended = [_sample(self._active.pop((number, slot)), event) for slot, event in drawn.items()]
        self._keep_prefills(number)
        return ended

    def _positions_to_prefill(self, number: int) -> int:
        """Positions until the first prefill of a tile is complete."""
        symbols = [
            self._prefill_symbols(len(active.start.prefix)) - self._tiles[number].age(slot)
            for (of_tile, slot), active in self._active.items()
            if of_tile == number and active.prefilling and active.start.prefix is not None
        ]
        return min(symbols, default=sys.maxsize) // self._program.channels

    def _keep_prefills(self, number: int) -> None:
        """Remember the prefills that are complete, and go on with those who waited for them."""
        for (of_tile, slot), active in list(self._active.items()):
            prefix, tile = active.start.prefix, self._tiles[number]
            if of_tile != number or not active.prefilling or prefix is None:
                continue
            if tile.age(slot) == self._prefill_symbols(len(prefix)):
                assert active.digest is not None
                active.prefilling = False
                self._prefills.keep(active.digest, tile.prefill(slot))
        prefilling = {active.digest for active in self._active.values() if active.prefilling}
        ready = [active for active in self._waiting if active.digest not in prefilling]
        self._waiting = [active for active in self._waiting if active.digest in prefilling]
        for active in ready:
            self._place(active)


def _sample(active: _Active, drawn: Drawn) -> Sample:
    error = None
    symbols = drawn.symbols
    prefix = active.start.prefix
    if drawn.bad_position is not None:
        error = f"the logits are not finite at position {drawn.bad_position}"
        symbols = np.zeros(math.prod(active.shape), dtype=symbols.dtype)
    return Sample(
        active.request.key,
        symbols.reshape(active.shape),
        drawn.log_likelihood_nats,
        error,
        active.seconds,
        math.prod(active.shape) - (0 if prefix is None else len(prefix)),
    )
