"""A stream of visits goes on from any place as if it had never been left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.data import Item
from ancestral.models.errors import DataError
from ancestral.models.visits import Block, Blocks, Place, batches, visits


def sound(row: int, length: int) -> Item:
    """Samples that tell their row and their place."""
    return Item(1000 * row + torch.arange(length), torch.ones(length), {})


def blocks_of(*blocks: Sequence[int], rank: int = 0, ranks: int = 1) -> Blocks:
    """The same blocks in every epoch, each given by the lengths of its sounds."""
    firsts = np.cumsum([0, *map(len, blocks)]).tolist()

    def made(epoch: int, first: int) -> Iterator[Block]:
        for number in range(first, len(blocks)):
            lengths = blocks[number]
            rows = range(firsts[number], firsts[number] + len(lengths))
            items = [sound(row, length) for row, length in zip(rows, lengths, strict=True)]
            yield Block(rows, lengths, lambda index, _, items=items: items[index], rank, ranks)  # type: ignore[misc]

    return made


def seen(visited: Iterator[tuple[Item, Place]], count: int) -> list[list[int]]:
    return [item.x.tolist() for item, _ in islice(visited, count)]


LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@settings(max_examples=60)
@given(
    blocks=st.lists(LENGTHS, min_size=1, max_size=4),
    left_at=st.integers(0, 60),
    crop=st.none() | st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_what_was_left_anywhere_goes_on_as_it_would_have(
    blocks: list[list[int]], left_at: int, crop: int | None, seed: int
) -> None:
    def stream(place: Place | None = None) -> Iterator[tuple[Item, Place]]:
        return visits(blocks_of(*blocks), seed=seed, crop_samples=crop, place=place)

    undisturbed = seen(stream(), left_at + 20)
    places = [Place(), *(place for _, place in islice(stream(), left_at))]

    assert seen(stream(places[left_at]), 20) == undisturbed[left_at:]


def test_an_epoch_goes_through_the_blocks_in_their_order() -> None:
    order = [item.x[0].item() // 1000 for item, _ in islice(visits(pairs(), seed=4), 40)]

    for epoch in range(10):
        first, second = order[4 * epoch : 4 * epoch + 2], order[4 * epoch + 2 : 4 * epoch + 4]
        assert (sorted(first), sorted(second)) == ([0, 1], [2, 3])
    assert len({tuple(order[start : start + 4]) for start in range(0, 40, 4)}) > 1


def pairs() -> Blocks:
    return blocks_of([1, 1], [1, 1])


def test_places_are_known_by_what_was_taken() -> None:
    places = [place for _, place in islice(visits(pairs(), seed=0), 5)]

    assert places == [
        Place(0, 0, 1),
        Place(0, 0, 2),
        Place(0, 1, 1),
        Place(0, 1, 2),
        Place(1, 0, 1),
    ]


def test_blocks_before_the_place_are_not_made() -> None:
    asked: list[tuple[int, int]] = []

    def noted(epoch: int, first: int) -> Iterator[Block]:
        asked.append((epoch, first))
        return pairs()(epoch, first)

    list(islice(visits(noted, seed=0, place=Place(3, 1, 1)), 3))

    assert asked == [(3, 1), (4, 0)]


def test_ranks_take_turns_in_a_block_that_all_have() -> None:
    halves = [
        seen(visits(blocks_of([2, 7, 4], rank=rank, ranks=2), seed=1, crop_samples=2), 4)
        for rank in range(2)
    ]

    # Given 1, 4 and 2 pieces of the three sounds, the first eight visits are these and one more
    rows = Counter(piece[0] // 1000 for half in halves for piece in half)
    assert sum(rows.values()) == 8
    assert all(rows[row] >= count for row, count in enumerate((1, 4, 2)))


def test_pieces_are_cut_alike_whatever_block_a_row_is_in() -> None:
    def pieces(blocks: Blocks) -> list[tuple[int, ...]]:
        found = [tuple(piece) for piece in seen(visits(blocks, seed=5, crop_samples=3), 8)]
        return sorted(found)

    assert pieces(blocks_of([12, 12])) == pieces(blocks_of([12], [12]))


def test_a_batch_has_the_place_behind_its_last_item() -> None:
    batch, place = next(batches(visits(pairs(), seed=0), 3))

    assert (len(batch.x), place) == (3, Place(0, 1, 1))


def test_an_epoch_of_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to learn from"):
        next(visits(lambda epoch, first: iter(()), seed=0))
