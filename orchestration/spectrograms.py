"""Sounds as pictures: how strong each pitch is over time.

upwards          from 0 Hz to half of the sample rate
to the right     time, in equal steps
brighter         louder, over the 70 decibels below the loudest moment
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

#: Of a window; 31 Hz apart are told apart.
WINDOW_SECONDS = 0.032
#: From one window to the next.
HOP_SECONDS = 0.008

#: From the darkest to the brightest pixel.
RANGE_DECIBELS = 70.0
#: Relative to full scale: what is not louder at any moment is silence, and dark.
SILENCE_DECIBELS = -90.0

#: Shades that are told apart; few, so that a picture is small.
SHADES = 32
#: From silence to the loudest, as colours whose lightness rises evenly.
COLOURS = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))


def spectrogram(
    sound: NDArray[np.int16], sample_rate_hz: int, *, most_columns: int | None = None
) -> Pixels:
    """A sound (T,) in greys (pitches, moments), the lowest pitch at the bottom.

    A sound that is too long for `most_columns` moments is looked at less often.
    """
    window = max(4, 2 * round(WINDOW_SECONDS * sample_rate_hz / 2))
    hop = max(1, round(HOP_SECONDS * sample_rate_hz))
    if most_columns is not None:
        hop = max(hop, -(-len(sound) // most_columns))
    padded = np.pad(sound.astype(np.float64) / 32768, (window // 2, window // 2))
    weights = np.hanning(window)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[: max(1, len(sound)) : hop]
    amplitudes = np.abs(np.fft.rfft(windows * weights)) * 2 / weights.sum()
    decibels = 20 * np.log10(amplitudes + 1e-9)
    loudest = max(float(decibels.max()), SILENCE_DECIBELS)
    scaled = np.clip((decibels - loudest) / RANGE_DECIBELS + 1, 0, 1)
    greys: Pixels = np.rint(255 * scaled).astype(np.uint8)
    return greys.T[::-1]


def coloured(greys: NDArray[Any]) -> Pixels:
    """Greys (H, W) as SHADES colours (H, W, 3)."""
    shades = np.rint(greys / 255 * (SHADES - 1)) / (SHADES - 1)
    places = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(shades, places, channel) for channel in zip(*COLOURS, strict=True)]
    return np.rint(np.stack(channels, -1)).astype(np.uint8)
