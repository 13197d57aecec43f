"""Weights as products read them.

Outputs come in blocks of 16; in a block, all 16 weights of the first input, then those of the next:

    block 0            block 1            ...        outputs 0 to 15, 16 to 31, ...
    i0: w0 w1 ... w15  i0: w16 ... w31
    i1: w0 w1 ... w15  i1: w16 ... w31

In bfloat16 two neighbouring inputs of a source share the place of one float; a source of an odd
number of floats is filled up with a zero.

Shapes: O outputs, I inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.sampling.native.structures import BLOCK

#: What one place of a packed weight holds: a float, or two of 16 bits.
Place = TypeVar("Place", bound=np.generic)


def packed_float32(weight: Tensor) -> NDArray[np.float32]:
    """Weights (O, I) in blocks: (blocks, I, 16)."""
    floats = weight.detach().to("cpu", torch.float32).numpy()
    return _in_blocks(floats)


def packed_bfloat16(weight: Tensor, widths: Sequence[int]) -> NDArray[np.uint32]:
    """Weights (O, I) for sources of those widths, two to a place: (blocks, pairs, 16)."""
    parts = []
    for part in torch.split(weight.detach().to("cpu", torch.float32), list(widths), dim=1):
        parts.append(torch.nn.functional.pad(part, (0, part.shape[1] % 2)))
    rounded = torch.cat(parts, dim=1).to(torch.bfloat16)
    bits = rounded.view(torch.int16).numpy().view(np.uint16).astype(np.uint32)
    pairs: NDArray[np.uint32] = bits[:, 0::2] | np.left_shift(bits[:, 1::2], np.uint32(16))
    return _in_blocks(pairs)


def _in_blocks(weight: NDArray[Place]) -> NDArray[Place]:
    outputs, inputs = weight.shape
    blocks = -(-outputs // BLOCK)
    padded = np.zeros((blocks * BLOCK, inputs), dtype=weight.dtype)
    padded[:outputs] = weight
    return np.ascontiguousarray(padded.reshape(blocks, BLOCK, inputs).transpose(0, 2, 1))


def padded_bias(bias: Tensor) -> NDArray[np.float32]:
    """A bias (O,), filled up to whole blocks."""
    floats = bias.detach().to("cpu", torch.float32).numpy()
    padded = np.zeros(-(-len(floats) // BLOCK) * BLOCK, dtype=np.float32)
    padded[: len(floats)] = floats
    return padded
