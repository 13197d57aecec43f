"""Which variables of a kernel hold a register's blocks.

Names are used again as soon as no later op needs what they hold, so that like layers have like
names, and few of a processor's registers are taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from ancestral.models.sampling.fused.blocks import Block
from ancestral.models.sampling.fused.groups import registers
from ancestral.models.sampling.ops import Op, Register

Names = tuple[str, ...]


class Variables:
    """The variables of one group."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self._held: dict[Register, Names] = {}
        self._free: dict[int, list[int]] = {}
        self._made: dict[int, int] = {}
        self._last_use = {
            register: number for number, op in enumerate(ops) for register in registers((op,))
        }

    def held(self, register: Register) -> Names | None:
        """The names of a register's blocks; None before anything is in it."""
        return self._held.get(register)

    def take_over(self, register: Register, other: Register, number: int) -> Names | None:
        """Let a register be held by the names of another one, which no op behind this one uses, so
        that what is passed on from layer to layer keeps its names; None if that is not so."""
        names = self._held.get(other)
        if names is None or self._last_use[other] > number:
            return None
        self.hold(register, names)
        del self._held[other]
        return names

    def new(self, shape: Sequence[Block]) -> Names:
        """Names for blocks that are needed until they are given back."""
        return tuple(self._take(block.lanes) for block in shape)

    def give_back(self, names: Sequence[str]) -> None:
        """Let others use these names."""
        for name in names:
            lanes, number = name.removeprefix("x").split("_")
            heapq.heappush(self._free.setdefault(int(lanes), []), int(number))

    def hold(self, register: Register, names: Names) -> None:
        """Let a register be held by these, and no longer by those that held it."""
        before = self._held.get(register)
        if before is not None and before != names:
            self.give_back(before)
        self._held[register] = names

    def end(self, number: int, kept: Sequence[Register] = ()) -> None:
        """After an op: give back what no later op of the group uses, but for what is `kept`."""
        for register in list(self._held):
            if self._last_use[register] <= number and register not in kept:
                self.give_back(self._held.pop(register))

    def _take(self, lanes: int) -> str:
        free = self._free.setdefault(lanes, [])
        if free:
            return f"x{lanes}_{heapq.heappop(free)}"
        number = self._made.get(lanes, 0)
        self._made[lanes] = number + 1
        return f"x{lanes}_{number}"
