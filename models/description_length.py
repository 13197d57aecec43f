"""How long an image is when it is sent with a hidden code: what trains a DARN, and what scores it.

An encoder q(h | x) chooses a code h, and l(h) = log p(h, x) − log q(h | x). Then

    −E_q[l(h)]                 is the expected description length of x (Gregor et al. 2014): what h
                               and x cost, less the bits that choosing h has carried
    log 1/K Σ_k exp l(h_k)     bounds log p(x) from below in expectation, the closer the larger K
                               (Burda et al. 2016, "Importance weighted autoencoders", equation 8)

The bits of a code have no derivative. Where the paper passes gradients straight through them, here
two opposite codes are drawn from the same uniform numbers, h = [u < σ(e)] and h' = [1 − u < σ(e)],
and what the one does better than the other says where the encoder's logits e should go:

    ∂/∂e_j E_q[l] ≈ ½ (l(h) − l(h')) (h_j − h'_j) σ(|e_j|)

It is unbiased (Dong, Mnih and Tucker 2020, "DisARM: An Antithetic Gradient Estimator for Binary
Latent Variables"), and both codes are samples for the decoder's own gradient.

Shapes: B batch, C bits of a code, K codes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def log_prob_of_bits(logits: Tensor, bits: Tensor) -> Tensor:
    """Nats (...) of bits (..., C), as floats, under independent logits (..., C), in float32 at
    least."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (bits * wide - F.softplus(wide)).sum(-1)


def draw_codes(logits: Tensor, u: Tensor) -> Tensor:
    """Codes (K, B, C) of 0.0 and 1.0 for logits (B, C) and uniform numbers u (K, B, C)."""
    return (u < torch.sigmoid(logits.detach())).to(logits.dtype)


def opposite_codes(logits: Tensor) -> Tensor:
    """Two codes (2, B, C) of opposite uniform numbers, from torch's own random numbers."""
    u = torch.rand_like(logits)
    return draw_codes(logits, torch.stack([u, 1 - u]))


def description_length(logits: Tensor, codes: Tensor, log_joint: Tensor) -> Tensor:
    """Nats (B,) of images, the mean of two opposite codes (2, B, C).

    `log_joint` (2, B) is log p(h, x), through which the decoder learns; its gradient for the
    encoder's `logits` (B, C) is DisARM's.
    """
    lengths = log_prob_of_bits(logits.detach(), codes) - log_joint
    better = (lengths[1] - lengths[0]).detach() / 2
    differ = (codes[0] - codes[1]) * torch.sigmoid(logits.detach().abs())
    learning = better * (differ * logits).sum(-1)
    return lengths.mean(0) - learning + learning.detach()


def importance_bound(log_weights: Tensor) -> Tensor:
    """The bound (B,) of log p(x) from l(h_k) (K, B)."""
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))
