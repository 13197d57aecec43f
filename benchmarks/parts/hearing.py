"""Sounds as pictures of one second, free of what would give a speaker or a generator away.

    as it came     ____▁▂▇▇▆▇▅▂▁______
    trimmed             ▂▇▇▆▇▅▂           where it is loud
    placed         .....▂▇▇▆▇▅▂.......    at one loudness, in the middle of a second of silence
    log-mel        energies in bands of the mel scale, all below a floor being one silence

Shapes: B sounds, T audio samples, M mel bands, F frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ancestral.models import normalise_loudness

#: The analysis: frames, and bands equally wide on the mel scale.
FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010
MEL_BANDS = 24
MEL_LOWEST_HZ, MEL_HIGHEST_HZ = 80.0, 3800.0

#: Quieter than the loudest moment by more than this, at an end of a sound, is not of the word.
QUIET_DECIBELS = 30.0
#: Quieter than the loudest band and frame of a sound by more than this is all the same silence.
FLOOR_DECIBELS = 40.0
MOMENT_SECONDS = 0.01
#: A sound whose loudest band and frame is below this is nothing but silence.
QUIETEST_DECIBELS = -60.0

#: The augmentation: shift in time either way, noise below the sound, tilt of the spectrum from its
#: lowest to its highest band, and the widest bars of frames and of bands that are masked.
SHIFT_SECONDS = 0.1
NOISE_DECIBELS = (15.0, 50.0)
TILT_DECIBELS = 6.0
MASKED_FRAMES, MASKED_BANDS = 12, 4

Sound = NDArray[np.int16]


def placed(sounds: Sequence[Sound], sample_rate_hz: int) -> Tensor:
    """Sounds, each in the middle of a second, (B, T) float32 between -1 and 1."""
    second = np.zeros((len(sounds), sample_rate_hz), np.float32)
    for row, sound in zip(second, sounds, strict=True):
        word = normalise_loudness(trimmed(sound, sample_rate_hz))
        skipped = max(0, len(word) - sample_rate_hz) // 2
        word = word[skipped : skipped + sample_rate_hz]
        start = (sample_rate_hz - len(word)) // 2
        row[start : start + len(word)] = word / 32768
    return torch.from_numpy(second)


def trimmed(sound: Sound, sample_rate_hz: int) -> Sound:
    """A sound without its quiet ends; silence stays as it is."""
    moment = round(MOMENT_SECONDS * sample_rate_hz)
    wave = np.pad(sound - sound.mean(), (0, -len(sound) % moment))
    energy = (wave.reshape(-1, moment) ** 2).mean(1)
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (-QUIET_DECIBELS / 10))
    return sound[loud[0] * moment : (loud[-1] + 1) * moment]


class LogMels:
    """From sounds (B, T) to their log-mel energies (B, M, F), from 0, silence, to 1."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._window = round(FRAME_SECONDS * sample_rate_hz)
        self._hop = round(HOP_SECONDS * sample_rate_hz)
        self._length = 1 << (self._window - 1).bit_length()
        self._shape = torch.hann_window(self._window)
        self._bank = mel_bank(self._length, sample_rate_hz)

    def __call__(self, sounds: Tensor, tilts: Tensor | None = None) -> Tensor:
        """`tilts` (B,) are decibels by which each sound's highest band is raised over its lowest
        one. A sound shorter than a frame is followed by silence."""
        long_enough = F.pad(sounds, (0, max(0, self._window - sounds.shape[1])))
        frames = long_enough.unfold(-1, self._window, self._hop) * self._shape
        power = torch.fft.rfft(frames, self._length).abs().square()
        decibels = 10 * torch.log10(power @ self._bank.T + 1e-10).transpose(1, 2)
        if tilts is not None:
            slope = torch.linspace(-0.5, 0.5, decibels.shape[1])
            decibels = decibels + tilts[:, None, None] * slope[:, None]
        loudest = decibels.amax((1, 2), keepdim=True).clamp(min=QUIETEST_DECIBELS)
        return (1 + (decibels - loudest) / FLOOR_DECIBELS).clamp(min=0)


def mel_bank(length: int, sample_rate_hz: int) -> Tensor:
    """Triangles (M, length/2 + 1), equally wide on the mel scale, over the bins of a spectrum."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (MEL_LOWEST_HZ, MEL_HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(lowest, highest, MEL_BANDS + 2) / 2595) - 1)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(length // 2 + 1) * sample_rate_hz / length
    triangles = np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle))
    return torch.from_numpy(np.maximum(triangles, 0)).float()


class Augmented:
    """Seconds of sound (B, T) as log-mel energies (B, M, F), a little different each time."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._log_mels = LogMels(sample_rate_hz)

    def __call__(self, seconds: Tensor, random: torch.Generator) -> Tensor:
        """Shifted, in noise of any colour, tilted, masked: all drawn from `random`."""
        count, length = seconds.shape
        most = round(SHIFT_SECONDS * self._sample_rate_hz)
        shifts = torch.randint(-most, most + 1, (count, 1), generator=random)
        shifted = seconds.gather(1, (torch.arange(length) - shifts) % length)
        noise = torch.randn((count, length), generator=random)
        colour = 1.8 * torch.rand((count, 1), generator=random) - 0.9
        noise = noise + colour * F.pad(noise[:, :-1], (1, 0))
        noise = noise / noise.std(1, keepdim=True)
        quietest, loudest = NOISE_DECIBELS[1], NOISE_DECIBELS[0]
        below = loudest + (quietest - loudest) * torch.rand((count, 1), generator=random)
        level = shifted.square().mean(1, keepdim=True).sqrt() * 10 ** (-below / 20)
        tilts = TILT_DECIBELS * (2 * torch.rand(count, generator=random) - 1)
        energies = self._log_mels(shifted + level * noise, tilts)
        for axis, widest in ((1, MASKED_BANDS), (2, MASKED_FRAMES)):
            energies = energies * _bars(count, energies.shape, axis, widest, random)
        return energies


def _bars(
    count: int, shape: Sequence[int], axis: int, widest: int, random: torch.Generator
) -> Tensor:
    """1, and 0 in a bar across one axis, at a place and of a width of its own for each sound."""
    size = shape[axis]
    width = torch.randint(0, widest + 1, (count, 1), generator=random)
    start = (torch.rand((count, 1), generator=random) * (size - width)).floor()
    place = torch.arange(size)
    kept = ((place < start) | (place >= start + width)).float()
    return kept.unsqueeze(2 if axis == 1 else 1)
