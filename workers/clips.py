"""Clips to animated WebP and MP4, and back; anybody's clips to arrays.

    format   array                            metadata lies in
    webp     uint8 (F, H, W), (F, H, W, 3)    EXIF, see webp.py
    mp4      uint8 (F, H, W), (F, H, W, 3)    the comment, see mp4.py

Both hold every frame on its own, equal ones too, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from PIL import Image, ImageSequence

from ancestral.workers.arrays import Pixels, check_array
from ancestral.workers.errors import EncodeError
from ancestral.workers.images import opened, pixels_of
from ancestral.workers.mp4 import decode_mp4, encode_mp4, read_mp4
from ancestral.workers.webp import encode_animation, read_exif

#: Frames a second. WebP counts in milliseconds.
SLOWEST, FASTEST = 0.01, 1000

#: What anybody's clip may be, beside MP4.
ANIMATION_FORMATS = ("WEBP", "GIF", "PNG")


def encode_clip(
    array: np.ndarray,
    frames_per_second: float,
    metadata: Mapping[str, str],
    format: Literal["webp", "mp4"] = "webp",
) -> bytes:
    """An animated WebP or an MP4, lossless, of `array` uint8 (F, H, W) or (F, H, W, 3).

    Raises EncodeError for any other array, for an empty one, and for what the format cannot hold.
    """
    check_array(array, np.uint8, "FHW", colours=True)
    if not SLOWEST <= frames_per_second <= FASTEST:
        raise EncodeError(
            f"a clip has {SLOWEST} to {FASTEST} frames a second, not {frames_per_second}"
        )
    encode = encode_mp4 if format == "mp4" else encode_animation
    return encode(array, frames_per_second, metadata)


def decode_clip(data: bytes) -> tuple[Pixels, dict[str, str]]:
    """The array and the metadata of a clip that `encode_clip` wrote.

    Raises EncodeError when `data` is not one of those.
    """
    if _is_mp4(data):
        return decode_mp4(data)
    with opened(data, ("WEBP",)) as image:
        channels, metadata = read_exif(image)
        frames = _frames(image)
    return frames if channels == 3 else frames[..., 0], metadata


def read_clip(data: bytes) -> Pixels:
    """The frames uint8 (F, H, W, 3) of anybody's clip (WebP, GIF, MP4, ...), whatever its speed.

    Raises EncodeError when it cannot be read or has transparent pixels.
    """
    if _is_mp4(data):
        return read_mp4(data)
    with opened(data, ANIMATION_FORMATS) as image:
        return _frames(image)


def _is_mp4(data: bytes) -> bool:
    return data[4:8] == b"ftyp"


def _frames(image: Image.Image) -> Pixels:
    frames = [pixels_of(frame, coloured=True) for frame in ImageSequence.Iterator(image)]
    return np.stack(frames)
