"""Images to PNG and WebP, and back; anybody's pictures to arrays.

    format   array                      metadata lies in
    png      uint8 (H, W), (H, W, 3)    one tEXt chunk per key
    webp     uint8 (H, W), (H, W, 3)    EXIF, see webp.py

Pillow's whole list of formats is not opened to anybody's files: some of them start programs.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile, PngInfo

from ancestral.workers.arrays import Pixels, check_array, check_pixels
from ancestral.workers.errors import EncodeError
from ancestral.workers.webp import encode_still, read_exif

#: Deflate's level, 0 to 9, and its strategy: of small filtered pictures runs are all that repeats
#: often enough to be looked for. Fixed, because they decide the bytes.
PNG_COMPRESSION = 6
PNG_STRATEGY = zlib.Z_RLE

#: What anybody's image may be.
STILL_FORMATS = ("PNG", "WEBP", "JPEG", "GIF", "BMP")

#: Where a PNG says how many bits its values have.
_PNG_DEPTH_BYTE = 24

#: What Pillow raises when a file is broken; the last one where warnings are errors.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def encode_image(
    array: np.ndarray, metadata: Mapping[str, str], format: Literal["png", "webp"] = "png"
) -> bytes:
    """A PNG or a lossless WebP of `array` uint8, grey (H, W) or in colour (H, W, 3).

    Raises EncodeError for any other array, and for an empty one.
    """
    check_array(array, np.uint8, "HW", colours=True)
    if format == "webp":
        return encode_still(array, metadata)
    chunks = PngInfo()
    for key, value in metadata.items():
        chunks.add_text(key, value)
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(array))
    image.save(
        file,
        "PNG",
        pnginfo=chunks,
        compress_level=PNG_COMPRESSION,
        compress_type=PNG_STRATEGY,
    )
    return file.getvalue()


def decode_image(data: bytes) -> tuple[Pixels, dict[str, str]]:
    """The array and the metadata of an image that `encode_image` wrote.

    Raises EncodeError when `data` is not one of those.
    """
    with opened(data, ("PNG", "WEBP")) as image:
        _check_still(image)
        array = np.asarray(image)
        if isinstance(image, PngImageFile):
            if image.mode not in ("L", "RGB"):
                raise EncodeError(f"this PNG is none of ours: its mode is {image.mode!r}")
            return array, {key: str(value) for key, value in image.text.items()}
        channels, metadata = read_exif(image)
        return array if channels == 3 else array[..., 0], metadata


def read_image(data: bytes) -> Pixels:
    """The pixels uint8, (H, W) or (H, W, 3), of anybody's picture (PNG, WebP, JPEG, ...).

    Raises EncodeError when it cannot be read, moves, or has transparent pixels or more than 8 bits.
    """
    with opened(data, STILL_FORMATS) as image:
        _check_still(image)
        return pixels_of(ImageOps.exif_transpose(image))


@contextlib.contextmanager
def opened(data: bytes, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """The image in `data`.

    Raises EncodeError when it is broken, too large, of another format or of more than 8 bits.
    """
    refusal = f"these {len(data)} bytes are not an image ({' or '.join(formats)})"
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            # Of colours Pillow would take the upper 8 bits, and say nothing.
            if image.format == "PNG" and data[_PNG_DEPTH_BYTE] > 8:
                raise EncodeError("this image has more than 8 bits for each colour")
            check_pixels(frames_of(image), image.height, image.width)
            yield image
    except UnidentifiedImageError as error:
        # Its words name an address in memory, and a row's error is the same in every attempt.
        raise EncodeError(refusal) from error
    except _BROKEN as error:
        raise EncodeError(f"{refusal}: {error}") from error


def frames_of(image: Image.Image) -> int:
    """How many pictures the file has."""
    return int(getattr(image, "n_frames", 1))


def pixels_of(image: Image.Image, *, coloured: bool = False) -> Pixels:
    """A picture, or the current one of a clip, as uint8 (H, W), or (H, W, 3) if it has colours.

    With `coloured` it is (H, W, 3) in any case. Raises EncodeError for transparent pixels.
    """
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            raise EncodeError("this image has transparent pixels: put it on a background first")
    grey = image.mode in ("1", "L") and not coloured
    return np.asarray(image.convert("L" if grey else "RGB"))


def _check_still(image: Image.Image) -> None:
    if frames_of(image) > 1:
        raise EncodeError(f"this is a clip of {frames_of(image)} frames, not an image")
