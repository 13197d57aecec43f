"""Clips: every frame comes back, equal ones too, in animated WebP and in MP4."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ancestral.workers import arrays
from ancestral.workers.clips import decode_clip, encode_clip, read_clip
from ancestral.workers.errors import EncodeError
from tests.workers.media import CLIPS, METADATA, STILLS, picture_file, shades

FORMATS = ["webp", "mp4"]
RATES = st.sampled_from([0.5, 1, 10, 12.5, 24, 29.97, 60])


def animation(frames: np.ndarray, format: str, **options: Any) -> bytes:
    """A clip as Pillow writes it."""
    images = [Image.fromarray(frame) for frame in frames]
    return picture_file(
        images[0], format, save_all=True, append_images=images[1:], duration=70, **options
    )


@given(CLIPS, RATES, METADATA, st.sampled_from(FORMATS))
def test_a_clip_comes_back_as_it_was(
    array: np.ndarray, frames_per_second: float, metadata: dict[str, str], format: str
) -> None:
    decoded, decoded_metadata = decode_clip(encode_clip(array, frames_per_second, metadata, format))

    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == np.uint8
    assert decoded_metadata == metadata


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "array",
    [STILLS, STILLS[..., 0], STILLS[:2], STILLS[:1], STILLS[:1, ..., 0], shades(20, 16, 16, 3)],
    ids=["colour", "grey", "two equal ones", "one", "a grey one", "many"],
)
def test_every_frame_is_there_equal_ones_too(array: np.ndarray, format: str) -> None:
    data = encode_clip(array, 10, {}, format)

    np.testing.assert_array_equal(decode_clip(data)[0], array)
    in_colour = array if array.ndim == 4 else np.repeat(array[..., None], 3, axis=-1)
    np.testing.assert_array_equal(read_clip(data), in_colour)


@given(CLIPS, METADATA, st.sampled_from(FORMATS))
def test_equal_clips_have_equal_bytes(
    array: np.ndarray, metadata: dict[str, str], format: str
) -> None:
    turned = dict(reversed(metadata.items()))

    first = encode_clip(array, 24, metadata, format)

    assert encode_clip(np.asfortranarray(array), 24, turned, format) == first


def test_every_grey_and_every_colour_survives_mp4() -> None:
    # Given pictures of all 256 values, and of colours whose conversion would round
    greys = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    colours = np.stack([greys, np.roll(greys, 85), np.roll(greys[:, ::-1], 31)], axis=-1)

    for array in (greys, colours):
        np.testing.assert_array_equal(decode_clip(encode_clip(array, 10, {}, "mp4"))[0], array)


@pytest.mark.parametrize("frames_per_second", [1, 24, 29.97, 60, 1000])
def test_frames_are_shown_at_their_rate(frames_per_second: float) -> None:
    clip = np.repeat(STILLS, 20, axis=0)
    seconds = len(clip) / frames_per_second

    with Image.open(io.BytesIO(encode_clip(clip, frames_per_second, {}))) as webp:
        shown = []
        for frame in range(webp.n_frames):
            webp.seek(frame)
            webp.load()
            shown.append(webp.info["duration"])
    with av.open(io.BytesIO(encode_clip(clip, frames_per_second, {}, "mp4"))) as mp4:
        assert mp4.duration is not None
        duration, rate = mp4.duration / av.time_base, mp4.streams.video[0].average_rate

    # WebP counts in milliseconds, MP4 in fractions.
    assert abs(sum(shown) - 1000 * seconds) <= 1
    assert max(shown) - min(shown) <= 1
    assert rate == pytest.approx(frames_per_second)
    assert duration == pytest.approx(seconds, abs=1e-3)


def test_any_player_reads_the_metadata() -> None:
    metadata = {"model": "d" * 64, "seed": "9223372036854775807"}

    with Image.open(io.BytesIO(encode_clip(STILLS, 10, metadata))) as webp:
        assert json.loads(webp.getexif()[270]) == metadata
        assert (webp.size, webp.is_animated, webp.info["loop"]) == ((7, 5), True, 0)
    with av.open(io.BytesIO(encode_clip(STILLS, 10, metadata, "mp4"))) as mp4:
        assert json.loads(mp4.metadata["comment"]) == metadata
        assert mp4.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3, 4), np.float32),
        np.zeros((3, 4), np.uint8),
        np.zeros((2, 3, 4, 2), np.uint8),
        np.zeros((0, 3, 4), np.uint8),
    ],
    ids=["float", "image", "two colours", "no frames"],
)
def test_what_is_no_clip_is_refused(array: np.ndarray, format: str) -> None:
    with pytest.raises(EncodeError, match=r"expected uint8 \(F, H, W\) or \(F, H, W, 3\) with"):
        encode_clip(array, 10, {}, format)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("frames_per_second", [0, -1, 1001, float("nan")])
def test_a_rate_that_clips_have_not_is_refused(frames_per_second: float, format: str) -> None:
    with pytest.raises(EncodeError, match=r"0\.01 to 1000 frames a second"):
        encode_clip(STILLS, frames_per_second, {}, format)


@pytest.mark.parametrize("format", FORMATS)
def test_pictures_that_the_format_has_not_are_refused(format: str) -> None:
    with pytest.raises(EncodeError, match=r"16383 pixels|does not fit MP4"):
        encode_clip(np.zeros((1, 1, 20_000), np.uint8), 10, {}, format)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("keep", [0, 5, 60], ids=["nothing", "a beginning", "half a file"])
def test_broken_bytes_are_told(keep: int, format: str) -> None:
    data = encode_clip(STILLS, 10, {}, format)[:keep]

    for read in (decode_clip, read_clip):
        with pytest.raises(EncodeError, match=r"not an (image|MP4)"):
            read(data)


@pytest.mark.parametrize(
    "data",
    [animation(STILLS, "WEBP", lossless=True), encode_clip(STILLS, 10, {}, "mp4")],
    ids=["webp", "mp4"],
)
def test_a_clip_without_our_metadata_is_none_of_ours(data: bytes) -> None:
    # The comment of an MP4 is cut from its atoms by calling it something else.
    with pytest.raises(EncodeError, match="none of ours"):
        decode_clip(data.replace(b"\xa9cmt", b"\xa9xyz"))


@pytest.mark.parametrize(
    ("format", "options"), [("WEBP", {"lossless": True}), ("GIF", {}), ("PNG", {})]
)
def test_anybody_s_clip_is_read(format: str, options: dict[str, Any]) -> None:
    # Given frames that all differ, since programs may join equal ones
    frames = shades(4, 6, 5, 3) // 51 * 51

    np.testing.assert_array_equal(read_clip(animation(frames, format, **options)), frames)


def test_a_usual_mp4_is_read() -> None:
    # Given H.264 as cameras make it, in planes of brightness and half as fine ones of colour
    frames = np.stack([np.full((16, 16, 3), (200, 40, 40), np.uint8)] * 3)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", 25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))

    pixels = read_clip(file.getvalue())

    assert pixels.shape == frames.shape
    assert np.abs(pixels.astype(int) - frames).max() < 12


def test_a_transparent_clip_is_refused() -> None:
    frames = np.zeros((2, 3, 3, 4), np.uint8)
    frames[1] = 9

    with pytest.raises(EncodeError, match="transparent"):
        read_clip(animation(frames, "WEBP", lossless=True))


def test_an_mp4_without_pictures_is_refused() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", 8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))

    with pytest.raises(EncodeError, match="no pictures"):
        read_clip(file.getvalue())


def test_a_playlist_opens_no_other_file() -> None:
    # Given what players take for a list of files to open
    data = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"

    for disguised in (data, b"abcdftyp" + data):
        with pytest.raises(EncodeError, match=r"not an (image|MP4)"):
            read_clip(disguised)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_unfolds_to_too_much_is_refused(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits, too_large = encode_clip(STILLS[:3], 10, {}, format), encode_clip(STILLS, 10, {}, format)
    monkeypatch.setattr(arrays, "LARGEST_PIXELS", 4 * STILLS[0, ..., 0].size)

    assert len(read_clip(fits)) == 3
    with pytest.raises(EncodeError, match="pixels are more than the 140 that we read"):
        read_clip(too_large)


def test_a_picture_that_is_too_large_by_itself_is_not_decoded() -> None:
    # Given an MP4 whose only picture, a PNG, says that it has 400 million pixels
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("png", 1)
        stream.height, stream.width, stream.pix_fmt = 5, 7, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(STILLS[0], format="rgb24")))
        container.mux(stream.encode(None))
    before, found, after = file.getvalue().partition(b"IHDR")
    header = found + (20_000).to_bytes(4, "big") * 2 + after[8:13]
    data = before + header + zlib.crc32(header).to_bytes(4, "big") + after[17:]
    assert len(data) == len(file.getvalue()) and read_clip(file.getvalue()).shape == (1, 5, 7, 3)

    # Then
    with pytest.raises(EncodeError, match="its pictures have more than 67,108,864 pixels"):
        read_clip(data)
