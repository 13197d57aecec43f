"""How far apart sounds are: spectral shapes, aligned by dynamic time warping.

Shapes: T audio samples, F frames, M mel bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

MEL_BANDS = 24
MEL_LOWEST_HZ, MEL_HIGHEST_HZ = 80.0, 3800.0
WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
#: Energies this far below the loudest band and frame of a sound are all the same silence.
DYNAMIC_RANGE_DECIBELS = 39.0


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Squared Euclidean distances between the rows of `a` (N, D) and of `b` (K, D): (N, K)."""
    squared: Floats = (a**2).sum(-1)[:, None] + (b**2).sum(-1)[None, :] - 2 * a @ b.T
    return np.maximum(squared, 0)  # rounding can leave a distance of zero a little below it


def spectral_shapes(sound: NDArray[np.int16], sample_rate_hz: int) -> Floats:
    """The shape of the spectrum over time: log-mel frames (F, M), free of loudness and channel."""
    window = round(WINDOW_SECONDS * sample_rate_hz)
    hop = round(HOP_SECONDS * sample_rate_hz)
    samples = np.pad(sound.astype(np.float64), (0, max(0, window - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop] * np.hanning(window)
    length = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames, length)) ** 2
    log_mel = np.log(power @ _mel_bank(length, sample_rate_hz).T + 1e-9)
    log_mel = np.maximum(log_mel, log_mel.max() - DYNAMIC_RANGE_DECIBELS * math.log(10) / 10)
    shapes: Floats = log_mel - log_mel.mean(1, keepdims=True)
    shapes -= shapes.mean(0)
    return shapes


def _mel_bank(length: int, sample_rate_hz: int) -> Floats:
    """Triangles (M, length/2 + 1), equally wide on the mel scale, over the bins of a spectrum."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (MEL_LOWEST_HZ, MEL_HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(lowest, highest, MEL_BANDS + 2) / 2595) - 1)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(length // 2 + 1) * sample_rate_hz / length
    triangles: Floats = np.minimum(
        (bins - left) / (middle - left), (right - bins) / (right - middle)
    )
    return np.maximum(triangles, 0)


def warped_distances(query: Floats, templates: Sequence[Floats]) -> Floats:
    """Dynamic time warping of `query` (F, M) to each of K templates: mean cost a frame, (K,).

    All templates are walked together, one anti-diagonal of their tables after another:

        cost(i, j) = min(cost(i-1, j) + d, cost(i, j-1) + d, cost(i-1, j-1) + 2 d),  d = d(i, j)

    so that every path between the two corners weighs the same, the two lengths together.
    """
    frames = len(query)
    lengths = np.array([len(template) for template in templates])
    longest = int(lengths.max())
    stacked = np.zeros((len(templates), longest, query.shape[1]))
    for index, template in enumerate(templates):
        stacked[index, : len(template)] = template
    squared = squared_distances(query, stacked.reshape(-1, query.shape[1]))
    distances = np.sqrt(squared).reshape(frames, len(templates), longest)
    out: Floats = np.empty(len(templates))
    before = np.full((frames + 1, len(templates)), np.inf)
    last = before.copy()
    before[0] = 0
    for diagonal in range(2, frames + longest + 1):
        i = np.arange(max(1, diagonal - longest), min(frames, diagonal - 1) + 1)
        d = distances[i - 1, :, diagonal - i - 1]
        now = np.full_like(last, np.inf)
        now[i] = np.minimum(np.minimum(last[i - 1], last[i]) + d, before[i - 1] + 2 * d)
        ends = lengths + frames == diagonal
        out[ends] = now[frames, ends]
        before, last = last, now
    out /= lengths + frames
    return out


def best_correlation(a: NDArray[np.int16], b: NDArray[np.int16]) -> float:
    """The normalised correlation of two sounds at the shift in time where it is largest."""
    scale = float(np.linalg.norm(a.astype(np.float64)) * np.linalg.norm(b.astype(np.float64)))
    if scale == 0:
        return 0.0
    length = 1 << (len(a) + len(b) - 2).bit_length()
    spectrum = np.fft.rfft(a.astype(np.float64), length) * np.conj(np.fft.rfft(b, length))
    return float(np.fft.irfft(spectrum, length).max() / scale)
