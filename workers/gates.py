"""Gates: reasons to reject what was drawn. A rejected artifact is kept, and its row says why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ancestral.jobs.spec import Gates

#: A 16-bit sample of this size is at 0 dBFS.
FULL_SCALE = 32768

#: What samples of 16 bits are clipped to below zero: −32768 has no positive twin.
LOWEST = -32767


def check(
    signature: Mapping[str, Any], array: np.ndarray, symbols: np.ndarray, gates: Gates
) -> str | None:
    """Why the array should be rejected, or None if it may pass.

    `array` is what the signature's medium says, such as an image uint8 (H, W) or (H, W, 3) or a
    sound int16 (T,), and `symbols` are what it was made of; a gate of another medium lets it pass.
    """
    match signature["medium"]:
        case "audio":
            return _check_sound(signature, array, symbols, gates)
        case "image":
            return _check_image(array, gates)
    return None


def level_dbfs(sound: np.ndarray) -> float:
    """The root mean square of int16 (T,) in decibels of full scale; minus infinity for zeros."""
    power = float(np.mean(np.square(sound.astype(np.float64) / FULL_SCALE)))
    return 10 * math.log10(power) if power > 0 else -math.inf


def clipped_share(signature: Mapping[str, Any], sound: np.ndarray, symbols: np.ndarray) -> float:
    """The share of the samples of int16 (T,) that are in the lowest or the highest level; of all 16
    bits, also in the second one."""
    heard = symbols[signature.get("hidden", 0) :]
    clipped = (heard == 0) | (heard == signature["levels"] - 1) | (sound == LOWEST)
    return float(clipped.mean())


def _check_sound(
    signature: Mapping[str, Any], sound: np.ndarray, symbols: np.ndarray, gates: Gates
) -> str | None:
    seconds = len(sound) / signature["sample_rate_hz"]
    if gates.shortest_seconds is not None and seconds < gates.shortest_seconds:
        return f"length: {seconds:g} s is shorter than {gates.shortest_seconds:g} s"
    if gates.longest_seconds is not None and seconds > gates.longest_seconds:
        return f"length: {seconds:g} s is longer than {gates.longest_seconds:g} s"
    if gates.silence_dbfs is not None:
        level = level_dbfs(sound)
        if level < gates.silence_dbfs:
            return f"silence: {level:.1f} dBFS is below {gates.silence_dbfs:g} dBFS"
    if gates.clipped_share is not None:
        share = clipped_share(signature, sound, symbols)
        if share > gates.clipped_share:
            return f"clipping: {share:g} of the samples are clipped, above {gates.clipped_share:g}"
    return None


def _check_image(image: np.ndarray, gates: Gates) -> str | None:
    if gates.constant_image and (image == image[0, 0]).all():
        return f"constant image: every pixel is {image[0, 0].tolist()}"
    return None
