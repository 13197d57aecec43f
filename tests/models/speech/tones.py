"""A language of tones: each letter is a pitch of its own, and each voice has its own pace.

The voice 0 takes four columns for each letter and the voice 1 six; silence takes half as many.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from ancestral.models.speech.front_end import FrontEnd
from ancestral.models.speech.learning import Recording

RATE_HZ, HOP = 8000, 80
CHARACTERS = " abc"
HERTZ = {"a": 300.0, "b": 900.0, "c": 2200.0}
COLUMNS = (4, 6)

TEXTS = ["".join(each) for each in itertools.permutations("abc")] + [
    "ab",
    "ca",
    "bc",
    "abcab",
    "cb",
]


def pace(text: str, voice: int) -> list[int]:
    """The columns of silence, of each letter, and of silence."""
    return [COLUMNS[voice] // 2, *[COLUMNS[voice]] * len(text), COLUMNS[voice] // 2]


def said(text: str, voice: int, loudness: float = 0.3) -> Tensor:
    """The sound (T,) of a text."""
    parts = []
    for letter, columns in zip(f" {text} ", pace(text, voice), strict=True):
        time = torch.arange(columns * HOP) / RATE_HZ
        hertz = HERTZ.get(letter, 0.0)
        parts.append(loudness * torch.sin(2 * math.pi * hertz * time))
    return torch.cat(parts)


def fresh(channels: int = 24) -> FrontEnd:
    """A front end of two voices that knows nothing yet."""
    torch.manual_seed(0)
    return FrontEnd(CHARACTERS, 2, sample_rate_hz=RATE_HZ, hop=HOP, channels=channels)


def recordings(front_end: FrontEnd) -> list[Recording]:
    """Every text in both voices."""
    return [
        Recording(front_end.hear(said(text, voice)), front_end.spell(text), voice)
        for text in TEXTS
        for voice in (0, 1)
    ]
