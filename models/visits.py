"""In which order events are visited in training: shuffled, shared by ranks, resumed at any place.

    epoch    ┌─ block 0 ────────┐┌─ block 1 ──────┐     events of one block are shuffled together
             │ 3.1 0 2 3.0 1 4  ││ 6.1 7 6.0 5    │     3.1: the second piece of event 3
                        ▲
                        Place(epoch, block=0, taken=3)

A piece is all that the network sees of a sound or series then: it knows nothing of what is before.
What is random in a visit is drawn from the seed, the epoch, the row and the piece. So a visit is
the same whatever came before it, and a training that goes on from a place sees what it would have
seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ancestral.models.data import Batch, Item, collate
from ancestral.models.errors import DataError


@dataclass(frozen=True)
class Place:
    """How far a rank has come: visits taken of a block of an epoch."""

    epoch: int = 0
    block: int = 0
    taken: int = 0


@dataclass(frozen=True)
class Block:
    """Events that are shuffled together, and which of the visits are this rank's turns.

    rows      what each event is known by in the whole table, whatever block it is in
    lengths   how long each is: samples of a sound or series; anything where events are not cut
    item      makes the item of an event, given its index in the block and the epoch
    """

    rows: Sequence[int]
    lengths: Sequence[int]
    item: Callable[[int, int], Item]
    rank: int = 0
    ranks: int = 1

    def visits(self, crop_samples: int | None, generator: np.random.Generator) -> NDArray[np.int64]:
        """(V, 2): the index of an event and the number of its piece, in the order of visiting."""
        pieces = np.ones(len(self.lengths), np.int64)
        if crop_samples is not None:
            pieces = np.maximum(1, -(-np.asarray(self.lengths, np.int64) // crop_samples))
        index = np.repeat(np.arange(len(pieces)), pieces)
        piece = np.arange(len(index)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        turns = generator.permutation(len(index))[self.rank :: self.ranks]
        return np.stack([index, piece], axis=1)[turns]


#: The blocks of an epoch, from that number on.
Blocks = Callable[[int, int], Iterator[Block]]


def visits(
    blocks: Blocks, *, seed: int, crop_samples: int | None = None, place: Place | None = None
) -> Iterator[tuple[Item, Place]]:
    """Items without end from `place` on, each with the place behind it.

    With `crop_samples` a sound or series is visited in pieces of at most that many samples (and at
    least one column, where it has aligned features), once for each that fits, from a place drawn
    anew; many begin or end with the event. Raises DataError when an epoch has nothing to visit.
    """
    begin = place or Place()
    for epoch in count(begin.epoch):
        empty = begin.block == begin.taken == 0
        for number, block in enumerate(blocks(epoch, begin.block), begin.block):
            generator = np.random.default_rng([seed, epoch, number])
            order = block.visits(crop_samples, generator)
            for taken in range(begin.taken, len(order)):
                index, piece = map(int, order[taken])
                empty = False
                item = block.item(index, epoch)
                if crop_samples is not None:
                    key = [seed, epoch, block.rows[index], piece]
                    item = _piece(item, crop_samples, np.random.default_rng(key))
                yield item, Place(epoch, number, taken + 1)
            begin = Place(epoch, number + 1)
        if empty:
            raise DataError("there is nothing to learn from")
        begin = Place(epoch + 1)


def batches(
    visited: Iterator[tuple[Item, Place]], batch_size: int
) -> Iterator[tuple[Batch, Place]]:
    """So many items at a time, with the place behind the last of them."""
    waiting: list[Item] = []
    for item, place in visited:
        waiting.append(item)
        if len(waiting) == batch_size:
            yield collate(waiting), place
            waiting = []


def shuffled_batches(
    items: Sequence[Item],
    batch_size: int,
    *,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    crop_samples: int | None = None,
) -> Iterator[Batch]:
    """Batches of items that are all there, without end: a function of the arguments alone.

    Every pass visits all items in a new order, each rank its own share; what `crop_samples` does is
    said in `visits`. Raises DataError when there are fewer items than ranks, or when events with
    rows and columns should be cut.
    """
    if len(items) < world_size:
        raise DataError(f"{len(items)} training rows cannot be shared by {world_size} ranks")
    if crop_samples is not None and items[0].x.ndim != 1:
        raise DataError("only sounds and series can be cut into pieces of samples")
    lengths = [len(item.x) for item in items]
    block = Block(range(len(items)), lengths, lambda index, _: items[index], rank, world_size)

    def whole(epoch: int, first: int) -> Iterator[Block]:
        return iter([block][first:])

    visited = visits(whole, seed=seed, crop_samples=crop_samples)
    return (batch for batch, _ in batches(visited, batch_size))


def _piece(item: Item, crop_samples: int, generator: np.random.Generator) -> Item:
    hop, length = item.hop, len(item.x)
    if length <= crop_samples:
        return item
    columns, wide = length // hop, max(1, crop_samples // hop)
    # Pieces that hang over an end are moved inside, or what is there would hardly be seen.
    start = min(max(int(generator.integers(1 - wide, columns)), 0), columns - wide)
    return item.piece(start * hop, wide * hop)
