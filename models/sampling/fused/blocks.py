"""How a kernel holds the floats of a vector: in blocks.

A tensor of a kernel has a power of two of columns, and one that is too wide does not fit a
processor's registers. So a vector lies in blocks of at most 64 floats; each part of a gated vector
has blocks of its own, since the parts go different ways:

    width 140, 2 parts   ┌──────────────┬────────┐┌──────────────┬────────┐
                         │ 64           │ 6 of 16││ 64           │ 6 of 16│
                         └──────────────┴────────┘└──────────────┴────────┘
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Floats of a block at most, and at least: no product of a tensor core is smaller.
WIDEST, NARROWEST = 64, 16


@dataclass(frozen=True)
class Block:
    """Neighbouring floats of a vector: `width` from `start` on, in as many `lanes`."""

    start: int
    width: int
    lanes: int


def blocks(width: int, parts: int) -> tuple[Block, ...]:
    """The blocks of a vector of so many floats in equal parts."""
    part = width // parts
    return tuple(
        Block(first * part + block.start, block.width, block.lanes)
        for first in range(parts)
        for block in _cut(part)
    )


def _cut(width: int) -> Iterator[Block]:
    for start in range(0, width, WIDEST):
        left = min(width - start, WIDEST)
        yield Block(start, left, lanes(left))


def lanes(width: int) -> int:
    """The power of two of columns that so many floats take."""
    return max(NARROWEST, 1 << (width - 1).bit_length())
