"""Images, each time a little different: shifted, turned, larger or smaller.

    ┌────────┐      ┌────────┐      what comes in from beyond an edge is the edge's own pixel,
    │  ██    │  ──► │     ██ │      so that a background goes on
    │  ██    │      │    ██  │
    └────────┘      └────────┘

A pixel of the new image is where A⁻¹ (p − centre − shift) + centre was, bilinear between four
pixels (A turns and scales). By whole pixels alone, values stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.models.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """How much images change at most, each way."""

    #: Whole pixels up, down, left and right.
    shift_pixels: int = 0
    #: About the centre.
    turn_degrees: float = 0.0
    #: Larger or smaller by that much, in hundredths.
    scale_percent: float = 0.0

    def __post_init__(self) -> None:
        """Raises ConfigError for what is no change."""
        if self.shift_pixels < 0 or not 0 <= self.turn_degrees <= 180:
            raise ConfigError("shift_pixels is at least 0, and turn_degrees is 0 to 180")
        if not 0 <= self.scale_percent < 100:
            raise ConfigError(
                f"scale_percent is at least 0 and below 100, not {self.scale_percent}"
            )


def augment(
    image: NDArray[np.uint8], how: Augmentation, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Such an image, (H, W) or (H, W, 3), changed by as much as `generator` says."""
    shift = generator.integers(-how.shift_pixels, how.shift_pixels, endpoint=True, size=2)
    angle = math.radians(generator.uniform(-how.turn_degrees, how.turn_degrees))
    scale = 1 + generator.uniform(-how.scale_percent, how.scale_percent) / 100
    return warp(image, shift, angle, scale)


def warp(
    image: NDArray[np.uint8], shift: NDArray[Any], angle: float = 0.0, scale: float = 1.0
) -> NDArray[np.uint8]:
    """The image moved down and right by `shift` (2,) pixels, turned by `angle` (radians, from down
    to right) and enlarged by `scale` about its centre."""
    sides = np.array(image.shape[:2])
    if angle == 0 and scale == 1:
        # The same as below, at a tenth of the time.
        y, x = (np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(sides, shift, strict=True))
        moved: NDArray[np.uint8] = image[y[:, None], x]
        return moved
    centre = (sides - 1) / 2
    rows, columns = np.indices(image.shape[:2], np.float64)
    down, right = rows - centre[0] - shift[0], columns - centre[1] - shift[1]
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    y, y_share = _between(cos * down + sin * right + centre[0], sides[0], image.ndim)
    x, x_share = _between(cos * right - sin * down + centre[1], sides[1], image.ndim)
    below, beside = np.minimum(y + 1, sides[0] - 1), np.minimum(x + 1, sides[1] - 1)
    upper = image[y, x] * (1 - x_share) + image[y, beside] * x_share
    lower = image[below, x] * (1 - x_share) + image[below, beside] * x_share
    warped: NDArray[np.uint8] = np.rint(upper * (1 - y_share) + lower * y_share).astype(np.uint8)
    return warped


def _between(
    place: NDArray[np.float64], side: int, axes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pixel before each place along a side, and how far it lies behind it, 0 to 1."""
    inside = np.clip(place, 0, side - 1)
    before = np.floor(inside).astype(np.int64)
    share = inside - before
    return before, share[..., None] if axes == 3 else share
