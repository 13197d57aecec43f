"""Sounds: what is encoded is what is decoded; recordings of other people are read to scale."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ancestral.workers import sounds
from ancestral.workers.errors import EncodeError
from ancestral.workers.sounds import decode_audio, encode_audio, read_recording
from tests.workers.media import METADATA, SOUNDS

FORMATS = ["flac", "wav"]


def recording(array: np.ndarray, form: str, subtype: str, sample_rate_hz: int = 16_000) -> bytes:
    """A sound file without any metadata of ours."""
    file = io.BytesIO()
    soundfile.write(file, array, sample_rate_hz, format=form, subtype=subtype)
    return file.getvalue()


@given(SOUNDS, st.sampled_from([8000, 16000, 22050, 44100]), METADATA, st.sampled_from(FORMATS))
def test_a_sound_comes_back_as_it_was(
    array: np.ndarray, sample_rate_hz: int, metadata: dict[str, str], format: str
) -> None:
    data = encode_audio(array, sample_rate_hz, metadata, format)

    decoded, rate, decoded_metadata = decode_audio(data)

    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == np.int16
    assert (rate, decoded_metadata) == (sample_rate_hz, metadata)


@given(SOUNDS, METADATA, st.sampled_from(FORMATS))
def test_equal_sounds_have_equal_bytes(
    array: np.ndarray, metadata: dict[str, str], format: str
) -> None:
    # Given the same contents in another order of keys
    turned = dict(reversed(metadata.items()))

    first = encode_audio(array, 8000, metadata, format)

    assert encode_audio(array.copy(), 8000, turned, format) == first


@pytest.mark.parametrize("format", FORMATS)
def test_any_player_reads_the_metadata(format: str) -> None:
    metadata = {"model": "d" * 64, "seed": "9223372036854775807"}
    data = encode_audio(np.ones(9, np.int16), 8000, metadata, format)

    with soundfile.SoundFile(io.BytesIO(data)) as sound:
        assert json.loads(sound.comment) == metadata
        assert (sound.format, sound.subtype, sound.channels) == (format.upper(), "PCM_16", 1)


@pytest.mark.parametrize(
    "array",
    [np.zeros(4, np.float32), np.zeros((4, 1), np.int16), np.zeros(0, np.int16)],
    ids=["float", "columns", "empty"],
)
def test_what_is_no_sound_is_refused(array: np.ndarray) -> None:
    with pytest.raises(EncodeError, match=r"expected int16 \(T,\) with at least one value"):
        encode_audio(array, 8000, {})


@pytest.mark.parametrize(
    ("format", "sample_rate_hz"),
    [("flac", 0), ("flac", -8000), ("flac", 700_000), ("wav", 0), ("wav", 2**31)],
)
def test_a_rate_that_the_format_has_not_is_refused(format: str, sample_rate_hz: int) -> None:
    with pytest.raises(EncodeError, match=f"{sample_rate_hz} Hz"):
        encode_audio(np.ones(9, np.int16), sample_rate_hz, {}, format)


def test_metadata_that_a_wav_would_lose_is_refused() -> None:
    with pytest.raises(EncodeError, match="no room"):
        encode_audio(np.ones(9, np.int16), 8000, {"settings": "é" * 1500}, "wav")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("keep", [0, 5, 30], ids=["nothing", "a beginning", "half a header"])
def test_broken_bytes_are_told(keep: int, format: str) -> None:
    data = encode_audio(np.arange(500, dtype=np.int16), 8000, {"model": "x"}, format)[:keep]

    for read in (decode_audio, read_recording):
        with pytest.raises(EncodeError, match="not a sound file"):
            read(data)


@pytest.mark.parametrize("form", ["FLAC", "WAV"])
def test_a_sound_without_our_tag_is_none_of_ours(form: str) -> None:
    with pytest.raises(EncodeError, match=f"this {form} is none of ours"):
        decode_audio(recording(np.zeros(10, np.int16), form, "PCM_16"))


@pytest.mark.parametrize("form", ["FLAC", "WAV", "AIFF"])
def test_a_recording_of_anybody_can_be_read(form: str) -> None:
    array = np.arange(-300, 300, dtype=np.int16)

    samples, sample_rate_hz = read_recording(recording(array, form, "PCM_16"))

    np.testing.assert_array_equal(samples, array)
    assert sample_rate_hz == 16_000


@pytest.mark.parametrize(
    ("form", "subtype", "error"),
    [
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "PCM_24", 0),
        ("WAV", "PCM_U8", 256),
        ("WAV", "ULAW", 600),
        ("OGG", "VORBIS", 2000),
    ],
)
def test_a_recording_of_any_depth_is_read_to_scale(form: str, subtype: str, error: int) -> None:
    # Given a tone of half of full scale
    tone = np.rint(16384 * np.sin(np.arange(4000) / 5)) / 32768

    samples, _ = read_recording(recording(tone, form, subtype))

    assert np.abs(samples - 32768 * tone).max() <= error


def test_what_lies_beyond_full_scale_is_cut_there() -> None:
    samples, _ = read_recording(recording(np.array([1.5, -1.5, 1.0]), "WAV", "FLOAT"))

    assert samples.tolist() == [32767, -32768, 32767]


@pytest.mark.parametrize(
    ("array", "why"),
    [(np.zeros((10, 2)), "2 channels"), (np.array([0.5, np.nan]), "no numbers")],
)
def test_a_recording_that_is_not_one_sound_is_refused(array: np.ndarray, why: str) -> None:
    with pytest.raises(EncodeError, match=why):
        read_recording(recording(array, "WAV", "FLOAT"))


def test_a_file_that_unfolds_to_too_much_is_refused_unread(monkeypatch: Any) -> None:
    monkeypatch.setattr(sounds, "LARGEST_SAMPLES", 99)

    assert len(read_recording(encode_audio(np.ones(99, np.int16), 8000, {}))[0]) == 99
    with pytest.raises(EncodeError, match="100 samples are more than the 99 that we read"):
        read_recording(encode_audio(np.ones(100, np.int16), 8000, {}))
