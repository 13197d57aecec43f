"""What is asked of each moment of a sound: features aligned with it, and their encoder.

One column of features serves `hop` samples. In it the digit to be said stands written at the height
of how far it has come, as hats: triangles that overlap by half.

    the second of two digits, 8 columns, 4 hats

    digit 1   hats 1-4   · · · · · · · ·
    digit 2   hat 1      ■ ▪ · · · · · ·
              hat 2      · ▪ ■ ▪ · · · ·
              hat 3      · · · · ▪ ■ ▪ ·
              hat 4      · · · · · · ▪ ■

Shapes: B batch, F columns, C features of a column (digits · hats).
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from ancestral.models.layers import BoxConv


def aligned_features(digit: int, digits: int, hats: int, columns: int) -> Tensor:
    """The features of one of `digits` that takes that many columns: (C, F) float32.

    The features of a column sum to one.
    """
    progress = (torch.arange(columns) + 0.5) / columns * (hats - 1)
    triangles = (1 - (progress - torch.arange(hats).unsqueeze(1)).abs()).clamp(min=0)
    features = torch.zeros(digits, hats, columns)
    features[digit] = triangles
    return features.flatten(0, 1)


class AlignedEncoder(nn.Module):
    """From aligned features, and a speaker, to what all layers add, side by side.

    Each column stands alone, so that a piece of a sound hears exactly what it hears in the whole.
    """

    def __init__(
        self, *, features: int, heard: int, speakers: int, channels: int, outputs: int
    ) -> None:
        """`heard` features of a column are as good as all that it says: the rest is 0. Without
        `speakers` there is no speaker to be told."""
        super().__init__()
        self.features = BoxConv(features, channels, gain=math.sqrt(features / heard))
        self.speaker = nn.Embedding(speakers, channels) if speakers else None
        self.hidden = BoxConv(channels, channels, gain=1.4)
        self.outputs = BoxConv(channels, outputs, gain=0.5)

    def forward(self, features: Tensor, speaker: Tensor | None) -> Tensor:
        """(B, C, F) and (B,) int64 to (B, F, outputs)."""
        hidden = self.features(features.unsqueeze(2))
        if self.speaker is not None:
            hidden = hidden + self.speaker(speaker)[:, :, None, None]
        hidden = torch.relu(self.hidden(torch.relu(hidden)))
        return cast(Tensor, self.outputs(hidden)).squeeze(2).transpose(1, 2)
