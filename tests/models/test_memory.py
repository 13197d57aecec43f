"""The padded layout, and the promise that makes a slot's bits its own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.sampling.memory import LANE_FLOATS, padded_places, padded_width
from ancestral.models.sampling.reference import TILE_SLOTS, single_threaded


@given(st.integers(1, 80), st.integers(1, 3))
def test_each_part_is_padded_by_itself(part: int, parts: int) -> None:
    width = parts * part
    places = padded_places(width, parts)
    assert padded_width(width, parts) % (parts * LANE_FLOATS) == 0
    assert len(set(places.tolist())) == width
    for number in range(parts):
        first = int(places[number * part])
        assert first == number * padded_width(width, parts) // parts
        assert places[number * part : (number + 1) * part].tolist() == list(
            range(first, first + part)
        )


@pytest.mark.parametrize("columns", [1, 6, 20, 28])
@pytest.mark.parametrize("inputs", [16, 48, 112, 192, 512])
@pytest.mark.parametrize("outputs", [16, 32, 64, 256])
def test_equal_rows_of_a_padded_product_are_equal_wherever_they_stand(
    columns: int, inputs: int, outputs: int
) -> None:
    # Given the product shapes that a tile and its sweeps use, with the same row everywhere
    generator = torch.Generator().manual_seed(inputs * outputs)
    row = torch.randn(1, inputs, generator=generator)
    weight = torch.randn(inputs, outputs, generator=generator)
    rows = row.expand(columns * TILE_SLOTS, inputs).contiguous()
    # Then every row of the product has the same bits
    with single_threaded():
        product = torch.addmm(torch.zeros(outputs), rows, weight)
    assert (product == product[0]).all()
