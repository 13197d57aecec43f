"""Which rows a rank reads in an epoch, and in which blocks: arithmetic, without a look at a row.

A table that one block holds is every rank's whole: they shuffle it alike, and take turns.

A larger one is dealt out. Its row groups, in an order of the epoch, make a circle, which begins
anywhere and is cut into one stretch for each rank, and each stretch into blocks:

    groups    ├── 4 ──┼─ 0 ─┼──── 2 ────┼─ 3 ─┼── 1 ──┤
    begins         ▲
    ranks       ·──┘└───── 0 ─────┘└────── 1 ──────┘└─·        the last rank goes on in front
    blocks           └─┴──┴──┴──┘

So each row is read by one rank in an epoch, and a row group by hardly more than one; rows are mixed
within a block, blocks and what they hold differ from epoch to epoch. Where neighbours in the table
are alike (all images of one label), and a row group is larger than a block, that is not enough:
such a table should be shuffled when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Size:
    """Of the rows of a split in a row group."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Span:
    """Rows `start` to before `stop` of those of a split in a row group."""

    group: int
    start: int
    stop: int


def deal(
    sizes: Sequence[Size], *, seed: int, epoch: int, rank: int, ranks: int, block_bytes: int
) -> list[list[Span]]:
    """The blocks of a rank, of at most `block_bytes` each or one row, for tables that more than one
    block is needed for."""
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(sizes))
    rows = sum(size.rows for size in sizes)
    begins = int(generator.integers(rows))
    first, last = begins + rows * rank // ranks, begins + rows * (rank + 1) // ranks
    circle = [Span(int(group), 0, sizes[group].rows) for group in order]
    stretch = [*between(circle, first, last), *between(circle, first - rows, last - rows)]
    return list(_blocks(stretch, sizes, block_bytes))


def between(line: Sequence[Span], first: int, last: int) -> Iterator[Span]:
    """Rows `first` to before `last` of spans that lie end to end."""
    passed = 0
    for span in line:
        start, stop = max(first - passed, 0), min(last - passed, span.stop)
        if start < stop:
            yield Span(span.group, start, stop)
        passed += span.stop


def _blocks(
    stretch: Sequence[Span], sizes: Sequence[Size], block_bytes: int
) -> Iterator[list[Span]]:
    block: list[Span] = []
    room = float(block_bytes)
    for span in stretch:
        row_bytes = max(1.0, sizes[span.group].bytes / sizes[span.group].rows)
        start = span.start
        while start < span.stop:
            taken = min(span.stop - start, int(room / row_bytes))
            if taken <= 0 and block:
                yield block
                block, room = [], float(block_bytes)
                continue
            taken = max(1, taken)
            block.append(Span(span.group, start, start + taken))
            start += taken
            room -= taken * row_bytes
    if block:
        yield block
