"""Every position by itself: how often it held each symbol in the training events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Events = Sequence[NDArray[np.int64]]


def position_bits(train: Events, held_out: Events, levels: int) -> float:
    """Bits per symbol under a histogram of each position, of events of one shape.

    A histogram begins as that of all positions, which weighs as much as `levels / 2` events: few
    events say little about 256 levels at one position.
    """
    counts = np.zeros((levels, train[0].size))
    for event in train:
        counts[event.ravel(), np.arange(event.size)] += 1
    everywhere = counts.sum(1, keepdims=True) + 1
    prior = levels / 2
    p = (counts + prior * everywhere / everywhere.sum()) / (len(train) + prior)
    bits = [-np.log2(p[event.ravel(), np.arange(event.size)]).mean() for event in held_out]
    return float(np.mean(bits))


def symbol_bits(train: Events, held_out: Events, levels: int) -> float:
    """Bits per symbol under one histogram for all positions: for sounds, which begin anywhere."""
    counts = np.bincount(np.concatenate([e.ravel() for e in train]), minlength=levels) + 1.0
    heard = np.bincount(np.concatenate([e.ravel() for e in held_out]), minlength=levels)
    return float(-(heard * np.log2(counts / counts.sum())).sum() / heard.sum())


def gaussian_bits(train: Sequence[NDArray[Any]], held_out: Sequence[NDArray[Any]]) -> float:
    """Bits per number under one normal density for all numbers."""
    known, heard = (np.concatenate(numbers).astype(np.float64) for numbers in (train, held_out))
    deviation = known.std()
    squares = np.mean((heard - known.mean()) ** 2) / deviation**2
    nats = 0.5 * squares + math.log(deviation) + 0.5 * math.log(2 * math.pi)
    return float(nats / math.log(2))
