"""The encoder of a DARN, and the hidden codes drawn from it.

    q(h | x) = Π_j σ(±e_j),   e = W tanh(V x + a) + b

It is factorial: given an image, the bits of a code are independent, so that all bits of all codes
are drawn at once. What they have to do with each other is left to the prior.

Codes that a score needs are drawn with the Philox numbers of (a digest of the image, code, bit):
the same image has the same codes, whoever stands beside it in a batch.

Shapes: B batch, D pixels, C bits of a code, K codes of an image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.models.autoregressive import Conditions
from ancestral.models.masked import Starts, dense_layer
from ancestral.models.sampling.philox import LARGEST_SEED, philox, uniform


class DarnEncoder(nn.Module):
    """Pixels, through a layer of tanh units, to the logits of a code's bits."""

    def __init__(self, pixels: int, hidden: int, code: int, labels: tuple[int | str, ...]) -> None:
        super().__init__()
        self.hidden = dense_layer(pixels, hidden, gain=2.0)
        self.starts = Starts(labels, hidden)
        self.logits = nn.Linear(hidden, code)

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Bits x (B, D) as floats to logits (B, C)."""
        hidden = torch.tanh(self.hidden(x) + self.starts(conditions))
        logits: Tensor = self.logits(hidden)
        return logits


def code_noise(image: Tensor, codes: int, bits: int) -> Tensor:
    """The uniform numbers (K, 1, C) for codes of one image (D,) of 0 and 1."""
    device = image.device
    place = torch.arange(len(image), device=device)
    zero = torch.zeros_like(place)
    low, high, *_ = philox((place, zero, zero, zero), (zero, zero))
    # A sum of random 64-bit numbers, one for each pixel that is 1; it wraps around.
    seed = (image.long() * (low + (high << 32))).sum() & LARGEST_SEED
    code = torch.arange(codes, device=device).view(-1, 1, 1)
    return uniform(seed, code, torch.arange(bits, device=device))
