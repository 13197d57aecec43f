"""Arrays to the bytes of images and sounds, and back.

Both formats are lossless, and what is written depends on nothing but the array and the metadata: no
date, no host, no version of ours. So equal artifacts have equal bytes, and equal sha256.

    medium   array            format   metadata lies in
    image    uint8 (H, W)     PNG      one tEXt chunk per key
    audio    int16 (T,)       FLAC     the COMMENT tag, as JSON
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from ancestral.workers.errors import EncodeError

#: Of deflate, 0 to 9. Fixed, because it decides the bytes.
PNG_COMPRESSION = 6

#: Of FLAC, 0 to 1 in libsndfile's terms (1 is flac -8). Fixed, because it decides the bytes.
FLAC_COMPRESSION = 0.625

#: A FLAC header has 20 bits for the sample rate; libsndfile's encoder stops here.
LARGEST_SAMPLE_RATE_HZ = 655_350


@dataclass(frozen=True)
class Artifact:
    """One encoded image or sound: its bytes, and the facts that the index tells of it.

    width, height and channels are those of an image; frames, channels, sample_rate_hz and
    duration_seconds those of a sound. What does not apply is None.
    """

    data: bytes
    suffix: str
    media_type: str
    channels: int
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    sample_rate_hz: int | None = None
    duration_seconds: float | None = None


def encode(
    signature: Mapping[str, Any], array: np.ndarray, metadata: Mapping[str, str]
) -> Artifact:
    """The artifact of what a model of that signature made.

    Raises EncodeError when the array does not fit the medium.
    """
    if signature["medium"] == "image":
        data = encode_image(array, metadata)
        height, width = array.shape
        return Artifact(data, "png", "image/png", channels=1, width=width, height=height)
    if signature["medium"] == "audio":
        sample_rate_hz = signature["sample_rate_hz"]
        return Artifact(
            encode_audio(array, sample_rate_hz, metadata),
            "flac",
            "audio/flac",
            channels=1,
            frames=len(array),
            sample_rate_hz=sample_rate_hz,
            duration_seconds=len(array) / sample_rate_hz,
        )
    raise EncodeError(f"no encoding is known for the medium {signature['medium']!r}")


def encode_image(array: np.ndarray, metadata: Mapping[str, str]) -> bytes:
    """A greyscale PNG of `array` uint8 (H, W).

    Raises EncodeError for any other array, and for an empty one.
    """
    _check_array(array, np.uint8, dimensions=2)
    chunks = PngInfo()
    for key, value in metadata.items():
        chunks.add_text(key, value)
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(array))
    image.save(file, "PNG", pnginfo=chunks, compress_level=PNG_COMPRESSION)
    return file.getvalue()


def decode_image(data: bytes) -> tuple[np.ndarray, dict[str, str]]:
    """The array uint8 (H, W) and the metadata of a PNG that `encode_image` wrote.

    Raises EncodeError when `data` is not a greyscale PNG.
    """
    try:
        with PngImageFile(io.BytesIO(data)) as image:
            image.load()
            mode, array = image.mode, np.asarray(image)
            metadata = {key: str(value) for key, value in image.text.items()}
    except (OSError, SyntaxError) as error:
        raise EncodeError(f"these {len(data)} bytes are not a PNG: {error}") from error
    if mode != "L":
        raise EncodeError(f"this PNG is not greyscale: its mode is {mode!r}")
    return array, metadata


def encode_audio(array: np.ndarray, sample_rate_hz: int, metadata: Mapping[str, str]) -> bytes:
    """A FLAC of one channel and 16 bits of `array` int16 (T,).

    Raises EncodeError for any other array, for an empty one, and for a rate FLAC cannot tell.
    """
    _check_array(array, np.int16, dimensions=1)
    if not 1 <= sample_rate_hz <= LARGEST_SAMPLE_RATE_HZ:
        raise EncodeError(f"FLAC has no sample rate of {sample_rate_hz} Hz")
    file = io.BytesIO()
    try:
        with soundfile.SoundFile(
            file,
            "w",
            samplerate=sample_rate_hz,
            channels=1,
            format="FLAC",
            subtype="PCM_16",
            compression_level=FLAC_COMPRESSION,
        ) as sound:
            sound.comment = canonical_json(metadata)
            sound.write(array)
    except soundfile.SoundFileError as error:
        raise EncodeError(f"{len(array)} samples cannot be written as FLAC: {error}") from error
    return file.getvalue()


def decode_audio(data: bytes) -> tuple[np.ndarray, int, dict[str, str]]:
    """The array int16 (T,), its rate in Hz, and the metadata of a FLAC that `encode_audio` wrote.

    Raises EncodeError when `data` is not one of those.
    """
    array, sample_rate_hz, comment = _read_sound(data)
    try:
        return array, sample_rate_hz, json.loads(comment)
    except json.JSONDecodeError as error:
        raise EncodeError(f"these {len(data)} bytes are not a FLAC of ours: {error}") from error


def read_recording(data: bytes) -> tuple[np.ndarray, int]:
    """The array int16 (T,) and the rate in Hz of anybody's sound file (FLAC, WAV, ...).

    Raises EncodeError when it cannot be read or has more than one channel.
    """
    array, sample_rate_hz, _ = _read_sound(data)
    return array, sample_rate_hz


def _read_sound(data: bytes) -> tuple[np.ndarray, int, str]:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            array, comment = sound.read(dtype="int16"), str(sound.comment)
            sample_rate_hz = int(sound.samplerate)
    except soundfile.SoundFileError as error:
        raise EncodeError(f"these {len(data)} bytes are not a sound file: {error}") from error
    if array.ndim != 1:
        raise EncodeError(f"this sound has {array.shape[1]} channels, not one")
    return array, sample_rate_hz, comment


def canonical_json(data: Mapping[str, Any]) -> str:
    """JSON that is equal when the data are: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _check_array(array: np.ndarray, dtype: type[np.generic], dimensions: int) -> None:
    if array.dtype != dtype or array.ndim != dimensions or array.size == 0:
        raise EncodeError(
            f"expected {np.dtype(dtype).name} of {dimensions} dimensions and at least one value, "
            f"not {array.dtype} of shape {array.shape}"
        )
