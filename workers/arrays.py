"""What arrays must be to become media, and how large those that come from media may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.workers.errors import EncodeError

Pixels = NDArray[np.uint8]

#: Of all frames together. A small file can unfold to more than a machine's memory.
LARGEST_PIXELS = 2**26


def check_array(
    array: np.ndarray, dtype: type[np.generic], axes: str, *, colours: bool = False
) -> None:
    """Raises EncodeError unless `array` has that dtype, an axis for each letter, and a value.

    With `colours` a last axis of red, green and blue may follow.
    """
    wanted = [f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"]
    if colours:
        wanted.append(f"({', '.join(axes)}, 3)")
    fits = array.ndim == len(axes)
    coloured = colours and array.ndim == len(axes) + 1 and array.shape[-1] == 3
    if array.dtype != dtype or not (fits or coloured) or array.size == 0:
        raise EncodeError(
            f"expected {np.dtype(dtype).name} {' or '.join(wanted)} with at least one value, "
            f"not {array.dtype} of shape {array.shape}"
        )


def check_pixels(frames: int, height: int, width: int) -> None:
    """Raises EncodeError when pictures of that size are more than we read."""
    pixels = frames * height * width
    if pixels > LARGEST_PIXELS:
        raise EncodeError(f"{pixels:,} pixels are more than the {LARGEST_PIXELS:,} that we read")


def in_channels(array: Pixels, shape: Sequence[Any]) -> Pixels:
    """Pixels (..., H, W) or (..., H, W, 3), grey or in colour as the event of that `shape` is.

    Raises EncodeError when colours would be lost.
    """
    if array.ndim == len(shape):
        return array
    if array.ndim < len(shape):
        return np.repeat(array[..., None], 3, axis=-1)
    if (array != array[..., :1]).any():
        raise EncodeError("this is in colour, and the model draws greys")
    return array[..., 0]
