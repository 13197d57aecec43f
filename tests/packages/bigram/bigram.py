"""Images whose pixels know their left neighbour: the smallest family that there can be.

logits of a pixel = what follows its left neighbour (nothing, at the start of a row) + bias
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models import Autoregressive, Conditions, Family, Projection, StepProgram
from ancestral.models.sampling.distributions import Categorical, Distribution
from ancestral.models.sampling.ops import Dense, Draw, Embed, Grid, Read, Register, Write


@dataclass(frozen=True)
class BigramConfig:
    """The image's size, and its grey levels."""

    height: int
    width: int
    levels: int


class Bigram(Autoregressive):
    """p(pixel | left neighbour)."""

    family: ClassVar[str] = "bigram"
    config: BigramConfig

    def __init__(self, config: BigramConfig) -> None:
        super().__init__()
        self.config = config
        self.following = nn.Parameter(torch.randn(config.levels, config.levels))
        self.bias = nn.Parameter(torch.randn(config.levels))

    @property
    def signature(self) -> dict[str, Any]:
        return {
            "medium": "image",
            "levels": self.config.levels,
            "shape": [self.config.height, self.config.width],
            "likelihood_kind": "exact",
            "fields": {},
        }

    @property
    def distribution(self) -> Distribution:
        return Categorical(self.config.levels)

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return {}

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return (self.config.height, self.config.width)

    def project(self, conditions: Conditions) -> Projection:
        return Projection()

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, H, W) to logits (B, L, H, W)."""
        followed = F.pad(self.following[x[:, :, :-1]], (0, 0, 1, 0))
        return (followed + self.bias).movedim(-1, 1)

    def program(self) -> StepProgram:
        levels = self.config.levels
        seen = Grid(rows=1, columns=self.config.width, width=levels)
        logits, symbol = Register(levels), Register(levels)
        return StepProgram(
            rows=self.config.height,
            columns=self.config.width,
            step=(
                Dense((Read(seen, 0, -1),), torch.eye(levels), self.bias.detach(), logits),
                Draw(logits, self.distribution),
                Embed(self.following.detach(), symbol),
                Write(symbol, seen),
            ),
        )


FAMILY = Family(Bigram, BigramConfig)
