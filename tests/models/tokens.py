"""A family, as a package adds it, of series whose values are levels."""

from __future__ import annotations

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
class TokensConfig:
    """How many there are, and of how many kinds."""

    length: int
    levels: int


class Tokens(Autoregressive):
    """p(token | the one before it)."""

    family: ClassVar[str] = "tokens"
    config: TokensConfig

    def __init__(self, config: TokensConfig) -> None:
        super().__init__()
        self.config = config
        self.following = nn.Parameter(torch.randn(config.levels, config.levels))
        self.bias = nn.Parameter(torch.randn(config.levels))

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        return {
            "medium": "series",
            "levels": config.levels,
            "shape": [config.length],
            "likelihood_kind": "exact",
            "fields": {},
        }

    @property
    def distribution(self) -> Distribution:
        return Categorical(self.config.levels)

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return {}

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return (self.config.length,)

    def project(self, conditions: Conditions) -> Projection:
        return Projection()

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Tokens (B, T) to logits (B, L, T)."""
        followed = F.pad(self.following[x[:, :-1]], (0, 0, 1, 0))
        return (followed + self.bias).movedim(-1, 1)

    def program(self) -> StepProgram:
        levels = self.config.levels
        seen = Grid(rows=1, columns=1, width=levels)
        logits, token = Register(levels), Register(levels)
        return StepProgram(
            rows=None,
            columns=None,
            step=(
                Dense((Read(seen, 0, -1),), torch.eye(levels), self.bias.detach(), logits),
                Draw(logits, self.distribution),
                Embed(self.following.detach(), token),
                Write(token, seen),
            ),
        )


FAMILY = Family(Tokens, TokensConfig)
