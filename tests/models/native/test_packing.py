"""Weights lie in memory as products read them: in blocks of 16 outputs, inputs one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.sampling.native.packing import packed_bfloat16, packed_float32, padded_bias
from ancestral.models.sampling.native.structures import BLOCK

sizes = st.integers(0, 50)


def _weight(outputs: int, inputs: int) -> Tensor:
    generator = torch.Generator().manual_seed(outputs * 1000 + inputs)
    return torch.randn(outputs, inputs, generator=generator)


@given(outputs=sizes, inputs=sizes)
def test_each_weight_has_its_place_and_what_is_left_is_zero(outputs: int, inputs: int) -> None:
    weight = _weight(outputs, inputs)

    packed = packed_float32(weight)

    assert packed.shape == (-(-outputs // BLOCK), inputs, BLOCK)
    assert packed.dtype == np.float32 and packed.flags.c_contiguous
    for o in range(outputs):
        np.testing.assert_array_equal(packed[o // BLOCK, :, o % BLOCK], weight[o].numpy())
    assert np.count_nonzero(packed) == outputs * inputs


@given(outputs=sizes, widths=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_pairs_are_of_neighbours_within_a_source(outputs: int, widths: list[int]) -> None:
    # Given weights for several sources, some of an odd number of floats
    weight = _weight(outputs, sum(widths))

    packed = packed_bfloat16(weight, widths)

    # Then each place holds two numbers, the first of them in the lower half, rounded as torch does
    assert packed.shape == (-(-outputs // BLOCK), sum(-(-width // 2) for width in widths), BLOCK)
    assert packed.dtype == np.uint32 and packed.flags.c_contiguous
    first = pair = 0
    for width in widths:
        own = weight[:, first : first + width].to(torch.bfloat16).float().numpy()
        for i in range(width):
            place = packed[:, pair + i // 2, :].reshape(-1)[:outputs]
            half = place >> 16 if i % 2 else place & 0xFFFF
            np.testing.assert_array_equal((half << 16).view(np.float32), own[:, i])
        if width % 2:
            assert not np.any(packed[:, pair + width // 2, :] >> 16)
        first, pair = first + width, pair + -(-width // 2)


@given(outputs=sizes)
def test_biases_are_filled_up_with_zeros(outputs: int) -> None:
    bias = torch.arange(1.0, outputs + 1)
    padded = padded_bias(bias)
    assert padded.dtype == np.float32 and len(padded) == -(-outputs // BLOCK) * BLOCK
    assert padded.tolist() == [*bias.tolist(), *[0.0] * (len(padded) - outputs)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_any_dtype_become_floats(dtype: torch.dtype) -> None:
    weight = _weight(5, 3).to(dtype).requires_grad_()
    np.testing.assert_array_equal(
        packed_float32(weight)[0, :, :5].T, weight.detach().float().numpy()
    )
