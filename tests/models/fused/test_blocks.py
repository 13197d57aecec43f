"""Vectors in blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.sampling.fused.blocks import NARROWEST, WIDEST, Block, blocks


def test_a_gated_vector_has_blocks_for_each_part() -> None:
    assert blocks(140, 2) == (
        Block(0, 64, 64),
        Block(64, 6, 16),
        Block(70, 64, 64),
        Block(134, 6, 16),
    )


@given(part=st.integers(1, 300), parts=st.integers(1, 3))
def test_every_float_lies_in_one_block_of_its_part(part: int, parts: int) -> None:
    found = blocks(part * parts, parts)
    floats = [at for block in found for at in range(block.start, block.start + block.width)]
    assert floats == list(range(part * parts))
    for block in found:
        assert block.start // part == (block.start + block.width - 1) // part
        assert block.width <= block.lanes and NARROWEST <= block.lanes <= WIDEST
        assert block.lanes & (block.lanes - 1) == 0
