"""Sounds to FLAC and WAV, and back; anybody's recordings to arrays.

    format   array         metadata lies in
    flac     int16 (T,)    the COMMENT tag, as JSON
    wav      int16 (T,)    the ICMT of its INFO list, as JSON

Both have one channel of 16 bits.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from ancestral.workers.arrays import check_array
from ancestral.workers.errors import EncodeError
from ancestral.workers.metadata import canonical_json, parse_metadata

#: FLAC's, 0 to 1 in libsndfile's terms (1 is flac -8). Fixed, because it decides the bytes.
FLAC_COMPRESSION = 0.625

#: A FLAC header has 20 bits for the sample rate, and libsndfile's encoder stops here; WAV has 32.
LARGEST_SAMPLE_RATE_HZ = {"flac": 655_350, "wav": 2**31 - 1}

#: libsndfile reads no more of a WAV's INFO list, and says nothing of the rest.
LARGEST_WAV_COMMENT_BYTES = 2000

#: A small FLAC of silence can unfold to more than a machine's memory.
LARGEST_SAMPLES = 2**26

#: Their samples are real numbers of a full scale of 1, which libsndfile would cut to 0.
_FLOATING = ("FLOAT", "DOUBLE")
_FULL_SCALE = 32768


def encode_audio(
    array: np.ndarray,
    sample_rate_hz: int,
    metadata: Mapping[str, str],
    format: Literal["flac", "wav"] = "flac",
) -> bytes:
    """A FLAC or WAV of one channel and 16 bits of `array` int16 (T,).

    Raises EncodeError for any other array, for an empty one, and for a rate or metadata that the
    format cannot tell.
    """
    check_array(array, np.int16, "T")
    name = format.upper()
    if not 1 <= sample_rate_hz <= LARGEST_SAMPLE_RATE_HZ[format]:
        raise EncodeError(f"{name} has no sample rate of {sample_rate_hz} Hz")
    comment = canonical_json(metadata)
    if format == "wav" and len(comment.encode()) > LARGEST_WAV_COMMENT_BYTES:
        raise EncodeError(f"WAV has no room for {len(comment)} characters of metadata")
    compression = {"compression_level": FLAC_COMPRESSION} if format == "flac" else {}
    file = io.BytesIO()
    try:
        with soundfile.SoundFile(
            file,
            "w",
            samplerate=sample_rate_hz,
            channels=1,
            format=name,
            subtype="PCM_16",
            **compression,
        ) as sound:
            sound.comment = comment
            sound.write(array)
    except soundfile.SoundFileError as error:
        raise EncodeError(f"{len(array)} samples cannot be written as {name}: {error}") from error
    return file.getvalue()


def decode_audio(data: bytes) -> tuple[NDArray[np.int16], int, dict[str, str]]:
    """The array int16 (T,), its rate in Hz, and the metadata of what `encode_audio` wrote.

    Raises EncodeError when `data` is not one of those.
    """
    with _opened(data) as sound:
        metadata = parse_metadata(str(sound.comment), f"this {sound.format}")
        return sound.read(dtype="int16"), int(sound.samplerate), metadata


def read_recording(data: bytes) -> tuple[NDArray[np.int16], int]:
    """The array int16 (T,) and the rate in Hz of anybody's sound file (FLAC, WAV, ...).

    Raises EncodeError when it cannot be read or has more than one channel.
    """
    with _opened(data) as sound:
        if sound.subtype not in _FLOATING:
            return sound.read(dtype="int16"), int(sound.samplerate)
        values = sound.read(dtype="float64")
        if not np.isfinite(values).all():
            raise EncodeError("this sound has samples that are no numbers")
        scaled = np.clip(np.rint(values * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
        return scaled.astype(np.int16), int(sound.samplerate)


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if sound.channels != 1:
                raise EncodeError(f"this sound has {sound.channels} channels, not one")
            if sound.frames > LARGEST_SAMPLES:
                raise EncodeError(
                    f"{sound.frames:,} samples are more than the {LARGEST_SAMPLES:,} that we read"
                )
            yield sound
    except soundfile.SoundFileError as error:
        # Without its prefix, which names an address in memory: a row's error is the same in every
        # attempt.
        why = getattr(error, "error_string", error)
        raise EncodeError(f"these {len(data)} bytes are not a sound file: {why}") from error
