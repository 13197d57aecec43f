"""A small variational autoencoder: Kingma and Welling 2014, "Auto-Encoding Variational Bayes".

    x ──► two convolutions ──► z ~ q(z | x) ──► two transposed convolutions ──► p(x | z)

Given z, the symbols are independent: Bernoulli for 2 levels, a softmax up to 16, and above a
mixture of logistic functions. What it is compared by is the importance bound with K = 16 draws of z
(Burda et al. 2016, equation 8), which is tighter than the evidence bound that it is trained on.

Shapes: B batch, C colours, H rows, W columns, N latent numbers. Sounds are pieces of one row.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ancestral.models.sampling.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    LogisticMixture,
)

LATENT = 32
WIDTH = 32
BATCH = 64
LEARNING_RATE = 2e-3
IMPORTANCE_SAMPLES = 16
#: How often the bound of the held-out events is taken; the best one counts.
VALIDATIONS = 8


class VAE(nn.Module):
    """For symbols (B, C, H, W); W is a multiple of 4, and H is one too, or 1."""

    def __init__(self, channels: int, height: int, width: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.distribution = _distribution(levels)
        flat = height == 1
        #: Kernel, stride and padding of every convolution.
        box = ((1, 4), (1, 2), (0, 1)) if flat else ((4, 4), (2, 2), (1, 1))
        inner = (2 * WIDTH, height if flat else height // 4, width // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, WIDTH, *box),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, *box),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(math.prod(inner), 2 * LATENT),
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, math.prod(inner)),
            nn.ReLU(),
            nn.Unflatten(1, inner),
            nn.ConvTranspose2d(2 * WIDTH, WIDTH, *box),
            nn.ReLU(),
            nn.ConvTranspose2d(WIDTH, channels * self.distribution.parameters, *box),
        )

    def log_weights(self, x: Tensor) -> Tensor:
        """log p(x | z) + log p(z) − log q(z | x) in nats for one draw of z, (B,): its mean is the
        evidence bound."""
        values = x.float() * (2 / (self.levels - 1)) - 1
        mean, log_deviation = self.encoder(values).chunk(2, dim=1)
        noise = torch.randn_like(mean)
        z = mean + noise * log_deviation.exp()
        log_ratio = 0.5 * (noise**2 - z**2) + log_deviation
        parameters = self.decoder(z).unflatten(1, (-1, x.shape[1]))
        log_likelihood = self.distribution.log_prob(parameters, x)
        weights: Tensor = log_likelihood.flatten(1).sum(1) + log_ratio.sum(1)
        return weights


def vae_bits(
    train: Sequence[NDArray[np.int64]],
    held_out: Sequence[NDArray[np.int64]],
    levels: int,
    seconds: float,
) -> float:
    """Bits per symbol, an upper bound, of events (C, H, W) after so many seconds of training.

    Of several bounds on the way the lowest counts, to the baseline's advantage: it never loses by
    having been trained for too long.
    """
    torch.manual_seed(0)
    known, heard = (torch.from_numpy(np.stack(events)) for events in (train, held_out))
    channels, height, width = known.shape[1:]
    net = VAE(channels, height, width, levels)
    optimizer = torch.optim.Adam(net.parameters())
    best, validations = math.inf, 0
    began = time.perf_counter()
    while validations < VALIDATIONS:
        fraction = min(1.0, (time.perf_counter() - began) / seconds)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * fraction))
        batch = known[torch.randint(len(known), (BATCH,))]
        optimizer.zero_grad()
        loss = -net.log_weights(batch).mean() / batch[0].numel()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if fraction * VALIDATIONS >= validations + 1:
            validations += 1
            paused = time.perf_counter()
            best = min(best, _bound(net, heard))
            began += time.perf_counter() - paused
    return best


@torch.no_grad()
def _bound(net: VAE, x: Tensor) -> float:
    """The importance bound, in bits per symbol."""
    total = 0.0
    for batch in torch.split(x, BATCH):
        draws = torch.stack([net.log_weights(batch) for _ in range(IMPORTANCE_SAMPLES)])
        nats = torch.logsumexp(draws, 0) - math.log(IMPORTANCE_SAMPLES)
        total -= float(nats.sum())
    return total / (x.numel() * math.log(2))


def _distribution(levels: int) -> Distribution:
    if levels == 2:
        return Bernoulli()
    return Categorical(levels) if levels <= 16 else LogisticMixture(levels, components=3)
