"""Every row is dealt to one rank in each epoch, in blocks that memory holds."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.orchestration.training.deal import Size, Span, deal

SIZES = st.lists(
    st.builds(Size, rows=st.integers(1, 30), bytes=st.integers(0, 300)), min_size=1, max_size=6
)


@settings(max_examples=200)
@given(
    sizes=SIZES,
    seed=st.integers(0, 9),
    epoch=st.integers(0, 9),
    ranks=st.integers(1, 4),
    block_bytes=st.integers(1, 200),
)
def test_ranks_share_an_epoch_between_them(
    sizes: list[Size], seed: int, epoch: int, ranks: int, block_bytes: int
) -> None:
    dealt = [
        deal(sizes, seed=seed, epoch=epoch, rank=rank, ranks=ranks, block_bytes=block_bytes)
        for rank in range(ranks)
    ]

    # Then each row is there once
    rows = Counter(
        (span.group, row)
        for blocks in dealt
        for spans in blocks
        for span in spans
        for row in range(span.start, span.stop)
    )
    everything = {(group, row) for group, size in enumerate(sizes) for row in range(size.rows)}
    assert rows == Counter(dict.fromkeys(everything, 1))
    # And ranks have equally many, to a row
    shares = [sum(map(length, blocks)) for blocks in dealt]
    assert max(shares) - min(shares) <= 1
    # And a block is small, or a single row
    for blocks in dealt:
        for spans in blocks:
            assert length(spans) == 1 or size_of(spans, sizes) <= block_bytes + 1e-6


def test_epochs_and_seeds_differ_and_nothing_else_does() -> None:
    sizes = [Size(20, 200)] * 5

    def blocks(seed: int, epoch: int) -> list[list[Span]]:
        return deal(sizes, seed=seed, epoch=epoch, rank=0, ranks=2, block_bytes=70)

    assert blocks(1, 1) == blocks(1, 1)
    assert blocks(1, 1) != blocks(1, 2)
    assert blocks(1, 1) != blocks(2, 1)


def test_a_single_row_group_is_cut_elsewhere_each_time() -> None:
    # Given a table that somebody wrote as one row group
    first = {
        deal([Size(100, 1000)], seed=0, epoch=epoch, rank=0, ranks=2, block_bytes=200)[0][0].start
        for epoch in range(20)
    }
    assert len(first) > 10


def length(spans: list[Span]) -> int:
    return sum(span.stop - span.start for span in spans)


def size_of(spans: list[Span], sizes: list[Size]) -> float:
    return sum(
        (span.stop - span.start) * max(1.0, sizes[span.group].bytes / sizes[span.group].rows)
        for span in spans
    )
