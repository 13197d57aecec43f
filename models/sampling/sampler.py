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
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ancestral.models.autoregressive import Autoregressive, Projection
from ancestral.models.errors import ConditionError, ConfigError, SlotsFull
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.executors import ExecutorName, executor_for
from ancestral.models.sampling.native.library import Library
from ancestral.models.sampling.requests import Asked, Requests
from ancestral.models.sampling.samples import Sample, SampleRequest, SavedSample
from ancestral.models.sampling.tile import Drawn, HalfDrawn, Memory, Tile
from ancestral.models.sampling.tiles import Tiles, TileSlot
from ancestral.models.sampling.torch_state import device_of, full_precision
from ancestral.models.sampling.warm import WarmCache, WarmCounters, digest_of


@dataclass
class _Active:
    """An event in a slot, or waiting for the prefill of its prefix."""

    asked: Asked
    seconds: float = 0.0
    prefilling: bool = False


class Sampler:
    """One network on one device, with a fixed number of slots.

    sampler = Sampler(load_bundle(folder).net, slots=64)
    for sample in sampler.sample(SampleRequest(i, {"label": 7}, seed=i) for i in range(100)):
        ...
    """

    @full_precision()
    def __init__(
        self,
        net: Autoregressive,
        *,
        slots: int = 64,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        executor: ExecutorName | Library = "auto",
        threads: int = 1,
    ) -> None:
        """`executor` says who runs the steps: native (or one of its builds), reference, graph,
        fused, fused-few, or what `executor_for` takes for the device and the dtype; `threads` of a
        processor share the slots.

        Raises ConfigError for what cannot be run here.
        """
        if slots < 1:
            raise ConfigError(f"a sampler needs at least one slot, not {slots}")
        if threads < 1:
            raise ConfigError(f"a sampler needs at least one thread, not {threads}")
        self._device = device_of(device)
        # A copy, so that the caller's network keeps its own device, dtype and training mode.
        computed = torch.float32 if dtype == torch.bfloat16 else dtype
        self._net = copy.deepcopy(net).to(self._device, computed).eval()
        self._program = self._net.program()
        self._executor: Executor = executor_for(
            executor, self._program, slots=slots, device=self._device, dtype=dtype, threads=threads
        )
        self._tiles = Tiles(self._executor)
        self._active: dict[TileSlot, _Active] = {}
        self._waiting: list[_Active] = []
        #: Prefixes that a slot is taking in, by digest.
        self._prefilling: set[bytes] = set()
        #: Projected conditioning and the memories of prefixes, by digest.
        self._warm = WarmCache[Projection | Memory]()
        self._requests = Requests(self._net, self._program, self._device, self._warm)
        #: Whether a call that changes slots began and did not come to its end.
        self._interrupted = False
        self.slots = slots
        self.numerics = self._executor.numerics
        #: Positions advanced so far, over all tiles: it stands still when the sampler hangs.
        self.steps = 0
        #: Symbols that became known in slots with an event, and those of all slots in their tiles.
        self.symbols = 0
        self.slot_symbols = 0
        #: Events that began in a slot, and their symbols that were not known then.
        self.events_begun = 0
        self.symbols_begun = 0

    @property
    def warm(self) -> WarmCounters:
        """How often projected conditioning and prefixes were found, and what they take."""
        return self._warm.counters

    def forget(self) -> None:
        """Let go what is kept of conditioning and prefixes: who asks for it next begins anew."""
        self._warm.clear()

    @property
    def active(self) -> int:
        """Events being drawn."""
        return len(self._active) + len(self._waiting)

    @property
    def free(self) -> int:
        """Events that can be admitted now."""
        return self.slots - self.active

    @torch.inference_mode()
    def admit(self, request: SampleRequest) -> int:
        """Begin drawing an event; how many `steps` pass at most until it has ended.

        Raises SlotsFull when no slot is free, ConditionError when the request does not fit the
        network, and ConfigError as `advance` does.
        """
        self._check_whole()
        self._check_free()
        active = _Active(self._requests.ask(request))
        with self._changing():
            if self._awaits(active):
                self._waiting.append(active)
            else:
                self._begin(active, self._prefilled(active))
        return self._longest(active.asked.start.length // self._program.channels)

    @torch.inference_mode()
    @full_precision()
    def advance(self) -> list[Sample]:
        """Draw a chunk of symbols in every tile; the events that ended with it.

        Raises ConfigError if an earlier call was interrupted: what its slots remember is then ahead
        of what is known of them.
        """
        with self._changing():
            return self._advance()

    def _advance(self) -> list[Sample]:
        for old, new in self._tiles.move_together():
            self._active[new] = self._active.pop(old)
        if not (busy := self._tiles.busy):
            return []
        groups = [(tiles, self._positions(tiles)) for tiles in self._executor.groups(busy)]
        known = {tile: tile.symbols for tile in busy}
        began = time.perf_counter()
        ended = self._executor.run(groups)
        self._tiles.choose_anew()
        share = (time.perf_counter() - began) / len(self._active)
        for active in self._active.values():
            active.seconds += share
        samples = []
        for (tiles, positions), of_tiles in zip(groups, ended, strict=True):
            for tile, drawn in zip(tiles, of_tiles, strict=True):
                self._count(tile, positions, tile.symbols - known[tile])
                for slot, event in drawn.items():
                    active = self._active.pop((tile, slot))
                    self._end_prefill(active)
                    samples.append(_sample(active, event))
        self._keep_prefills()
        return samples

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Sample]:
        """Draw all requests, in the order in which they end; slots stay full while there are more.

        Raises what `admit` raises; when a request is refused, what was admitted before can still be
        advanced.
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

    @torch.inference_mode()
    def save(self, key: Hashable) -> SavedSample:
        """Take an event out of its slot, to go on with it here or elsewhere (`restore`).

        Raises ConditionError when no event has that key, and ConfigError as `advance` does.
        """
        self._check_whole()
        active, place = self._find(key)
        with self._changing():
            self._remove(active, place)
            so_far = None if place is None else place[0].take_out(place[1])
            self._begin_waiting()
        return SavedSample(active.asked.request, so_far, self._drawn_by, active.seconds)

    @torch.inference_mode()
    def drop(self, key: Hashable) -> None:
        """Draw an event no further; its slot is free, and its neighbours go on as they would have.

        Raises ConditionError when no event has that key, and ConfigError as `advance` does.
        """
        self._check_whole()
        active, place = self._find(key)
        with self._changing():
            self._remove(active, place)
            if place is not None:
                place[0].drop(place[1])
            self._begin_waiting()

    @torch.inference_mode()
    def restore(self, saved: SavedSample) -> None:
        """Go on with a saved event of the same network; it ends as if it had never moved.

        Raises SlotsFull, ConditionError when it is of another network or numerics, and ConfigError
        as `advance` does.
        """
        self._check_whole()
        if saved.drawn_by != self._drawn_by:
            raise ConditionError(
                "a saved sample goes on with the network and the numerics that it began with: "
                f"{saved.drawn_by}, not {self._drawn_by}"
            )
        if saved.so_far is None:
            self.admit(saved.request)
            return
        self._check_free()
        asked = self._requests.ask(saved.request)
        saved.so_far.check(self._program, asked.start.length)
        with self._changing():
            self._begin(_Active(asked, saved.seconds), saved.so_far)

    @cached_property
    def _drawn_by(self) -> str:
        """The network, by the digest of its weights, and the numerics."""
        return f"{digest_of(self._net.state_dict()).hex()[:16]} {self.numerics}"

    def _find(self, key: Hashable) -> tuple[_Active, TileSlot | None]:
        """The event of that key, and the slot that it is in, if it is in one."""
        for active in self._waiting:
            if active.asked.request.key == key:
                return active, None
        for place, active in self._active.items():
            if active.asked.request.key == key:
                return active, place
        raise ConditionError(f"no event of key {key!r} is being drawn")

    def _remove(self, active: _Active, place: TileSlot | None) -> None:
        """Draw an event no more, which is still in its slot. Who waits for its prefill can begin
        then."""
        if place is None:
            self._waiting.remove(active)
            return
        del self._active[place]
        self._tiles.choose_anew()
        self._end_prefill(active)

    def _longest(self, positions: int) -> int:
        """Steps in which an event of so many positions has ended, whatever its neighbours are.

        With each `advance` its tile goes on by a period at least, and every tile by a chunk at
        most; before, another event of its prefix may have to take that in.
        """
        advances = 2 * math.ceil(positions / self._program.period) + 1
        tiles = math.ceil(self.slots / self._tiles.slots_of_each)
        return advances * tiles * self._chunk

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Until its end, what slots hold and what is known of them may differ."""
        self._check_whole()
        self._interrupted = True
        yield
        self._interrupted = False

    def _check_whole(self) -> None:
        if self._interrupted:
            raise ConfigError("this sampler was interrupted in the middle of a call: make another")

    def _check_free(self) -> None:
        if not self.free:
            raise SlotsFull(f"all {self.slots} slots are drawing: advance() until one is free")

    def _awaits(self, active: _Active) -> bool:
        """Whether another slot is taking in the prefix of an event."""
        return active.asked.digest in self._prefilling

    def _prefilled(self, active: _Active) -> Memory | None:
        """What an event's prefix leaves, if it is known or can be taken in at once; else its slot
        takes it in, and others wait for it."""
        asked = active.asked
        if asked.digest is None:
            return None
        memory = self._warm.get(asked.digest)
        if memory is None:
            memory = self._executor.prefilled(asked.start, asked.prefilled)
            if memory is not None:
                self._warm.keep(asked.digest, memory, memory.bytes)
        if memory is None:
            active.prefilling = True
            self._prefilling.add(asked.digest)
        assert not isinstance(memory, Projection)
        return memory

    def _end_prefill(self, active: _Active) -> None:
        """Nobody needs to wait for what an event takes in."""
        if active.prefilling:
            assert active.asked.digest is not None
            active.prefilling = False
            self._prefilling.remove(active.asked.digest)

    def _begin(self, active: _Active, known: HalfDrawn | Memory | None) -> None:
        """Put an event in a slot, to go on from what is known of it."""
        memory = known.memory if isinstance(known, HalfDrawn) else known
        self.events_begun += 1
        self.symbols_begun += active.asked.start.length - (0 if memory is None else memory.symbols)
        self._active[self._tiles.admit(active.asked.start, known)] = active

    def _positions(self, tiles: Sequence[Tile]) -> int:
        """How far tiles can go on together: to an event's end, or to a prefix's."""
        if self._executor.outlasts_ends:
            to_end = max(tile.positions_to_last_end for tile in tiles)
        else:
            to_end = min(tile.positions_to_end for tile in tiles)
        return min(to_end, self._chunk, self._positions_to_prefill(tiles))

    @property
    def _chunk(self) -> int:
        """Positions of one `advance` at most."""
        return self._program.whole_periods(self._executor.chunk_positions)

    def _positions_to_prefill(self, tiles: Sequence[Tile]) -> int:
        """Positions until the first prefill of these tiles is complete."""
        if not self._prefilling:
            return sys.maxsize
        symbols = [
            active.asked.prefilled - tile.age(slot)
            for (tile, slot), active in self._active.items()
            if active.prefilling and tile in tiles
        ]
        return min(symbols, default=sys.maxsize) // self._program.channels

    def _keep_prefills(self) -> None:
        """Remember the prefills that are complete, and go on with those who waited for them."""
        for (tile, slot), active in self._active.items() if self._prefilling else ():
            digest = active.asked.digest
            if digest and active.prefilling and tile.age(slot) == active.asked.prefilled:
                self._end_prefill(active)
                memory = tile.memory(slot)
                self._warm.keep(digest, memory, memory.bytes)
        self._begin_waiting()

    def _begin_waiting(self) -> None:
        """Begin the events whose prefix no slot is taking in any more."""
        waiting, self._waiting = self._waiting, []
        for active in waiting:
            if self._awaits(active):
                self._waiting.append(active)
            else:
                self._begin(active, self._prefilled(active))

    def _count(self, tile: Tile, positions: int, symbols: int) -> None:
        self.steps += positions
        self.symbols += symbols
        self.slot_symbols += positions * self._program.channels * tile.slots


def _sample(active: _Active, drawn: Drawn) -> Sample:
    error = None
    symbols, shape, prefix = drawn.symbols, active.asked.shape, active.asked.start.prefix
    if drawn.bad_position is not None:
        error = f"the logits are not finite at position {drawn.bad_position}"
        symbols = np.zeros(math.prod(shape), dtype=symbols.dtype)
    return Sample(
        active.asked.request.key,
        symbols.reshape(shape),
        drawn.log_likelihood_nats,
        error,
        active.seconds,
        math.prod(shape) - (0 if prefix is None else len(prefix)),
    )
