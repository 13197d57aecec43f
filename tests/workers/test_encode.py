"""What is encoded is what is decoded, and equal things have equal bytes."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ancestral.workers.encode import (
    decode_audio,
    decode_image,
    encode,
    encode_audio,
    encode_image,
    read_recording,
)
from ancestral.workers.errors import EncodeError

# What a PNG's tEXt chunk holds: Latin-1 without line ends, whose form readers may change.
TEXT = st.text(st.characters(codec="latin-1", categories=("L", "N", "P", "S")), max_size=40)
METADATA = st.dictionaries(st.sampled_from(["model", "seed", "sample", "settings"]), TEXT)
IMAGES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))
SOUNDS = hnp.arrays(np.int16, st.integers(1, 3000))


@given(IMAGES, METADATA)
def test_an_image_comes_back_as_it_was(array: np.ndarray, metadata: dict[str, str]) -> None:
    decoded, decoded_metadata = decode_image(encode_image(array, metadata))

    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == np.uint8
    assert decoded_metadata == metadata


@given(SOUNDS, st.sampled_from([8000, 16000, 22050, 44100, 48000]), METADATA)
def test_a_sound_comes_back_as_it_was(
    array: np.ndarray, sample_rate_hz: int, metadata: dict[str, str]
) -> None:
    decoded, rate, decoded_metadata = decode_audio(encode_audio(array, sample_rate_hz, metadata))

    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == np.int16
    assert (rate, decoded_metadata) == (sample_rate_hz, metadata)


@given(IMAGES, SOUNDS, METADATA)
def test_equal_things_have_equal_bytes(
    image: np.ndarray, sound: np.ndarray, metadata: dict[str, str]
) -> None:
    # Fortran order, another key order: the same contents.
    turned = dict(reversed(metadata.items()))

    assert encode_image(image, metadata) == encode_image(np.asfortranarray(image), metadata)
    assert encode_audio(sound, 8000, metadata) == encode_audio(sound.copy(), 8000, turned)


def test_any_viewer_reads_the_metadata() -> None:
    metadata = {"model": "d" * 64, "seed": "9223372036854775807"}
    png = encode_image(np.eye(3, dtype=np.uint8), metadata)
    flac = encode_audio(np.ones(9, np.int16), 8000, metadata)

    with Image.open(io.BytesIO(png)) as image:
        assert image.info == metadata
    with soundfile.SoundFile(io.BytesIO(flac)) as sound:
        assert json.loads(sound.comment) == metadata
        assert (sound.format, sound.subtype, sound.channels) == ("FLAC", "PCM_16", 1)


def test_the_index_hears_of_an_image_its_width_and_height() -> None:
    artifact = encode({"medium": "image"}, np.zeros((3, 5), np.uint8), {})

    assert (artifact.media_type, artifact.suffix) == ("image/png", "png")
    assert (artifact.width, artifact.height, artifact.channels) == (5, 3, 1)
    assert (artifact.frames, artifact.sample_rate_hz, artifact.duration_seconds) == (None,) * 3


def test_the_index_hears_of_a_sound_its_length_and_rate() -> None:
    signature = {"medium": "audio", "sample_rate_hz": 8000}

    artifact = encode(signature, np.zeros(2000, np.int16), {})

    assert (artifact.media_type, artifact.suffix) == ("audio/flac", "flac")
    assert (artifact.frames, artifact.sample_rate_hz, artifact.channels) == (2000, 8000, 1)
    assert artifact.duration_seconds == 0.25
    assert (artifact.width, artifact.height) == (None, None)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4), np.float32),
        np.zeros((3, 4), np.int16),
        np.zeros(12, np.uint8),
        np.zeros((3, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
    ids=["float", "int16", "flat", "colours", "empty"],
)
def test_what_is_no_grey_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(EncodeError, match="expected uint8 of 2 dimensions"):
        encode_image(array, {})


@pytest.mark.parametrize(
    "array",
    [np.zeros(4, np.float32), np.zeros((4, 1), np.int16), np.zeros(0, np.int16)],
    ids=["float", "columns", "empty"],
)
def test_what_is_no_sound_is_refused(array: np.ndarray) -> None:
    with pytest.raises(EncodeError, match="expected int16 of 1 dimensions"):
        encode_audio(array, 8000, {})


@pytest.mark.parametrize("sample_rate_hz", [0, -8000, 700_000])
def test_a_rate_that_flac_has_not_is_refused(sample_rate_hz: int) -> None:
    with pytest.raises(EncodeError, match=f"{sample_rate_hz} Hz"):
        encode_audio(np.ones(9, np.int16), sample_rate_hz, {})


def test_a_medium_without_an_encoding_is_refused() -> None:
    with pytest.raises(EncodeError, match="'smell'"):
        encode({"medium": "smell"}, np.ones(9, np.int16), {})


@pytest.mark.parametrize("keep", [0, 5, 40], ids=["nothing", "a signature", "half a file"])
def test_broken_bytes_are_told(keep: int) -> None:
    image = encode_image(np.arange(64, dtype=np.uint8).reshape(8, 8), {})
    sound = encode_audio(np.arange(500, dtype=np.int16), 8000, {"model": "x"})

    with pytest.raises(EncodeError, match="not a PNG"):
        decode_image(image[:keep])
    with pytest.raises(EncodeError, match="not a sound file"):
        decode_audio(sound[:keep])


def test_a_picture_in_colour_is_none_of_ours() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG")

    with pytest.raises(EncodeError, match="not greyscale"):
        decode_image(file.getvalue())


def test_a_sound_without_our_tag_is_none_of_ours() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(10, np.int16), 8000, format="FLAC")

    with pytest.raises(EncodeError, match="not a FLAC of ours"):
        decode_audio(file.getvalue())


@pytest.mark.parametrize("form", ["FLAC", "WAV"])
def test_a_recording_of_anybody_can_be_read(form: str) -> None:
    # Given a sound file without any metadata of ours
    array = np.arange(-300, 300, dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, array, 16_000, format=form, subtype="PCM_16")

    samples, sample_rate_hz = read_recording(file.getvalue())

    np.testing.assert_array_equal(samples, array)
    assert sample_rate_hz == 16_000


def test_a_recording_of_two_channels_is_refused() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((10, 2), np.int16), 8000, format="WAV", subtype="PCM_16")

    with pytest.raises(EncodeError, match="2 channels"):
        read_recording(file.getvalue())
