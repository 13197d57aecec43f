"""A medium becomes the artifact that the spec asks for; any file becomes what a model takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ancestral.jobs.spec import Media
from ancestral.workers.clips import decode_clip, encode_clip
from ancestral.workers.encode import encode, read_media
from ancestral.workers.errors import EncodeError
from ancestral.workers.images import decode_image, encode_image
from ancestral.workers.series import decode_series, encode_series
from ancestral.workers.sounds import decode_audio, encode_audio
from tests.workers.media import shades

GREY: dict[str, Any] = {"medium": "image", "shape": [3, 5]}
COLOUR: dict[str, Any] = {"medium": "image", "shape": [3, 5, 3]}
AUDIO: dict[str, Any] = {"medium": "audio", "shape": [None], "sample_rate_hz": 8000}
GREY_CLIP: dict[str, Any] = {"medium": "video", "shape": [4, 3, 5], "frames_per_second": 10}
COLOUR_CLIP: dict[str, Any] = {"medium": "video", "shape": [4, 3, 5, 3], "frames_per_second": 10}
SERIES: dict[str, Any] = {"medium": "series", "shape": [None]}

METADATA = {"seed": "7"}


@pytest.mark.parametrize(
    ("media", "suffix", "media_type"),
    [(Media(), "png", "image/png"), (Media(image="webp"), "webp", "image/webp")],
)
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_an_image(media: Media, suffix: str, media_type: str, shape: tuple[int, ...]) -> None:
    artifact = encode(GREY if len(shape) == 2 else COLOUR, shades(*shape), METADATA, media)

    assert (artifact.suffix, artifact.media_type) == (suffix, media_type)
    assert (artifact.width, artifact.height) == (5, 3)
    assert artifact.channels == (1 if len(shape) == 2 else 3)
    assert (artifact.frames, artifact.sample_rate_hz, artifact.duration_seconds) == (None,) * 3
    array, metadata = decode_image(artifact.data)
    np.testing.assert_array_equal(array, shades(*shape))
    assert metadata == METADATA


@pytest.mark.parametrize(
    ("media", "suffix", "media_type"),
    [(Media(), "flac", "audio/flac"), (Media(audio="wav"), "wav", "audio/wav")],
)
def test_a_sound(media: Media, suffix: str, media_type: str) -> None:
    sound = np.arange(2000, dtype=np.int16)

    artifact = encode(AUDIO, sound, METADATA, media)

    assert (artifact.suffix, artifact.media_type) == (suffix, media_type)
    assert (artifact.frames, artifact.sample_rate_hz, artifact.channels) == (2000, 8000, 1)
    assert artifact.duration_seconds == 0.25
    assert (artifact.width, artifact.height) == (None, None)
    decoded, _, metadata = decode_audio(artifact.data)
    np.testing.assert_array_equal(decoded, sound)
    assert metadata == METADATA


@pytest.mark.parametrize(
    ("media", "suffix", "media_type"),
    [(Media(), "webp", "image/webp"), (Media(video="mp4"), "mp4", "video/mp4")],
)
@pytest.mark.parametrize("signature", [GREY_CLIP, COLOUR_CLIP], ids=["grey", "colour"])
def test_a_clip(signature: dict[str, Any], media: Media, suffix: str, media_type: str) -> None:
    clip = shades(*signature["shape"])

    artifact = encode(signature, clip, METADATA, media)

    assert (artifact.suffix, artifact.media_type) == (suffix, media_type)
    assert (artifact.width, artifact.height, artifact.frames) == (5, 3, 4)
    assert artifact.channels == (1 if clip.ndim == 3 else 3)
    assert artifact.duration_seconds == 0.4
    assert artifact.sample_rate_hz is None
    decoded, metadata = decode_clip(artifact.data)
    np.testing.assert_array_equal(decoded, clip)
    assert metadata == METADATA


def test_a_series() -> None:
    values = np.linspace(-1, 1, 9)

    artifact = encode(SERIES, values, METADATA, Media())

    assert (artifact.suffix, artifact.media_type) == ("npy", "application/x-npy")
    assert (artifact.frames, artifact.channels, artifact.duration_seconds) == (9, None, None)
    np.testing.assert_array_equal(decode_series(artifact.data), values)


def test_a_medium_without_an_encoding_is_refused() -> None:
    for refused in (
        lambda: encode({"medium": "smell"}, np.ones(9, np.int16), {}, Media()),
        lambda: read_media({"medium": "smell"}, b""),
    ):
        with pytest.raises(EncodeError, match="'smell'"):
            refused()


@pytest.mark.parametrize("format", ["png", "webp"])
def test_an_image_is_read_as_the_model_takes_it(format: str) -> None:
    grey, colour = shades(3, 5), shades(3, 5, 3)

    np.testing.assert_array_equal(read_media(GREY, encode_image(grey, {}, format)), grey)
    np.testing.assert_array_equal(read_media(COLOUR, encode_image(colour, {}, format)), colour)
    # A grey file in colours, and a grey one for a model of colours
    in_colour = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_array_equal(read_media(GREY, encode_image(in_colour, {}, format)), grey)
    np.testing.assert_array_equal(read_media(COLOUR, encode_image(grey, {}, format)), in_colour)
    with pytest.raises(EncodeError, match="in colour, and the model draws greys"):
        read_media(GREY, encode_image(colour, {}, format))


@pytest.mark.parametrize("format", ["webp", "mp4"])
def test_a_clip_is_read_as_the_model_takes_it(format: str) -> None:
    # Given clips of other lengths than the model draws
    grey, colour = shades(2, 3, 5), shades(6, 3, 5, 3)

    np.testing.assert_array_equal(read_media(GREY_CLIP, encode_clip(grey, 10, {}, format)), grey)
    np.testing.assert_array_equal(
        read_media(COLOUR_CLIP, encode_clip(colour, 10, {}, format)), colour
    )
    np.testing.assert_array_equal(
        read_media(COLOUR_CLIP, encode_clip(grey, 10, {}, format)),
        np.repeat(grey[..., None], 3, axis=-1),
    )
    with pytest.raises(EncodeError, match="in colour, and the model draws greys"):
        read_media(GREY_CLIP, encode_clip(colour, 10, {}, format))


@pytest.mark.parametrize("format", ["flac", "wav"])
def test_a_sound_is_read_at_the_model_s_rate_only(format: str) -> None:
    sound = np.arange(-50, 50, dtype=np.int16)

    np.testing.assert_array_equal(read_media(AUDIO, encode_audio(sound, 8000, {}, format)), sound)
    with pytest.raises(EncodeError, match="44100 samples a second, not 8000"):
        read_media(AUDIO, encode_audio(sound, 44_100, {}, format))


def test_a_series_is_read() -> None:
    values = np.linspace(-1, 1, 9)

    np.testing.assert_array_equal(read_media(SERIES, encode_series(values)), values)


@pytest.mark.parametrize("signature", [GREY, AUDIO, GREY_CLIP, SERIES])
def test_a_file_of_no_medium_is_refused(signature: dict[str, Any]) -> None:
    with pytest.raises(EncodeError, match="are not a") as caught:
        read_media(signature, b"label,digit\n1,2\n")
    # An address in memory would differ between attempts at a row.
    assert " at 0x" not in str(caught.value)
