"""Lossless MP4: H.264 without quantisation, in RGB or in grey.

    array                   coded as                      metadata lies in
    uint8 (F, H, W)         luma alone, of full range     the container's comment, as JSON
    uint8 (F, H, W, 3)      G, B and R in full            likewise

Each of the F frames is shown for as long as every other.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange

from ancestral.workers.arrays import LARGEST_PIXELS, Pixels, check_pixels
from ancestral.workers.errors import EncodeError
from ancestral.workers.metadata import canonical_json, parse_metadata

#: No quantisation, which makes H.264 lossless. The rest decides the bytes, and processors may not.
X264 = {"qp": "0", "preset": "medium", "x264-params": "cpu-independent=1"}

#: Bitexact leaves out dates and versions.
CONTAINER = {"fflags": "+bitexact"}

#: No picture is decoded that is larger by itself, neither to be read nor to learn what is there.
LIMIT = {"max_pixels": str(LARGEST_PIXELS)}

#: The largest denominator of a rate: 29.97 frames a second are 2997 in 100 seconds.
RATE_DENOMINATOR = 1000


def encode_mp4(array: np.ndarray, frames_per_second: float, metadata: Mapping[str, str]) -> bytes:
    """An MP4 of the clip uint8 (F, H, W) or (F, H, W, 3).

    Raises EncodeError when H.264 cannot hold it.
    """
    grey = array.ndim == 3
    rate = Fraction(frames_per_second).limit_denominator(RATE_DENOMINATOR)
    file = io.BytesIO()
    try:
        with av.open(file, "w", format="mp4", options=CONTAINER) as container:
            container.metadata["comment"] = canonical_json(metadata)
            stream = container.add_stream("libx264" if grey else "libx264rgb", rate, options=X264)
            stream.height, stream.width = array.shape[1:3]
            stream.pix_fmt = "gray" if grey else "rgb24"
            if grey:
                stream.codec_context.color_range = ColorRange.JPEG
            # The number of threads decides the bytes.
            stream.codec_context.thread_count = 1
            for pixels in array:
                frame = av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(pixels), format=stream.pix_fmt
                )
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as error:
        raise EncodeError(f"a clip of shape {array.shape} does not fit MP4: {error}") from error
    return file.getvalue()


def decode_mp4(data: bytes) -> tuple[Pixels, dict[str, str]]:
    """The clip and the metadata of an MP4 that `encode_mp4` wrote.

    Raises EncodeError when `data` is not one of those.
    """
    with _opened(data) as container:
        metadata = parse_metadata(container.metadata.get("comment", ""), "this MP4")
        return _frames(container, luma="gray"), metadata


def read_mp4(data: bytes) -> Pixels:
    """The frames (F, H, W, 3) of anybody's MP4. Raises EncodeError when it cannot be read."""
    with _opened(data) as container:
        return _frames(container, luma="rgb24")


def _frames(container: InputContainer, luma: str) -> Pixels:
    """The frames; where they are not stored as RGB, `luma` says what to make of them."""
    frames: list[Pixels] = []
    for frame in container.decode(video=0):
        check_pixels(len(frames) + 1, frame.height, frame.width)
        layout = "rgb24" if frame.format.name == "gbrp" else luma
        frames.append(np.asarray(frame.to_ndarray(format=layout), np.uint8))
    if not frames:
        raise EncodeError("this MP4 has no frames")
    return np.stack(frames)


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[InputContainer]:
    try:
        # The format is told, since some that would be guessed open files of this machine.
        with av.open(io.BytesIO(data), "r", format="mp4", options=LIMIT) as container:
            if not container.streams.video:
                raise EncodeError("this MP4 has no pictures")
            codec = container.streams.video[0].codec_context
            codec.options = LIMIT
            check_pixels(1, codec.height, codec.width)
            yield container
    except (av.FFmpegError, ValueError) as error:
        raise EncodeError(
            f"these {len(data)} bytes are not an MP4, or its pictures have more than "
            f"{LARGEST_PIXELS:,} pixels: {error}"
        ) from error
