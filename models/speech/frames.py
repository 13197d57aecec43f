"""What can be heard of a sound in each hop of samples: a spectrum on the mel scale, and the pitch.

    sound    ▁▂▃▅▇▅▃▂▁▂▃▅▇▅▃▂▁▂▃▅▇▅▃▂▁
    frames      └──────┘                 windows longer than a hop, about the middle of each hop
                    └──────┘

Shapes: T samples (a multiple of the hop), F = T / hop frames, M bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

#: Bands of the spectrum.
BANDS = 32

#: The longest and the shortest period that is a voice's pitch, in hertz.
LOWEST_HERTZ, HIGHEST_HERTZ = 65.0, 400.0

#: A sound of fewer samples in a second has no such pitch.
LOWEST_SAMPLE_RATE_HZ = round(2 * HIGHEST_HERTZ)

#: How alike two neighbouring periods of a voiced sound are at least: a correlation.
VOICED = 0.5

#: The faintest power that a band tells, in nats.
FAINTEST = -11.0


@dataclass(frozen=True)
class Frames:
    """`spectrum` (M, F) log power of each band in nats; `log_pitch` (F,) log of hertz, between the
    voiced frames a straight line; `voiced` (F,) 1 or 0. All float32."""

    spectrum: Tensor
    log_pitch: Tensor
    voiced: Tensor

    def __len__(self) -> int:
        return len(self.voiced)


def frames_of(wave: Tensor, sample_rate_hz: int, hop: int) -> Frames:
    """The frames of a sound (T,), float32, full scale being 1."""
    log_pitch, voiced = _pitch(wave, sample_rate_hz, hop)
    return Frames(_spectrum(wave, sample_rate_hz, hop), log_pitch, voiced)


def _windows(wave: Tensor, size: int, hop: int) -> Tensor:
    """(F, size): so many samples about the middle of each hop, zeros off the sound."""
    before = (size - hop) // 2
    padded = F.pad(wave, (before, size - hop - before))
    return padded.unfold(0, size, hop)


def _spectrum(wave: Tensor, sample_rate_hz: int, hop: int) -> Tensor:
    size = 2 ** math.ceil(math.log2(sample_rate_hz * 0.025))
    windows = _windows(wave, size, hop) * torch.hann_window(size, periodic=False)
    power = torch.fft.rfft(windows).abs().square()
    bands = power @ _mel_bands(size // 2 + 1, sample_rate_hz)
    powers: Tensor = bands.clamp(min=math.exp(FAINTEST)).log().T.contiguous()
    return powers


def _mel_bands(bins: int, sample_rate_hz: int) -> Tensor:
    """Triangles that overlap by half, of equal width in mel: (bins, M)."""
    top = 2595 * math.log10(1 + sample_rate_hz / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, BANDS + 2) / 2595) - 1)
    hertz = torch.linspace(0, sample_rate_hz / 2, bins).unsqueeze(1)
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    # A low band may be narrower than a bin: it then hears the nearest one.
    bin_hertz = sample_rate_hz / 2 / (bins - 1)
    rising = (hertz - low) / (middle - low).clamp(min=bin_hertz)
    falling = (high - hertz) / (high - middle).clamp(min=bin_hertz)
    return torch.minimum(rising, falling).clamp(min=0)


def _pitch(wave: Tensor, sample_rate_hz: int, hop: int) -> tuple[Tensor, Tensor]:
    """The lag at which each window is most like itself, by its normalised autocorrelation."""
    shortest, longest = round(sample_rate_hz / HIGHEST_HERTZ), round(sample_rate_hz / LOWEST_HERTZ)
    windows = _windows(wave, 3 * longest, hop)
    windows = windows - windows.mean(1, keepdim=True)
    width = windows.shape[1]
    spectrum = torch.fft.rfft(windows, 2 * width)
    likeness = torch.fft.irfft(spectrum.abs().square())[:, : longest + 1]
    # A longer lag compares fewer samples.
    likeness = likeness / (width - torch.arange(longest + 1)) * width
    energy = likeness[:, :1]
    likeness = likeness[:, shortest:] / energy.clamp(min=1e-6)
    # Of periods nearly alike, the shortest: two periods are as like as one.
    near = likeness >= 0.9 * likeness.amax(1, keepdim=True)
    peaks = F.max_pool1d(likeness.unsqueeze(1), 3, 1, 1).squeeze(1) == likeness
    lags = (near & peaks).float().argmax(1)
    alike = likeness.gather(1, lags.unsqueeze(1)).squeeze(1)
    loud = energy.squeeze(1) > 1e-4 * energy.max()
    voiced = ((alike > VOICED) & loud & (energy.squeeze(1) > 1e-6)).float()
    log_pitch = torch.log(sample_rate_hz / (lags + shortest).float())
    return _bridged(log_pitch, voiced), voiced


def _bridged(values: Tensor, sure: Tensor) -> Tensor:
    """Straight lines between values that are sure, and constants before and behind them."""
    places = sure.nonzero().squeeze(1)
    if not len(places):
        return torch.zeros_like(values)
    at = torch.arange(len(values))
    right = torch.searchsorted(places, at).clamp(max=len(places) - 1)
    left = (right - 1).clamp(min=0)
    begin, end = places[left], places[right]
    share = ((at - begin) / (end - begin).clamp(min=1)).clamp(0, 1)
    return torch.lerp(values[begin], values[end], share)
