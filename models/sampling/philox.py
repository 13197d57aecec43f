"""Philox4x32-10: the uniform number of each symbol, computed from where it stands.

A counter-based generator has no state to carry: the number for (seed, sample, position) is the same
whichever slot, batch, worker or retry asks for it.

    key     = (seed low, seed high)                        32 bits each
    counter = (position low, channel, sample, position high)
    u       = ((word 0 >> 9) + 0.5) · 2⁻²³                 in (0, 1), exact in float32

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
"""

import torch
from torch import Tensor

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 0xFFFFFFFF

#: A seed is at most this, so that it stays positive in 64 bits.
LARGEST_SEED = 2**63 - 1
#: A sample number is one word of the counter.
LARGEST_SAMPLE = 2**32 - 1


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The four random words for a counter of four words and a key of two.

    Every word is an int64 tensor of values below 2³²; shapes broadcast.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 = (k0 + _WEYL[0]) & _WORD
        k1 = (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


def uniform(seed: Tensor, sample: Tensor, position: Tensor, channel: int = 0) -> Tensor:
    """One uniform number in (0, 1), float32, for each int64 seed, sample and absolute position.

    Shapes broadcast.
    """
    channels = torch.full_like(position, channel)
    counter = (position & _WORD, channels, sample & _WORD, (position >> 32) & _WORD)
    word, *_ = philox(counter, (seed & _WORD, (seed >> 32) & _WORD))
    return ((word >> 9).to(torch.float32) + 0.5) * 2.0**-23


def _multiply(word: Tensor, by: int) -> tuple[Tensor, Tensor]:
    # The signed 64-bit product wraps, but its bits are those of the unsigned one.
    product = word * by
    return (product >> 32) & _WORD, product & _WORD
