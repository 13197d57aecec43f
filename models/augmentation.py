"""Images, each time a little different: shifted, turned, slanted, stretched.

    ┌────────┐      ┌────────┐      what comes in from beyond an edge is the edge's own pixel,
    │  ██    │  ──► │     ██ │      so that a background goes on
    │  ██    │      │    ██  │
    └────────┘      └────────┘

A pixel of the new image is where A⁻¹ (p − centre − shift) + centre was (A slants, then stretches,
then turns), cubic between the sixteen pixels around it: Keys 1981, "Cubic Convolution Interpolation
for Digital Image Processing", equation 15. That keeps edges sharper than linear interpolation. By
whole pixels alone, values stay as they are.
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
    #: Larger or smaller by that much, in hundredths: height and width each by its own.
    scale_percent: float = 0.0
    #: Columns to the side, in hundredths of the rows below the centre.
    slant_percent: float = 0.0
    #: Of the images, how many are turned, scaled and slanted; the others are only shifted.
    share: float = 1.0

    def __post_init__(self) -> None:
        """Raises ConfigError for what is no change."""
        if self.shift_pixels < 0 or not 0 <= self.turn_degrees <= 180:
            raise ConfigError("shift_pixels is at least 0, and turn_degrees is 0 to 180")
        for name in ("scale_percent", "slant_percent"):
            if not 0 <= getattr(self, name) < 100:
                raise ConfigError(f"{name} is at least 0 and below 100, not {getattr(self, name)}")
        if not 0 <= self.share <= 1:
            raise ConfigError(f"share is 0 to 1, not {self.share}")


def augment(
    image: NDArray[np.uint8], how: Augmentation, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Such an image, (H, W) or (H, W, 3), changed by as much as `generator` says."""
    shift = generator.integers(-how.shift_pixels, how.shift_pixels, endpoint=True, size=2)
    if generator.random() >= how.share:
        return warp(image, shift)
    angle = math.radians(generator.uniform(-how.turn_degrees, how.turn_degrees))
    scale = 1 + generator.uniform(-how.scale_percent, how.scale_percent, 2) / 100
    slant = generator.uniform(-how.slant_percent, how.slant_percent) / 100
    return warp(image, shift, angle, (float(scale[0]), float(scale[1])), slant)


def warp(
    image: NDArray[np.uint8],
    shift: NDArray[Any],
    angle: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    slant: float = 0.0,
) -> NDArray[np.uint8]:
    """The image moved down and right by `shift` (2,) pixels, turned by `angle` (radians, from down
    to right), enlarged by `scale` (down, right), and slanted by `slant` columns to the right in
    each row down, about its centre."""
    sides = np.array(image.shape[:2])
    if np.issubdtype(shift.dtype, np.integer) and (angle, *scale, slant) == (0, 1, 1, 0):
        # The same as below, at a fraction of the time.
        y, x = (np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(sides, shift, strict=True))
        moved: NDArray[np.uint8] = image[y[:, None], x]
        return moved
    centre = (sides - 1) / 2
    rows, columns = np.indices(image.shape[:2], np.float64)
    down, right = rows - centre[0] - shift[0], columns - centre[1] - shift[1]
    cos, sin = math.cos(angle), math.sin(angle)
    from_down = (cos * down + sin * right) / scale[0]
    from_right = (cos * right - sin * down) / scale[1] - slant * from_down
    ys, of_ys = _around(from_down + centre[0], sides[0], image.ndim)
    xs, of_xs = _around(from_right + centre[1], sides[1], image.ndim)
    warped = np.zeros(image.shape)
    for y, of_y in zip(ys, of_ys, strict=True):
        for x, of_x in zip(xs, of_xs, strict=True):
            warped += of_y * of_x * image[y, x]
    return np.clip(np.rint(warped), 0, 255).astype(np.uint8)


def _around(
    place: NDArray[np.float64], side: int, axes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The four pixels around each place (H, W) along a side, and what each adds to its value: both
    (4, H, W), the latter with a last axis for colours in images that have them."""
    inside = np.clip(place, 0, side - 1)
    before = np.floor(inside).astype(np.int64)
    pixels = np.stack([np.clip(before + offset, 0, side - 1) for offset in (-1, 0, 1, 2)])
    t = inside - before
    shares = np.stack(
        [
            ((-0.5 * t + 1) * t - 0.5) * t,
            (1.5 * t - 2.5) * t**2 + 1,
            ((-1.5 * t + 2) * t + 0.5) * t,
            (0.5 * t - 0.5) * t**2,
        ]
    )
    return pixels, shares[..., None] if axes == 3 else shares
