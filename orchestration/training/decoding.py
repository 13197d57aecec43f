"""From the bytes of a row to an event: an image, a clip, a sound or a series as an array.

    image    column `image`                           uint8 (H, W), or (H, W, 3) in colour
    video    column `video`                           uint8 (F, H, W), or (F, H, W, 3)
    audio    columns `audio`, `codec`, `sample_rate`  int16 (T,)
    series   column `series`, or those of a sound     float64 (T,)

The signature of the network that is to learn from it says the shape and the sample rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import TrainingData
from ancestral.jobs.wording import shown
from ancestral.models import normalise_loudness
from ancestral.models.errors import DataError
from ancestral.orchestration.training.rows import Row, bytes_of
from ancestral.workers.errors import EncodeError
from ancestral.workers.sounds import read_recording

#: How files of images begin, by their formats.
IMAGE_FILES = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}

#: The columns of a sound.
SOUND_COLUMNS = ("audio", "codec", "sample_rate")


def event_columns(signature: Mapping[str, Any], data: TrainingData) -> tuple[str, ...]:
    """The columns that `decode` needs.

    Raises SpecError when the recipe's data cannot be what the model makes.
    """
    medium = signature["medium"]
    if data.source is not None and medium != "series":
        raise SpecError(f"'data.source' is for models of series, and this one makes {medium}")
    if data.packed and medium != "image":
        raise SpecError(f"'data.packed' is for models of images, and this one makes {medium}")
    return SOUND_COLUMNS if "audio" in (medium, data.source) else (medium,)


def decode(row: Row, signature: Mapping[str, Any], data: TrainingData) -> NDArray[Any]:
    """The event that a row of those columns holds. Raises DataError."""
    medium = signature["medium"]
    if medium == "audio":
        if row["sample_rate"] != signature["sample_rate_hz"]:
            raise DataError(
                f"the sound has {row['sample_rate']} samples a second, not "
                f"{signature['sample_rate_hz']}"
            )
        return _sound(row, data)
    if medium == "series":
        return _sound(row, data).astype(np.float64) if data.source else _series(row["series"])
    return _pixels(bytes_of(row, medium), signature, packed=data.packed)


def sound_of(row: Row) -> NDArray[np.int16]:
    """The sound (T,) that the columns `audio` and `codec` hold, as it is. Raises DataError."""
    sound = decode_sound(bytes_of(row, "audio"), row["codec"])
    if not len(sound):
        raise DataError("the sound has no samples")
    return sound


def decode_sound(data: bytes, codec: str) -> NDArray[np.int16]:
    """The sound (T,) that the columns `audio` and `codec` hold. Raises DataError."""
    if codec == "flac":
        try:
            return read_recording(data)[0]
        except EncodeError as error:
            raise DataError(str(error)) from error
    if codec == "pcm_s16le" and len(data) % 2 == 0:
        return np.frombuffer(data, "<i2").astype(np.int16)
    raise DataError(f"these {len(data)} bytes of audio are no {shown(codec)} that we can read")


def _sound(row: Row, data: TrainingData) -> NDArray[np.int16]:
    sound = sound_of(row)
    return sound if data.loudness_dbfs is None else normalise_loudness(sound, data.loudness_dbfs)


def _series(values: object) -> NDArray[np.float64]:
    try:
        series = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the column 'series' holds {shown(values)}, no numbers") from error
    if series.ndim != 1 or not len(series) or not np.isfinite(series).all():
        raise DataError("the series is no list of finite numbers")
    return series


def _pixels(data: bytes, signature: Mapping[str, Any], packed: bool) -> NDArray[np.uint8]:
    shape = signature["shape"]
    size = math.prod(side for side in shape if side is not None)
    wanted = -(-size // 8) if packed else size
    frames = len(data) // wanted if None in shape else 1
    if not frames or len(data) != frames * wanted:
        sides = " x ".join("any" if side is None else str(side) for side in shape)
        unit = "bits" if packed else "bytes"
        raise DataError(
            f"the {signature['medium']} has {len(data)} bytes, not {sides} {unit}"
            f"{_file(data) or _colours(data, shape)}"
        )
    pixels = np.frombuffer(data, np.uint8)
    if packed:
        pixels = 255 * np.unpackbits(pixels, count=size)
    return pixels.reshape([-1 if side is None else side for side in shape])


def _colours(data: bytes, shape: Sequence[int]) -> str:
    """The same: that they are in colour, if it looks like it."""
    if len(shape) != 2 or len(data) != 3 * math.prod(shape):
        return ""
    return f"; they would be {shape[0]} x {shape[1]} x 3 in colour: give the model 'colours: 3'"


def _file(data: bytes) -> str:
    """What to append to a sentence about wrong pixels: that they are not decoded yet, if so."""
    formats = [each for each, beginning in IMAGE_FILES.items() if data.startswith(beginning)]
    return f"; these are the bytes of a {formats[0]} file: decode them" if formats else ""
