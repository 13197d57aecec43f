"""The least time that a step can take on a device: counted from the program, with ceilings that
were measured in the same run.

    arithmetic   two FLOPs for each weight and slot, none twice, at the rate of a large product
    weights      every tile of slots reads all weights once a step, or once a row in a sweep
    slots        what each slot reads and writes of its own: grids and conditioning

What launches take is left out, also of those in a CUDA graph.

A step of so many slots takes as long as the largest of the three, at least. Tiles that are fewer
than the device's processors leave some of these idle, as a tile stays on one: then arithmetic and
weights have the share of those that work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Ceilings:
    """What a device could give. `processors` are those that tiles stay on; `cache_bytes` are of the
    second level."""

    bfloat16_flops_per_second: float
    float32_flops_per_second: float
    memory_bytes_per_second: float
    weights_bytes_per_second: float
    weights_bytes_per_second_of_one: float
    processors: int
    cache_bytes: int

    def flops_per_second(self, dtype: str) -> float:
        """Of all processors together."""
        return {
            "bfloat16": self.bfloat16_flops_per_second,
            "float32": self.float32_flops_per_second,
        }[dtype]


@dataclass(frozen=True)
class Work:
    """What a step of a program asks for, in a dtype, in tiles of so many slots.

    `weight_bytes` are read by each tile; `slot_bytes` are read and written by each slot, in grids
    of `kept_bytes` and in its conditioning. `spread`: a tile is not bound to one processor.
    """

    dtype: str
    tile_slots: int
    spread: bool
    multiply_adds: float
    weight_bytes: float
    slot_bytes: float
    kept_bytes: float

    def floor(self, ceilings: Ceilings, slots: int) -> Floor:
        """Seconds of a step of so many slots, at least."""
        tiles = math.ceil(slots / self.tile_slots)
        working = ceilings.processors
        weights_rate = ceilings.weights_bytes_per_second
        if not self.spread:
            working = min(tiles, working)
            weights_rate = min(weights_rate, tiles * ceilings.weights_bytes_per_second_of_one)
        flops_rate = ceilings.flops_per_second(self.dtype) * working / ceilings.processors
        # What all slots keep may fit the cache.
        cached = slots * self.kept_bytes <= ceilings.cache_bytes
        slots_rate = ceilings.weights_bytes_per_second if cached else None
        return Floor(
            arithmetic_seconds=2 * self.multiply_adds * slots / flops_rate,
            weights_seconds=self.weight_bytes * tiles / weights_rate,
            slots_seconds=self.slot_bytes
            * slots
            / (slots_rate or ceilings.memory_bytes_per_second),
        )


@dataclass(frozen=True)
class Floor:
    """The three terms of a step."""

    arithmetic_seconds: float
    weights_seconds: float
    slots_seconds: float

    @property
    def seconds(self) -> float:
        """The largest of them."""
        return max(self.arithmetic_seconds, self.weights_seconds, self.slots_seconds)

    @property
    def limit(self) -> str:
        """Which it is."""
        terms = asdict(self)
        return max(terms, key=lambda name: terms[name]).removesuffix("_seconds")


def with_floor(row: Mapping[str, Any], ceilings: Ceilings) -> dict[str, Any]:
    """A row of a rate, with the floor of its work, and the share of it that was reached.

    Processes that share a device take turns on it, so that a step has the slots of one of them.
    """
    slots = row["slots"] // row["processes"]
    floor = Work(**row["work"]).floor(ceilings, slots)
    per_second = slots / floor.seconds / row["positions_per_unit"]
    return {
        **row,
        "floor": asdict(floor),
        "floor_limit": floor.limit,
        "floor_per_second": per_second,
        "share_of_floor": row["per_second"] / per_second,
    }
