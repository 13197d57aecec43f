"""Images: what is encoded is what is decoded; pictures of other people are read as they look."""

from __future__ import annotations

import io
import struct
from zlib import compress, crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ancestral.workers import arrays
from ancestral.workers.clips import encode_clip
from ancestral.workers.errors import EncodeError
from ancestral.workers.images import decode_image, encode_image, read_image
from tests.workers.media import IMAGES, LATIN_METADATA, METADATA, STILLS, picture_file, shades

FORMATS = ["png", "webp"]


@given(IMAGES, LATIN_METADATA)
def test_a_png_comes_back_as_it_was(array: np.ndarray, metadata: dict[str, str]) -> None:
    decoded, decoded_metadata = decode_image(encode_image(array, metadata))

    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == np.uint8
    assert decoded_metadata == metadata


@given(IMAGES, METADATA)
def test_a_webp_comes_back_as_it_was(array: np.ndarray, metadata: dict[str, str]) -> None:
    decoded, decoded_metadata = decode_image(encode_image(array, metadata, "webp"))

    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == np.uint8
    assert decoded_metadata == metadata


@given(IMAGES, LATIN_METADATA, st.sampled_from(FORMATS))
def test_equal_images_have_equal_bytes(
    array: np.ndarray, metadata: dict[str, str], format: str
) -> None:
    first = encode_image(array, metadata, format)

    assert encode_image(np.asfortranarray(array), dict(metadata), format) == first


def test_any_viewer_reads_the_metadata() -> None:
    metadata = {"model": "d" * 64, "seed": "9223372036854775807"}

    with Image.open(io.BytesIO(encode_image(shades(3, 3), metadata))) as png:
        assert png.info == metadata
    with Image.open(io.BytesIO(encode_image(shades(3, 3), {"seed": "7"}, "webp"))) as webp:
        # Tag 270 is called ImageDescription.
        assert webp.getexif()[270] == '{"seed": "7"}'


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4), np.float32),
        np.zeros((3, 4), np.int16),
        np.zeros(12, np.uint8),
        np.zeros((3, 4, 2), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((2, 3, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["float", "int16", "flat", "two colours", "alpha", "clip", "empty", "empty in colour"],
)
def test_what_is_no_image_is_refused(array: np.ndarray, format: str) -> None:
    with pytest.raises(EncodeError, match=r"expected uint8 \(H, W\) or \(H, W, 3\) with at least"):
        encode_image(array, {}, format)


def test_a_picture_too_large_for_webp_is_refused() -> None:
    with pytest.raises(EncodeError, match="up to 16383 pixels a side, not 20000 x 1"):
        encode_image(np.zeros((1, 20000), np.uint8), {}, "webp")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("keep", [0, 5, 60], ids=["nothing", "a beginning", "half a file"])
def test_broken_bytes_are_told(keep: int, format: str) -> None:
    data = encode_image(shades(8, 8, 3), {}, format)[:keep]

    for read in (decode_image, read_image):
        with pytest.raises(EncodeError, match="not an image"):
            read(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (picture_file(Image.new("RGBA", (2, 2)), "PNG"), "its mode is 'RGBA'"),
        (picture_file(shades(2, 2, 3), "WEBP", lossless=True), "EXIF does not tell"),
    ],
    ids=["png", "webp"],
)
def test_an_image_of_another_kind_is_none_of_ours(data: bytes, why: str) -> None:
    with pytest.raises(EncodeError, match=f"none of ours: .*{why}"):
        decode_image(data)


@pytest.mark.parametrize(
    ("format", "options"),
    [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("PNG", {"optimize": True})],
)
def test_anybody_s_picture_is_read(format: str, options: dict[str, object]) -> None:
    array = shades(5, 7, 3)

    np.testing.assert_array_equal(read_image(picture_file(array, format, **options)), array)


def test_a_photograph_is_read_upright() -> None:
    # Given a photograph whose camera was turned: its upper half is dark, once it is upright
    upright = np.zeros((16, 8), np.uint8)
    upright[8:] = 255
    turned = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6
    data = picture_file(turned, "JPEG", exif=exif, quality=95)

    pixels = read_image(data)

    assert pixels.shape == (16, 8)
    assert pixels[:7].max() < 50 and pixels[9:].min() > 200


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_pictures_of_every_mode_are_read(mode: str) -> None:
    # Given a white picture, as grey levels, a palette, inks, ...
    white = Image.new("RGB", (4, 3), "white").convert(mode)
    format = "JPEG" if mode == "CMYK" else "PNG"

    pixels = read_image(picture_file(white, format))

    assert pixels.shape == ((3, 4) if mode in ("1", "L") else (3, 4, 3))
    assert pixels.min() >= 254


def deep_png(array: np.ndarray) -> bytes:
    """A PNG of 16 bits for each colour, which Pillow does not write, of `array` (H, W, 3)."""
    height, width, _ = array.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in array)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def test_what_would_lose_something_is_refused() -> None:
    transparent = picture_file(Image.new("RGBA", (2, 2), (0, 0, 0, 254)), "PNG")
    deep = picture_file(np.full((2, 2), 40_000, np.uint16), "PNG")
    in_colour = deep_png(np.full((2, 2, 3), 40_000, np.uint16))
    moving = picture_file(
        shades(2, 2), "GIF", save_all=True, append_images=[Image.fromarray(255 - shades(2, 2))]
    )

    for data, why in [
        (transparent, "transparent pixels"),
        (deep, "more than 8 bits"),
        (in_colour, "more than 8 bits"),
        (moving, "a clip of 2 frames"),
    ]:
        with pytest.raises(EncodeError, match=why):
            read_image(data)


def test_a_clip_of_ours_is_no_image_of_ours() -> None:
    with pytest.raises(EncodeError, match="a clip of 6 frames"):
        decode_image(encode_clip(STILLS, 10, {}))


def test_a_file_that_unfolds_to_too_much_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "LARGEST_PIXELS", 15)

    assert read_image(encode_image(shades(3, 5), {})).shape == (3, 5)
    with pytest.raises(EncodeError, match="16 pixels are more than the 15 that we read"):
        read_image(encode_image(shades(4, 4), {}))
    # Pillow's own limit, for what claims to be larger still.
    bomb = encode_image(np.zeros((1, 1), np.uint8), {})
    claims = bomb[:16] + (30_000).to_bytes(4, "big") * 2 + bomb[24:]
    with pytest.raises(EncodeError, match="not an image"):
        read_image(claims)


def test_a_format_that_could_start_programs_is_not_opened() -> None:
    with pytest.raises(EncodeError, match="not an image"):
        read_image(picture_file(shades(3, 3, 3), "EPS"))
