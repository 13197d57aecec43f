"""What a model made to an artifact, and anybody's file to what a model takes; by its medium.

    medium   array                                          formats, the default first
    image    uint8 (H, W), in colour (H, W, 3)              png, webp     images.py
    audio    int16 (T,)                                     flac, wav     sounds.py
    video    uint8 (F, H, W), in colour (F, H, W, 3)        webp, mp4     clips.py
    series   float64 (T,)                                   npy           series.py

All formats are lossless, and what is written depends on nothing but the array and the metadata: no
date, no host, no version of ours. So equal artifacts have equal bytes, and equal sha256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ancestral.jobs.spec import MEDIA_TYPES, Media
from ancestral.workers.arrays import in_channels
from ancestral.workers.clips import encode_clip, read_clip
from ancestral.workers.errors import EncodeError
from ancestral.workers.images import encode_image, read_image
from ancestral.workers.series import encode_series, read_series
from ancestral.workers.sounds import encode_audio, read_recording


@dataclass(frozen=True)
class Encoded:
    """One encoded image, sound, clip or series: its bytes, and the facts that the index tells.

    width, height and channels are those of an image or a clip; a sound has channels and a sample
    rate; a sound, a clip and a series have frames, and the first two last for duration_seconds.
    What does not apply is None.
    """

    data: bytes
    suffix: str
    media_type: str
    channels: int | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    sample_rate_hz: int | None = None
    duration_seconds: float | None = None


def encode(
    signature: Mapping[str, Any], array: np.ndarray, metadata: Mapping[str, str], media: Media
) -> Encoded:
    """The artifact of what a model of that signature made, in the formats of `media`.

    Raises EncodeError when the array does not fit the medium or its format.
    """
    facts: dict[str, Any]
    match signature["medium"]:
        case "image":
            data = encode_image(array, metadata, media.image)
            facts = _picture_facts(array.shape)
        case "audio":
            rate = signature["sample_rate_hz"]
            data = encode_audio(array, rate, metadata, media.audio)
            facts = {"channels": 1, "sample_rate_hz": rate, **_duration_facts(len(array), rate)}
        case "video":
            rate = signature["frames_per_second"]
            data = encode_clip(array, rate, metadata, media.video)
            facts = {**_picture_facts(array.shape[1:]), **_duration_facts(len(array), rate)}
        case "series":
            data = encode_series(array)
            facts = {"frames": len(array)}
        case medium:
            raise EncodeError(f"no encoding is known for the medium {medium!r}")
    suffix = getattr(media, signature["medium"])
    return Encoded(data, suffix, MEDIA_TYPES[signature["medium"], suffix], **facts)


def read_media(signature: Mapping[str, Any], data: bytes) -> np.ndarray:
    """What is in anybody's file, as a model of that signature takes it, of whatever size.

    Greys become colours for a model of colours. Raises EncodeError when the file cannot be read,
    has colours that a grey model would lose, or another sample rate.
    """
    match signature["medium"]:
        case "image":
            return in_channels(read_image(data), signature["shape"])
        case "audio":
            sound, sample_rate_hz = read_recording(data)
            wanted = signature["sample_rate_hz"]
            if sample_rate_hz != wanted:
                raise EncodeError(f"this sound has {sample_rate_hz} samples a second, not {wanted}")
            return sound
        case "video":
            return in_channels(read_clip(data), signature["shape"])
        case "series":
            return read_series(data)
        case medium:
            raise EncodeError(f"no encoding is known for the medium {medium!r}")


def _picture_facts(shape: tuple[int, ...]) -> dict[str, int]:
    """Of a picture (H, W) or (H, W, 3)."""
    return {"height": shape[0], "width": shape[1], "channels": 1 if len(shape) == 2 else shape[2]}


def _duration_facts(frames: int, rate: float) -> dict[str, float]:
    return {"frames": frames, "duration_seconds": frames / rate}
