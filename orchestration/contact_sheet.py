"""A picture of what a freshly trained network draws, to be looked at before a job of millions.

images    a row of samples for each value of the first field
sounds    a spectrogram for each value of the first field: time to the right, pitch upwards
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.models import Autoregressive, Sampler, SampleRequest, to_media
from ancestral.workers.encode import encode_image

#: Values of the first field that get a row.
MOST_ROWS = 10

#: Samples in a row of images. Of sounds, which take long, there is one.
IMAGES_IN_A_ROW = 10

#: Pixels that one pixel of an image is drawn as, along each side.
IMAGE_SCALE = 2

#: Spectrograms: samples in a window, from one window to the next; decibels from black to white.
WINDOW, HOP, RANGE_DECIBELS = 256, 64, 70.0

#: Between two pictures, in pixels, and how bright that is.
GAP, GAP_GREY = 4, 90


def draw_contact_sheet(net: Autoregressive) -> bytes:
    """A PNG of samples of `net`; the same for the same network."""
    image = net.signature["medium"] == "image"
    asked = _rows(net.signature["fields"])
    requests = [
        SampleRequest(f"{row:02d} {sample:02d}", fields, seed=row, sample=sample)
        for row, fields in enumerate(asked)
        for sample in range(IMAGES_IN_A_ROW if image else 1)
    ]
    samples = sorted(Sampler(net).sample(requests), key=lambda sample: str(sample.key))
    tiles = [_tile(to_media(net.signature, sample.symbols)) for sample in samples]
    in_a_row = len(tiles) // len(asked)
    rows = [tiles[row * in_a_row : (row + 1) * in_a_row] for row in range(len(asked))]
    return encode_image(arrange(rows), {})


def arrange(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Grey pictures (H, W) in rows, on one sheet, with gaps between them and around."""
    height = sum(max(tile.shape[0] for tile in row) + GAP for row in rows) + GAP
    width = max(sum(tile.shape[1] + GAP for tile in row) for row in rows) + GAP
    sheet = np.full((height, width), GAP_GREY, np.uint8)
    top = GAP
    for row in rows:
        left = GAP
        for tile in row:
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            left += tile.shape[1] + GAP
        top += max(tile.shape[0] for tile in row) + GAP
    return sheet


def spectrogram(sound: NDArray[Any]) -> NDArray[np.uint8]:
    """How strong each pitch (upwards) of a sound (T,) is over time (to the right), in greys."""
    padded = np.pad(sound.astype(np.float64) / 32768, (0, WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW)
    decibels = 20 * np.log10(np.abs(np.fft.rfft(windows)) + 1e-6)
    scaled = (decibels - decibels.max() + RANGE_DECIBELS) / RANGE_DECIBELS
    greys: NDArray[np.uint8] = (255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    return greys.T[::-1]


def _tile(media: NDArray[Any]) -> NDArray[np.uint8]:
    """An image (H, W), enlarged, or the spectrogram of a sound (T,)."""
    if media.ndim == 1:
        return spectrogram(media)
    return media.repeat(IMAGE_SCALE, 0).repeat(IMAGE_SCALE, 1)


def _rows(fields: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What to ask for: each value of the first field, with the first value of every other."""
    usual = {name: _values(field)[0] for name, field in fields.items()}
    if not fields:
        return [usual]
    first = next(iter(fields))
    return [{**usual, first: value} for value in _values(fields[first])[:MOST_ROWS]]


def _values(field: Mapping[str, Any]) -> Sequence[Any]:
    """What a field can be: all its categories, or the number that is nearest to 1."""
    if field["type"] == "category":
        values: Sequence[Any] = field["values"]
        return values
    return [min(max(1, field["minimum"]), field["maximum"])]
