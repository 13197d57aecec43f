"""Slots that stand at the same place of a program, and what each of them draws.

A tile knows its slots: who is in them, how far each event has come, what is given and what was
drawn. How a step is computed is left to the executors: `reference.py`, `native/`, `graph/` and
`fused/`.

Shapes: S slots of the tile, K positions of a run, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.autoregressive import Projection
from ancestral.models.errors import ConditionError
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class Memory:
    """What a slot remembers when so many symbols of its event are known: the warm cache, from which
    it can go on in any slot, or any number of samples of one prefix can.

    `grids` are (frames, rows, columns, width), in the order of the program's; what goes round has
    its oldest frame, row and column first.
    """

    symbols: int
    grids: list[Tensor]

    @property
    def bytes(self) -> int:
        """What it takes."""
        return sum(grid.nbytes for grid in self.grids)


@dataclass(frozen=True)
class Start:
    """What a slot needs to draw an event of `length` symbols. Those of `prefix` (n,) are given.

    The aligned conditioning of `projection` is all of it, or its first columns: then `further`
    gives as many columns from any multiple of their number on, (columns, A).
    """

    projection: Projection
    length: int
    seed: int
    sample: int
    settings: Settings
    prefix: Tensor | None = None
    further: Callable[[int], Tensor] | None = None


@dataclass(frozen=True)
class Drawn:
    """A finished event: `symbols` (length,), int32 or float64, and log p(x | c) in nats of those
    that were drawn.

    `bad_position` is the first position whose parameters were not finite; the event is then
    worthless.
    """

    symbols: NDArray[np.generic]
    log_likelihood_nats: float
    bad_position: int | None


@dataclass(frozen=True)
class HalfDrawn:
    """An event on its way: the symbols known so far (n,), int32 or float64, log p in nats of those
    that were drawn, and what the slot remembers."""

    symbols: NDArray[Any]
    log_likelihood_nats: float
    memory: Memory

    def check(self, program: StepProgram, length: int) -> None:
        """Raises ConditionError unless an event of `length` symbols of the program can go on."""
        shapes = [tuple(grid.shape) for grid in self.memory.grids]
        known, levels = len(self.symbols), program.levels
        fits = (
            shapes == [(g.frames, g.rows, g.columns, g.width) for g in program.grids]
            and self.symbols.ndim == 1
            and self.memory.symbols == known
            and 0 < known < length
            and known % (program.period * program.channels) == 0
            and (levels is None or bool(((self.symbols >= 0) & (self.symbols < levels)).all()))
        )
        if not fits:
            raise ConditionError("a saved sample goes on with the request that it began with")


@dataclass
class Slot:
    """An event in a slot. `age` and `length` count positions; `prefix` (positions, C) as far as it
    is `given` (symbols)."""

    start: Start
    prefix: Tensor
    given: int
    length: int
    age: int = 0
    symbols: list[NDArray[np.generic]] = field(default_factory=list)
    bad_position: int | None = None

    @property
    def remaining(self) -> int:
        """Positions until it ends: none when it is worthless."""
        return 0 if self.bad_position is not None else self.length - self.age


class Tile(ABC):
    """A number of slots that run one program in step."""

    def __init__(self, program: StepProgram, slots: int) -> None:
        self.program = program
        self.slots = slots
        self._slots: dict[int, Slot] = {}
        #: Slots without an event, in order.
        self._free = list(range(slots))
        self._clock = 0
        #: Symbols that became known in slots with an event, so far.
        self.symbols = 0
        self._symbol_dtype = program.draws[0].distribution.symbol_dtype

    @property
    def active(self) -> int:
        """Slots with an event in them."""
        return len(self._slots)

    @property
    def occupied(self) -> list[int]:
        """The slots with an event in them."""
        return list(self._slots)

    @property
    def free_slot(self) -> int | None:
        """A slot without an event, if there is one."""
        return self._free[0] if self._free else None

    @property
    def positions_to_end(self) -> int:
        """Positions until the first of the tile's events ends."""
        return min(slot.remaining for slot in self._slots.values())

    @property
    def positions_to_last_end(self) -> int:
        """Positions until the last of the tile's events ends."""
        return max(slot.remaining for slot in self._slots.values())

    def age(self, slot: int) -> int:
        """How many symbols of its event are known in a slot."""
        return self._slots[slot].age * self.program.channels

    def admit(self, slot: int, start: Start, so_far: Memory | HalfDrawn | None = None) -> None:
        """Begin an event in a free slot, or go on with it: from the memory of some of its prefix,
        or from where another slot left it. The tile stands on a period boundary."""
        assert slot not in self._slots and self._clock % self.program.period == 0
        channels = self.program.channels
        prefix, given = _padded_prefix(start.prefix, channels, self._symbol_dtype)
        admitted = Slot(start, prefix, given, start.length // channels)
        memory = so_far.memory if isinstance(so_far, HalfDrawn) else so_far
        if memory is not None:
            admitted.age = memory.symbols // channels
            known = prefix[: admitted.age].numpy().reshape(-1)
            if isinstance(so_far, HalfDrawn):
                known = so_far.symbols
            admitted.symbols.append(self._compact(known.reshape(-1, channels)))
        nats = so_far.log_likelihood_nats if isinstance(so_far, HalfDrawn) else 0.0
        self._set_up(slot, admitted, None if memory is None else memory.grids, nats)
        self._slots[slot] = admitted
        self._free.remove(slot)

    def memory(self, slot: int) -> Memory:
        """What a slot remembers now; the tile stands on a period boundary."""
        assert self._clock % self.program.period == 0
        return Memory(self.age(slot), self._remembered(slot))

    def take_out(self, slot: int) -> HalfDrawn | None:
        """The event of a slot, which is free afterwards, as far as it has come (None: it has not
        begun); the tile stands on a period boundary."""
        taken = self._slots[slot]
        memory = self.memory(slot) if taken.age else None
        self.drop(slot)
        if memory is None:
            return None
        symbols = np.concatenate(taken.symbols).reshape(-1)
        return HalfDrawn(symbols, self._log_likelihood_nats(slot), memory)

    def move(self, slot: int, to: Tile) -> int:
        """Go on with the event of a slot in another tile that has room: in which of its slots. Both
        tiles stand on a period boundary."""
        start, free = self._slots[slot].start, to.free_slot
        assert free is not None
        to.admit(free, start, self.take_out(slot))
        return free

    def drop(self, slot: int) -> None:
        """Forget the event of a slot, which is free afterwards; the tile stands on a period
        boundary."""
        assert self._clock % self.program.period == 0
        del self._slots[slot]
        insort(self._free, slot)

    @abstractmethod
    def _set_up(
        self, slot: int, admitted: Slot, grids: Sequence[Tensor] | None, nats: float
    ) -> None:
        """Make ready what an event needs: conditioning, memory (`Memory.grids`; None: nothing is
        remembered), and the log-likelihood so far."""

    @abstractmethod
    def _remembered(self, slot: int) -> list[Tensor]:
        """The grids of a slot, as `Memory` has them."""

    @abstractmethod
    def _log_likelihood_nats(self, slot: int) -> float:
        """What was summed up for a slot."""

    def _given_symbols(
        self, positions: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
        """Which symbols of the next positions are given, and what they are: (K, C, S) both."""
        channels = self.program.channels
        if not any(slot.age * channels < slot.given for slot in self._slots.values()):
            return None
        given = np.zeros((positions, channels, self.slots))
        is_given = np.zeros(given.shape, dtype=np.bool_)
        order = np.arange(positions * channels).reshape(positions, channels)
        for number, slot in self._slots.items():
            part = slot.prefix[slot.age : slot.age + positions]
            given[: len(part), :, number] = part.numpy()
            is_given[:, :, number] = order < slot.given - slot.age * channels
        return is_given, given

    def _record(self, symbols: NDArray[np.generic], bad: NDArray[np.int64]) -> dict[int, Drawn]:
        """Give each slot its share of symbols (K, C, S), and say what was bad (S,): the first of
        these positions whose parameters were not finite, or −1. The events that ended, by slot.

        What lies past the end of an event is thrown away.
        """
        positions = len(symbols)
        self._clock += positions
        # Turned once for all, unless each slot's share lies in one piece anyhow.
        by_slot = self._compact(np.moveaxis(symbols, 2, 0))
        first_bad, ended, known = bad.tolist(), [], 0
        for number, slot in self._slots.items():
            remaining = slot.remaining
            taken = min(positions, remaining)
            slot.symbols.append(by_slot[number, :taken].copy())
            if 0 <= first_bad[number] < taken:
                slot.bad_position = slot.age + first_bad[number]
            slot.age += taken
            known += taken
            if taken == remaining or slot.bad_position is not None:
                ended.append(number)
        self.symbols += known * self.program.channels
        return {number: self._retire(number) for number in ended}

    def _compact(self, symbols: NDArray[np.generic]) -> NDArray[np.generic]:
        """A copy in one piece: symbols of levels as int32, real numbers as they are."""
        real = self._symbol_dtype == torch.float64
        return symbols.astype(np.float64 if real else np.int32, order="C")

    def _retire(self, number: int) -> Drawn:
        slot = self._slots.pop(number)
        insort(self._free, number)
        symbols = np.concatenate(slot.symbols).reshape(-1)
        return Drawn(symbols, self._log_likelihood_nats(number), slot.bad_position)


def _padded_prefix(prefix: Tensor | None, channels: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """The prefix (positions, C), filled up to a whole position, and how much is given."""
    if prefix is None:
        return torch.zeros(0, channels, dtype=dtype), 0
    given = prefix.to(dtype)
    return F.pad(given, (0, -len(given) % channels)).view(-1, channels), len(given)
