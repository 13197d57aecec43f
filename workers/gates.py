"""Gates: reasons to reject what was drawn. A rejected artifact is kept, and its row says why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ancestral.jobs.spec import Gates

#: A 16-bit sample of this size is at 0 dBFS.
FULL_SCALE = 32768


def check(signature: Mapping[str, Any], array: np.ndarray, gates: Gates) -> str | None:
    """Why the array should be rejected, or None if it may pass.

    `array` is what the signature's medium says, such as an image uint8 (H, W) or (H, W, 3) or a
    sound int16 (T,); a gate of another medium lets it pass.
    """
    if signature["medium"] == "audio" and gates.silence_dbfs is not None:
        level = level_dbfs(array)
        if level < gates.silence_dbfs:
            return f"silence: {level:.1f} dBFS is below {gates.silence_dbfs:g} dBFS"
    if signature["medium"] == "image" and gates.constant_image and (array == array[0, 0]).all():
        return f"constant image: every pixel is {array[0, 0].tolist()}"
    return None


def level_dbfs(sound: np.ndarray) -> float:
    """The root mean square of int16 (T,) in decibels of full scale; minus infinity for zeros."""
    power = float(np.mean(np.square(sound.astype(np.float64) / FULL_SCALE)))
    return 10 * math.log10(power) if power > 0 else -math.inf
