"""How large held-out events are as files that people use: PNG, WebP and FLAC, all lossless.

A file of one small event is mostly header, so every format is also measured with all events in one
file: images side by side on a sheet, sounds one after the other, the frames of clips on a sheet.
All bytes count, headers included.

    ┌──┬──┬──┐
    │0 │1 │2 │     a sheet, about as wide as it is high
    ├──┼──┼──┤
    │3 │4 │  │
    └──┴──┴──┘
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

#: Largest side of a WebP image.
LARGEST_SIDE = 16383


def png_bytes(symbols: Array, levels: int) -> int:
    """Grey levels (H, W), with as few bits each as they need, or colours (H, W, 3) of 8 bits."""
    if symbols.ndim == 3:
        return _saved(Image.fromarray(symbols.astype(np.uint8)), format="PNG", optimize=True)
    bits = next(bits for bits in (1, 2, 4, 8) if levels <= 2**bits)
    image = Image.fromarray(symbols.astype(np.uint8))
    if bits == 1:
        image = Image.fromarray(symbols.astype(bool))
    elif bits < 8:
        # PNG packs several pixels into a byte only with a palette.
        image.putpalette([round(255 * s / (levels - 1)) for s in range(levels) for _ in range(3)])
    return _saved(image, format="PNG", optimize=True)


def webp_bytes(pixels: Array) -> int:
    """uint8 (H, W) or (H, W, 3)."""
    image = Image.fromarray(pixels).convert("RGB")
    return _saved(image, format="WEBP", lossless=True, quality=100, method=6)


def webp_clip_bytes(pixels: Array) -> int:
    """An animation of uint8 (F, H, W)."""
    first, *others = (Image.fromarray(frame).convert("RGB") for frame in pixels)
    return _saved(
        first,
        format="WEBP",
        save_all=True,
        append_images=others,
        lossless=True,
        quality=100,
        method=6,
        minimize_size=True,
    )


def flac_bytes(samples: Array, sample_rate_hz: int, subtype: str) -> int:
    """Integer samples (T,) as FLAC, "PCM_16" or "PCM_S8"."""
    buffer = io.BytesIO()
    # soundfile takes 8-bit samples as the high byte of 16.
    wave = samples.astype(np.int16) * (256 if subtype == "PCM_S8" else 1)
    soundfile.write(
        buffer, wave, sample_rate_hz, format="FLAC", subtype=subtype, compression_level=1.0
    )
    return len(buffer.getvalue())


def sheets(images: Sequence[Array]) -> Iterator[Array]:
    """Images of one shape, as few sheets as WebP's limit allows; free places are 0."""
    height, width = images[0].shape[:2]
    columns = min(LARGEST_SIDE // width, max(1, round(math.sqrt(len(images) * height / width))))
    most = columns * (LARGEST_SIDE // height)
    for start in range(0, len(images), most):
        some = images[start : start + most]
        rows = math.ceil(len(some) / columns)
        sheet = np.zeros((rows * height, columns * width, *images[0].shape[2:]), images[0].dtype)
        for number, image in enumerate(some):
            top, left = number // columns * height, number % columns * width
            sheet[top : top + height, left : left + width] = image
        yield sheet


def _saved(image: Image.Image, **options: Any) -> int:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return len(buffer.getvalue())
