"""Lossless WebP: still images, and clips with a picture for every frame.

WebP knows colours only, so that its EXIF says of how many channels the array was, and holds the
metadata as JSON. An animation is put together here: the usual encoder joins equal frames to one
that lasts longer, so that a clip would come back shorter.

    RIFF ┬ VP8X   the size of the canvas; that there are frames and EXIF
         ├ ANIM   a black background; repeated for ever
         ├ ANMF   a frame: place, size, milliseconds, and its picture as VP8L
         ├ ...
         └ EXIF   SamplesPerPixel and ImageDescription
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from ancestral.workers.errors import EncodeError
from ancestral.workers.metadata import parse_metadata

#: How hard the encoder tries; fixed, because it decides the bytes. Larger ones gain 1% and take
#: 25 times as long.
QUALITY, METHOD = 80, 4

#: A side of a picture is told in 14 bits.
LARGEST_SIDE = 16383

#: Where a picture of `encode_still` has its VP8L chunk: after RIFF, its size, and WEBP.
_FIRST_CHUNK = 12

_EXIF_FLAG, _ANIMATION_FLAG = 0b1000, 0b10
#: A frame replaces what was there before.
_DO_NOT_BLEND = 0b10


def encode_still(array: np.ndarray, metadata: Mapping[str, str]) -> bytes:
    """A WebP of uint8 (H, W) or (H, W, 3). Raises EncodeError for a picture that is too large."""
    return _picture(array, exif=_exif(array.ndim == 2, metadata))


def encode_animation(
    array: np.ndarray, frames_per_second: float, metadata: Mapping[str, str]
) -> bytes:
    """A WebP of the clip uint8 (F, H, W) or (F, H, W, 3).

    Raises EncodeError for pictures that are too large.
    """
    # Whole milliseconds in such a way that the error does not add up.
    ends = [round(1000 * frame / frames_per_second) for frame in range(len(array) + 1)]
    size = _number(array.shape[2] - 1) + _number(array.shape[1] - 1)
    chunks = [
        _chunk(b"VP8X", bytes([_EXIF_FLAG | _ANIMATION_FLAG, 0, 0, 0]) + size),
        _chunk(b"ANIM", bytes([0, 0, 0, 255, 0, 0])),
    ]
    for frame, (start, end) in zip(array, pairwise(ends), strict=True):
        place = _number(0) + _number(0) + size + _number(end - start) + bytes([_DO_NOT_BLEND])
        picture = _picture(frame)[_FIRST_CHUNK:]
        assert picture.startswith(b"VP8L"), "a lossless picture without metadata is one chunk"
        chunks.append(_chunk(b"ANMF", place + picture))
    chunks.append(_chunk(b"EXIF", _exif(array.ndim == 3, metadata)))
    return _chunk(b"RIFF", b"WEBP" + b"".join(chunks))


def read_exif(image: Image.Image) -> tuple[int, dict[str, str]]:
    """The channels (1 or 3) and the metadata that the EXIF of a WebP of ours tells.

    Raises EncodeError when it is none of ours.
    """
    exif = image.getexif()
    channels, description = exif.get(Base.SamplesPerPixel), exif.get(Base.ImageDescription)
    if channels not in (1, 3) or not isinstance(description, str):
        raise EncodeError("this WebP is none of ours: its EXIF does not tell what it holds")
    return channels, parse_metadata(description, "this WebP")


def _picture(array: np.ndarray, exif: bytes = b"") -> bytes:
    if max(array.shape[:2]) > LARGEST_SIDE:
        raise EncodeError(
            f"WebP has pictures of up to {LARGEST_SIDE} pixels a side, not "
            f"{array.shape[1]} x {array.shape[0]}: choose another format"
        )
    file = io.BytesIO()
    # Exact keeps the colours of transparent pixels, of which there are none; lossless suffices.
    Image.fromarray(np.ascontiguousarray(array)).convert("RGB").save(
        file, "WEBP", lossless=True, quality=QUALITY, method=METHOD, exif=exif
    )
    return file.getvalue()


def _exif(grey: bool, metadata: Mapping[str, str]) -> bytes:
    exif = Image.Exif()
    exif[Base.SamplesPerPixel] = 1 if grey else 3
    # EXIF's texts are ASCII, and so is this JSON: other characters are escaped.
    exif[Base.ImageDescription] = json.dumps(dict(metadata), sort_keys=True)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def _chunk(name: bytes, data: bytes) -> bytes:
    """Its name, its size, its bytes, filled up to an even number."""
    return name + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


def _number(value: int) -> bytes:
    return value.to_bytes(3, "little")
