"""A coder of sounds that learns as it goes: linear prediction, and how far off it usually is.

    past samples ──► least squares, solved anew every 32 samples ──► prediction m   ┐ for 3 orders
                                     │ recent errors                                ├─► mixture
                                     └──────► scales s, several                     ┘

Each pair of an order and a scale is an expert: a logistic density around m, cut into the intervals
that the alphabet's symbols stand for. Experts are mixed by how well they have done lately. What
comes out is the ideal length of the code, as an arithmetic coder reaches it; nothing is trained,
and nothing but the past of the same sound is used.

Shapes: S sounds side by side, T samples, p order, K experts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ORDERS = (2, 12, 32)
#: Samples between two solutions.
BLOCK = 32
#: What the least squares keep of the past from one block to the next.
KEPT = 0.985
#: Running averages of the absolute error: what each keeps per sample, and multiples of it.
SCALE_KEPT = (0.8, 0.98)
SCALE_MULTIPLES = (0.3, 0.6, 1.2)
#: A tenth of a 16-bit step, of a full scale of 1.
SMALLEST_SCALE = 0.1 / 32768
#: What the mixture keeps of each expert's record per sample.
RECORD_KEPT = 0.97
#: Probability that is spread evenly over the alphabet, so that nothing costs too much.
SPREAD = 1e-3
#: Sounds that are coded side by side.
TOGETHER = 16


def adaptive_bits(symbols: Sequence[NDArray[np.int64]], values: Floats) -> float:
    """Bits per symbol of sounds (T,). `values` (L,) is what each symbol stands for, in rising
    order; its interval ends half way to the next, and the first and last hold the tails."""
    values = values / np.abs(values).max()
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    total, count = 0.0, 0
    by_length = sorted(symbols, key=len)
    for start in range(0, len(by_length), TOGETHER):
        some = by_length[start : start + TOGETHER]
        length = max(map(len, some))
        padded = np.stack([np.pad(s, (0, length - len(s)), mode="edge") for s in some])
        bits = _bits(values[padded], edges[padded], edges[padded + 1], len(values))
        for row, sound in zip(bits, some, strict=True):
            total, count = total + float(row[: len(sound)].sum()), count + len(sound)
    return total / count


def _bits(x: Floats, lower: Floats, upper: Floats, levels: int) -> Floats:
    """Bits (S, T) of samples `x` that lie between `lower` and `upper`."""
    means = np.stack([_predicted(x, order) for order in ORDERS])
    errors = np.abs(x - means)
    scales = []
    for kept in SCALE_KEPT:
        usual = np.empty_like(errors)
        running = np.full(errors.shape[:2], 0.01)
        for t in range(x.shape[1]):
            usual[:, :, t] = running
            running = kept * running + (1 - kept) * errors[:, :, t]
        scales += [multiple * usual + SMALLEST_SCALE for multiple in SCALE_MULTIPLES]
    p = np.stack([_logistic(upper, means, s) - _logistic(lower, means, s) for s in scales])
    p = (1 - SPREAD) * p.reshape(-1, *x.shape) + SPREAD / levels
    bits = np.empty_like(x)
    record = np.zeros(p.shape[:2])
    log_p = np.log(p)
    for t in range(x.shape[1]):
        weights = np.exp(record - record.max(0))
        bits[:, t] = -np.log2((weights * p[:, :, t]).sum(0) / weights.sum(0))
        record = RECORD_KEPT * record + log_p[:, :, t]
    return bits


def _predicted(x: Floats, order: int) -> Floats:
    """Each sample (S, T) from the `order` before it."""
    sounds, length = x.shape
    lags = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (order, 0))), order, 1)
    lags = lags[:, :length]
    products, targets = np.zeros((sounds, order, order)), np.zeros((sounds, order))
    weights = np.zeros((sounds, order))
    ridge = 1e-6 * np.eye(order)
    predicted = np.empty_like(x)
    for start in range(0, length, BLOCK):
        past, now = lags[:, start : start + BLOCK], x[:, start : start + BLOCK]
        predicted[:, start : start + BLOCK] = np.einsum("stp,sp->st", past, weights)
        products = KEPT * products + np.einsum("stp,stq->spq", past, past, optimize=True)
        targets = KEPT * targets + np.einsum("stp,st->sp", past, now)
        weights = np.linalg.solve(products + ridge, targets[:, :, None])[:, :, 0]
    return np.clip(predicted, -1, 1)


def _logistic(x: Floats, mean: Floats, scale: Floats) -> Floats:
    with np.errstate(over="ignore"):
        cumulative: Floats = 1 / (1 + np.exp((mean - x) / scale))
    return cumulative
