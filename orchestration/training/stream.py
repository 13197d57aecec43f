"""What a rank learns from, in a stream: rows are read, decoded and prepared as they are visited.

    row groups ──► blocks (deal.py) ──► arrays ──► augmented ──► items ──► visits (models.visits)
                   │ the next one is read                        │ kept, while there is room
                   └ while one is visited                        └ and nothing is augmented

Memory holds two blocks at most, or the one that is a whole small table, and ITEM_BYTES of items for
each of them, however large the table is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from ancestral.models import Autoregressive, Item
from ancestral.models.ahead import ahead
from ancestral.models.augmentation import Augmentation, augment
from ancestral.models.visits import Block
from ancestral.orchestration.training.deal import Span, deal
from ancestral.orchestration.training.examples import Events, Example
from ancestral.orchestration.training.rows import all_spans

#: A table of at most so many bytes, as Parquet counts them before they are packed, is decoded once,
#: kept, and shuffled whole; of a larger one, blocks of that size are. Decoded, FLAC is two or three
#: times as large, and bits eight times.
BLOCK_BYTES = 32 * 2**20

#: Items that are kept of a block. A pixel takes 12 bytes as an item, and one as an array.
ITEM_BYTES = 256 * 2**20


class Stream:
    """The blocks of one rank, for a training of that seed. `net` makes the items."""

    def __init__(
        self,
        events: Events,
        net: Autoregressive,
        *,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        augmentation: Augmentation | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._events, self._net = events, net
        self._seed, self._rank, self._ranks = seed, rank, ranks
        self._augmentation = augmentation
        self._block_bytes = block_bytes

    @property
    def is_whole(self) -> bool:
        """Whether all events are one block."""
        return sum(size.bytes for size in self._events.sizes) <= self._block_bytes

    def blocks(self, epoch: int, first: int) -> Iterator[Block]:
        """Those of an epoch, from that number on.

        Raises DataError, which names the row, when an event cannot be learnt from.
        """
        if self.is_whole:
            return iter([self._whole][first:])
        dealt = deal(
            self._events.sizes,
            seed=self._seed,
            epoch=epoch,
            rank=self._rank,
            ranks=self._ranks,
            block_bytes=self._block_bytes,
        )
        return ahead((self._block(spans) for spans in dealt[first:]), depth=1)

    @cached_property
    def _whole(self) -> Block:
        return self._block(all_spans(self._events.sizes), self._rank, self._ranks)

    def _block(self, spans: Sequence[Span], rank: int = 0, ranks: int = 1) -> Block:
        rows, examples = [], []
        for row, example in self._events.read(spans):
            rows.append(row)
            examples.append(example)
        lengths = [len(example.array) for example in examples]
        kept: dict[int, Item] = {}
        room = ITEM_BYTES

        def item(index: int, epoch: int) -> Item:
            nonlocal room
            if index in kept:
                return kept[index]
            made = self._item(rows[index], examples[index], epoch)
            if self._augmentation is None and made.bytes <= room:
                kept[index] = made
                room -= made.bytes
            return made

        return Block(rows, lengths, item, rank, ranks)

    def _item(self, row: int, example: Example, epoch: int) -> Item:
        if self._augmentation is not None:
            generator = np.random.default_rng([self._seed, epoch, row])
            array = augment(example.array, self._augmentation, generator)
            example = replace(example, array=array)
        return self._events.item(self._net, row, example)
