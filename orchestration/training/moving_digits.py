"""Clips of digits that move about, made from images of single ones.

    ┌──────────────┐     each starts anywhere, with a speed and a direction of its own,
    │  7           │     and is thrown back by the edges;
    │    ↘     ↗   │     where two overlap, the brighter pixel is seen
    │        3     │
    └──────────────┘

As the moving MNIST of Srivastava et al. 2015, "Unsupervised Learning of Video Representations using
LSTMs", section 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ancestral.jobs.recipe import MovingDigits
from ancestral.models.errors import DataError

#: Pixels that a digit moves from one frame to the next.
SLOWEST, FASTEST = 1.0, 4.0


def moving_digits(
    images: Sequence[bytes], settings: MovingDigits, *, held_out: bool
) -> Iterator[NDArray[np.uint8]]:
    """Clips (F, canvas, canvas) of `images`, which are grey squares as bytes in C order.

    They are a function of the arguments alone. Raises DataError when an image is no square that
    finds room on the canvas.
    """
    digits = [_square(image, settings.canvas) for image in images]
    generator = np.random.default_rng([settings.seed, held_out])
    for _ in range(settings.held_out_clips if held_out else settings.clips):
        clip = np.zeros((settings.frames, settings.canvas, settings.canvas), np.uint8)
        for index in generator.integers(len(digits), size=settings.digits):
            digit = digits[index]
            side = len(digit)
            path = _path(settings.canvas - side, settings.frames, generator)
            for frame, (top, left) in zip(clip, path, strict=True):
                place = frame[top : top + side, left : left + side]
                np.maximum(place, digit, out=place)
        yield clip


def _path(room: int, frames: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Where a digit is in each frame, (frames, 2) of 0 to `room`: straight on, back at edges."""
    start = generator.uniform(0, room, size=2)
    angle, speed = generator.uniform(0, 2 * math.pi), generator.uniform(SLOWEST, FASTEST)
    velocity = speed * np.array([math.sin(angle), math.cos(angle)])
    straight = start + velocity * np.arange(frames)[:, None]
    # Two edges throw it back and forth: what is beyond an edge is seen in a mirror there.
    folded = room - np.abs(np.mod(straight, 2 * room) - room) if room else np.zeros((frames, 2))
    path: NDArray[np.int64] = np.rint(folded).astype(np.int64)
    return path


def _square(image: bytes, canvas: int) -> NDArray[np.uint8]:
    side = math.isqrt(len(image))
    if side * side != len(image) or side > canvas:
        raise DataError(
            f"an image of {len(image)} bytes is no grey square that moves on {canvas} x {canvas}"
        )
    return np.frombuffer(image, np.uint8).reshape(side, side)
