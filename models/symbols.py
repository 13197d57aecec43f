"""Between media and symbols: pixel values, mu-law and linear amplitudes, real numbers.

A symbol is an integer in {0, ..., levels−1}, or a real number where a signature's levels are null.
Decoding and encoding again gives the same symbol, for every symbol, so that media written
losslessly can be scored later exactly as they were drawn.

    medium   array                                       symbol s is
    image    uint8 (H, W), in colour (H, W, 3)           the value round(255 s / (levels−1))
    video    uint8 (F, H, W), in colour (F, H, W, 3)     likewise: black is 0, white levels−1
    audio    int16 (T,), by the signature's encoding
               "mu-law"   G.711's curve, mu = levels−1   finely near silence, else coarsely
               "linear"                                  round((s − ⌊levels/2⌋) · 65536 / levels)
    series   float64 (T,)                                itself, levels or none

Of sounds, silence is the symbol ⌊levels/2⌋ exactly; linear with 65536 levels is s − 32768, which
is every 16-bit sample there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.models.errors import DataError

Symbols = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]

#: The largest int16 amplitude; −32768 has no positive twin and mu-law treats it as −32767.
FULL_SCALE = 32767

#: The amplitudes that 16 bits can tell apart.
AMPLITUDES = 65536

#: The most levels whose values differ: with more, a symbol would not survive the journey.
LARGEST_LEVELS = {"image": 256, "video": 256, "mu-law": 512, "linear": AMPLITUDES}


def to_media(signature: Mapping[str, Any], symbols: Symbols) -> NDArray[np.generic]:
    """The symbols of an event as what people look at or listen to: an array of the medium.

    With `hidden: n` in the signature the first n symbols, in C order, are a hidden code: they are
    left out, and the rest takes the signature's shape.

    Raises DataError when symbols lie outside the signature's levels.
    """
    if hidden := signature.get("hidden", 0):
        symbols = symbols.reshape(-1)[hidden:].reshape(signature["shape"])
    if signature["medium"] == "series":
        return np.asarray(symbols, np.float64)
    levels = _levels(signature)
    if symbols.size and not 0 <= symbols.min() <= symbols.max() < levels:
        raise DataError(f"symbols from {symbols.min()} to {symbols.max()} in {levels} levels")
    return _values(_kind(signature), levels)[np.asarray(symbols, np.int64)]


def from_media(signature: Mapping[str, Any], array: NDArray[Any]) -> NDArray[np.generic]:
    """The nearest symbols to an array of the medium: int64, or float64 where levels are null.

    Raises DataError when the array's type or axes are not the medium's, and when a series of levels
    holds another number.
    """
    _check(signature, array)
    if signature["medium"] == "series":
        return _series_symbols(signature["levels"], array)
    levels = _levels(signature)
    if signature["medium"] != "audio":
        return quantise(array, levels)
    linear = _kind(signature) == "linear"
    return linear_symbols(array, levels) if linear else compand(array, levels)


def pixel_values(levels: int) -> NDArray[np.uint8]:
    """The uint8 value of each level."""
    level = np.arange(levels)
    return ((2 * 255 * level + levels - 1) // (2 * (levels - 1))).astype(np.uint8)


def quantise(pixels: NDArray[np.uint8], levels: int) -> NDArray[np.int64]:
    """The nearest level of each pixel value."""
    return (2 * pixels.astype(np.int64) * (levels - 1) + 255) // (2 * 255)


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


def linear_amplitudes(levels: int) -> NDArray[np.int16]:
    """The int16 amplitude of each symbol of the linear encoding."""
    steps = (np.arange(levels) - levels // 2) * (AMPLITUDES / levels)
    amplitude: NDArray[np.int16] = np.rint(steps).astype(np.int16)
    return amplitude


def linear_symbols(amplitude: NDArray[np.int16], levels: int) -> NDArray[np.int64]:
    """The nearest symbol of the linear encoding to each int16 amplitude."""
    steps: NDArray[np.int64] = np.rint(amplitude * (levels / AMPLITUDES)).astype(np.int64)
    return np.clip(steps + levels // 2, 0, levels - 1)


def _series_symbols(levels: int | None, array: NDArray[np.float64]) -> NDArray[np.generic]:
    """Raises DataError when one of a series' numbers is none of its levels."""
    if levels is None:
        return np.asarray(array, np.float64)
    wrong = array[~((array >= 0) & (array < levels) & (array == np.floor(array)))]
    if wrong.size:
        raise DataError(
            f"such series holds whole numbers from 0 to {levels - 1}, and one is {wrong[0]:g}"
        )
    return array.astype(np.int64)


def _kind(signature: Mapping[str, Any]) -> str:
    """The medium, or of sounds their encoding: a name in LARGEST_LEVELS."""
    medium: str = signature["medium"]
    return signature["encoding"] if medium == "audio" else medium


@lru_cache
def _values(kind: str, levels: int) -> NDArray[np.generic]:
    """What each symbol stands for; asked for with each event."""
    if kind == "linear":
        return linear_amplitudes(levels)
    return amplitudes(levels) if kind == "mu-law" else pixel_values(levels)


def _levels(signature: Mapping[str, Any]) -> int:
    """Raises DataError when they are more than the medium's values can tell apart."""
    levels, kind = int(signature["levels"]), _kind(signature)
    if not 2 <= levels <= LARGEST_LEVELS[kind]:
        raise DataError(f"{kind} has 2 to {LARGEST_LEVELS[kind]} levels, not {levels}")
    return levels


def _check(signature: Mapping[str, Any], array: NDArray[Any]) -> None:
    medium, shape = signature["medium"], signature["shape"]
    dtype = {"audio": np.int16, "series": np.float64}.get(medium, np.uint8)
    coloured = len(shape) == {"image": 3, "video": 4}.get(medium)
    if array.dtype != dtype or array.ndim != len(shape) or (coloured and array.shape[-1] != 3):
        axes = f"{len(shape)} axes" + (", the last of 3 colours" if coloured else "")
        raise DataError(
            f"such {medium} is {np.dtype(dtype)} with {axes}, not {array.dtype} of shape "
            f"{array.shape}"
        )
