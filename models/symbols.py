"""Between media and symbols: grey levels and mu-law.

A symbol is an integer in {0, ..., levels−1}. Decoding and encoding again gives the same symbol, for
every symbol, so that media written losslessly can be scored later exactly as they were drawn.

    image   symbol s is the grey value round(255 s / (levels−1)): black is 0, white levels−1
    audio   mu-law (ITU-T G.711's curve, mu = levels−1): fine steps near silence, which is symbol
            levels/2 exactly, and coarse ones near full scale

Shapes: (H, W) for images, (T,) for sounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.models.errors import DataError

Symbols = NDArray[np.integer[Any]]

#: The largest int16 amplitude; −32768 has no positive twin and is treated as −32767.
FULL_SCALE = 32767


def to_media(signature: Mapping[str, Any], symbols: Symbols) -> NDArray[np.generic]:
    """Symbols as what people look at or listen to: uint8 (H, W) or int16 (T,).

    Raises DataError when symbols lie outside the signature's levels.
    """
    levels = int(signature["levels"])
    if symbols.size and not 0 <= symbols.min() <= symbols.max() < levels:
        raise DataError(f"symbols from {symbols.min()} to {symbols.max()} in {levels} levels")
    if signature["medium"] == "image":
        return grey_values(levels)[symbols]
    return amplitudes(levels)[symbols]


def from_media(signature: Mapping[str, Any], array: NDArray[Any]) -> NDArray[np.int64]:
    """The nearest symbols to uint8 (H, W) or int16 (T,), as int64.

    Raises DataError when the array's type or number of axes is not the medium's.
    """
    image = signature["medium"] == "image"
    dtype, axes = (np.uint8, 2) if image else (np.int16, 1)
    if array.dtype != dtype or array.ndim != axes:
        raise DataError(
            f"an {signature['medium']} is {np.dtype(dtype)} with {axes} axes,"
            f" not {array.dtype} with {array.ndim}"
        )
    levels = int(signature["levels"])
    return quantise(array, levels) if image else compand(array, levels)


def grey_values(levels: int) -> NDArray[np.uint8]:
    """The uint8 grey value of each level."""
    level = np.arange(levels)
    return ((2 * 255 * level + levels - 1) // (2 * (levels - 1))).astype(np.uint8)


def quantise(grey: NDArray[np.uint8], levels: int) -> NDArray[np.int64]:
    """The nearest level of each grey value."""
    return (2 * grey.astype(np.int64) * (levels - 1) + 255) // (2 * 255)


def amplitudes(levels: int) -> NDArray[np.int16]:
    """The int16 amplitude of each mu-law symbol."""
    mu, half = levels - 1, levels // 2
    companded = (np.arange(levels) - half) / half
    linear = np.sign(companded) * (np.power(1.0 + mu, np.abs(companded)) - 1) / mu
    amplitude: NDArray[np.int16] = np.rint(linear * FULL_SCALE).astype(np.int16)
    return amplitude


def compand(amplitude: NDArray[np.int16], levels: int) -> NDArray[np.int64]:
    """The nearest mu-law symbol, on the companded scale, of each int16 amplitude."""
    mu, half = levels - 1, levels // 2
    linear = np.clip(amplitude.astype(np.float64) / FULL_SCALE, -1.0, 1.0)
    companded = np.sign(linear) * np.log1p(mu * np.abs(linear)) / np.log1p(mu)
    symbols: NDArray[np.int64] = np.rint(companded * half).astype(np.int64) + half
    return np.clip(symbols, 0, levels - 1)
