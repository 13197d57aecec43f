"""How a voice says a text: how long it takes for each character, and what each frame sounds like.

Two small nets of convolutions, one over characters and one over frames, in the way of Ren et al.
2021, "FastSpeech 2": durations are foretold, characters are held for as long, and a spectrum and a
pitch are foretold for every frame.

    characters   s    e    v    e    n
    durations    9    6    5    4    11
    frames       sssssssssee…            each knows how far its character has come

Shapes: B batch, N characters, F frames, A known characters, M bands, D channels. `real` is 1, or 0
where characters (B, 1, N) or frames (B, 1, F) are padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ancestral.models.speech.frames import BANDS

#: Of a frame: the spectrum, the pitch, and whether there is one.
FEATURES = BANDS + 2

#: What a frame is told of its place: how far its character has come, how far it has to go, and the
#: logarithm of its duration.
_PLACE = 3


@dataclass(frozen=True)
class Held:
    """Characters for as long as they last: `index` (B, F) int64 of the character that each frame
    belongs to, and `place` (B, 3, F) in it."""

    index: Tensor
    place: Tensor

    def to(self, device: torch.device) -> Held:
        """The same on another device."""
        return Held(self.index.to(device), self.place.to(device))


class Acoustics(nn.Module):
    """`speakers` voices of `characters` known characters."""

    def __init__(self, characters: int, speakers: int, channels: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, channels)
        self.voice = nn.Embedding(speakers, channels)
        self.spelling = nn.ModuleList(_Residual(channels, 5) for _ in range(2))
        self.pace = _Residual(channels, 3)
        self.duration = nn.Conv1d(channels, 1, 1)
        # At first all characters take about as long.
        nn.init.normal_(self.duration.weight, std=0.1 / channels**0.5)
        self.held = nn.Conv1d(channels + _PLACE, channels, 1)
        self.frames = nn.ModuleList(_Residual(channels, 5) for _ in range(3))
        self.outputs = nn.Conv1d(channels, FEATURES, 1)

    def encode(self, spelled: Tensor, speaker: Tensor, real: Tensor) -> Tensor:
        """Characters (B, N) and voices (B,), int64, to what is known of each: (B, D, N)."""
        known = self.characters(spelled).transpose(1, 2) + self.voice(speaker).unsqueeze(2)
        for layer in self.spelling:
            known = layer(known, real)
        return cast(Tensor, known)

    def log_durations(self, known: Tensor, real: Tensor) -> Tensor:
        """What is known of each character (B, D, N) to the logarithm of its frames: (B, N)."""
        return cast(Tensor, self.duration(self.pace(known, real))).squeeze(1)

    def sounds(self, known: Tensor, held: Held, speaker: Tensor, real: Tensor) -> Tensor:
        """What is known of each character (B, D, N), and how long they last, to the features of
        each frame: (B, M + 2, F)."""
        spread = held.index.unsqueeze(1).expand(-1, known.shape[1], -1)
        hidden = self.held(torch.cat([known.gather(2, spread), held.place], 1))
        hidden = hidden + self.voice(speaker).unsqueeze(2)
        for layer in self.frames:
            hidden = layer(hidden, real)
        return cast(Tensor, self.outputs(hidden))


class _Residual(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.wide = nn.Conv1d(channels, channels, width, padding=width // 2)
        self.point = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(B, D, F) to the same; padding is silent to its neighbours."""
        x = x * real
        return (x + cast(Tensor, self.point(torch.relu(self.wide(x))))) * real


def hold(durations: Tensor) -> Held:
    """Frames for the characters of one text that last so long: (N,) int64, each at least 1."""
    index = torch.repeat_interleave(durations)
    begins = durations.cumsum(0) - durations
    within = torch.arange(len(index)) - begins[index]
    lasts = durations[index].float()
    come = (within + 0.5) / lasts
    place = torch.stack([come, 1 - come, lasts.log() - 1])
    return Held(index.unsqueeze(0), place.unsqueeze(0))
