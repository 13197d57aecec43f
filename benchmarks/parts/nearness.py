"""Whether what was drawn is a copy of what was learned: distances to the nearest training item.

What a network draws should be about as far from its training items as real held-out items are,
which nobody can have copied; so every distance stands beside theirs.

    pixels       root mean square difference of two pictures, as a share of the full range
    spectra      the same of two sounds' log-mel energies, stretched to one length, in decibels:
                 is a word said just as a training recording says it?
    waves        1 − the correlation of a sound's loud windows with the wave of the recordings of
                 the same word by the same speaker, each window where it is largest, averaged: is
                 it a training recording, or pieces of several? Noise 20 dB below a copy leaves it
                 at 0.01; real takes of a word by one speaker are 0.03 to 0.4 apart

Shapes: N items, K training items, H height, W width, T audio samples, F frames, M mel bands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ancestral.orchestration.report.judge import squared_distances
from parts.hearing import FLOOR_DECIBELS, LogMels, Sound, trimmed

Floats = NDArray[np.floating[Any]]

#: Of two waves that are compared, and how much quieter than a sound's loudest window others may be:
#: silence is like silence.
WINDOW_SECONDS = 0.05
QUIET_DECIBELS = 15.0

#: Frames of a sound that is stretched to one length.
FRAMES = 32


@dataclass(frozen=True)
class Nearness:
    """Distances to the nearest training item, of samples and of held-out items.

    `nearer` is the share of samples that are nearer than the closest held-out item; if samples were
    like held-out items, it would be about `nearer_by_chance`. `ratio` is that of the medians.
    """

    measure: str
    samples: int
    median: float
    quantile_5: float
    held_out: int
    held_out_median: float
    held_out_quantile_5: float
    held_out_closest: float
    ratio: float
    nearer: float
    nearer_by_chance: float


def nearness(measure: str, samples: Floats, held_out: Floats) -> Nearness:
    """Compare distances (N,) with those of held-out items, of which there may be more or fewer."""
    closest, median, held_out_median = held_out.min(), np.median(samples), np.median(held_out)
    return Nearness(
        measure=measure,
        samples=len(samples),
        median=float(median),
        quantile_5=float(np.quantile(samples, 0.05)),
        held_out=len(held_out),
        held_out_median=float(held_out_median),
        held_out_quantile_5=float(np.quantile(held_out, 0.05)),
        held_out_closest=float(closest),
        ratio=float(median / held_out_median),
        nearer=float((samples < closest).mean()),
        nearer_by_chance=1 / (len(held_out) + 1),
    )


def pixel_distances(pictures: Floats, training: Floats) -> Floats:
    """From each picture (N, H, W), between 0 and 1, to the nearest of (K, H, W): (N,)."""
    return _nearest(*(some.reshape(len(some), -1) for some in (pictures, training)))


def spectral_distances(
    sounds: Sequence[Sound], training: Sequence[Sound], sample_rate_hz: int
) -> Floats:
    """From each sound to the nearest training sound, whoever says whatever there: (N,)."""
    spectra = (_spectra(some, sample_rate_hz) for some in (sounds, training))
    return FLOOR_DECIBELS * _nearest(*spectra)


def wave_distances(
    sounds: Sequence[Sound],
    kinds: Sequence[Any],
    training: Mapping[Any, Sequence[Sound]],
    sample_rate_hz: int,
) -> Floats:
    """From each sound, which is of one of the kinds, to the training recordings of it: (N,)."""
    window = round(WINDOW_SECONDS * sample_rate_hz)
    recordings = {kind: np.concatenate(training[kind]) / 32768 for kind in set(kinds)}
    return np.array(
        [
            1 - best_correlations(loud_windows(sound, window), recordings[kind]).mean()
            for sound, kind in zip(sounds, kinds, strict=True)
        ]
    )


def loud_windows(sound: Sound, window: int) -> Floats:
    """The pieces of a sound (T,) that are not much quieter than the loudest one: (N, window)."""
    padded = np.pad(sound / 32768, (0, window if len(sound) < window else 0))
    pieces = padded[: len(padded) // window * window].reshape(-1, window)
    energy = (pieces**2).sum(1)
    loud: Floats = pieces[energy >= energy.max() * 10 ** (-QUIET_DECIBELS / 10)]
    return loud


def best_correlations(windows: Floats, wave: Floats) -> Floats:
    """The normalised correlation of each window (N, window) with the piece of a longer wave (T,)
    that is likest it: (N,). That of silence is 0."""
    given, kernels = (torch.from_numpy(some).float() for some in (wave, windows))
    products = F.conv1d(given[None, None], kernels[:, None])[0]
    energy = F.avg_pool1d(given.square()[None], windows.shape[1], stride=1)[0] * windows.shape[1]
    norms = kernels.square().sum(1, keepdim=True).sqrt() * energy.sqrt()
    best: Floats = (products / norms.clamp(min=1e-6)).amax(1).double().numpy()
    return best


def _spectra(sounds: Sequence[Sound], sample_rate_hz: int) -> Floats:
    """Log-mel energies, stretched, as vectors (N, M·F)."""
    log_mels = LogMels(sample_rate_hz)
    stretched = [
        F.interpolate(log_mels(_wave(trimmed(sound, sample_rate_hz))), FRAMES, mode="linear")
        for sound in sounds
    ]
    spectra: Floats = torch.cat(stretched).flatten(1).numpy()
    return spectra


def _wave(sound: Sound) -> Tensor:
    """A sound as a batch of one, (1, T), between -1 and 1."""
    return torch.from_numpy(sound / 32768).float()[None]


def _nearest(items: Floats, training: Floats) -> Floats:
    """From each of (N, D) to the nearest of (K, D), root mean square: (N,)."""
    squared = squared_distances(items.astype(np.float64), training.astype(np.float64))
    distances: Floats = np.sqrt(squared.min(1) / items.shape[1])
    return distances
