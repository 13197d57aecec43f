"""Masked 3 x 3 convolutions over binary sites, in the shape of NetKet's `FastARNNConv2D`.

NetKet's is the fastest public sampler of images that remembers anything. Its network has neither
gates nor a second stack. The kernel lies over the site's own row and the two rows above it, so it
is two boxes:

    1 1 1
    1 1 1        rows (-2, -1), columns (-1, 1)
    1 ● ·        rows (0, 0), columns (-1, 0); the first layer reads (-1, -1) alone

    in 1 ──▶ 128 ──▶ ... ──▶ 128 ──▶ 2 logits        all layers but the last followed by a tanh

tanh stands for NetKet's selu: both cost one exponential function for each output.

Shapes: B batch, H rows, W columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.layers import BoxConv
from ancestral.models.sampling.distributions import Categorical, Distribution
from ancestral.models.sampling.ops import Activation, Dense, Draw, Grid, Op, Register, Value, Write
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class MaskedNetConfig:
    """A net of black and white images."""

    height: int
    width: int
    channels: int = 128
    layers: int = 10


class _Layer(nn.Module):
    """One masked convolution."""

    def __init__(self, inputs: int, outputs: int, first: bool) -> None:
        super().__init__()
        self.above = BoxConv(inputs, outputs, rows=(-2, -1), columns=(-1, 1), gain=0.8)
        self.left = BoxConv(inputs, outputs, columns=(-1, -1 if first else 0), gain=0.6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        return cast(Tensor, self.above(x) + self.left(x))

    def dense(self, grid: Grid, target: Register) -> Dense:
        """Both boxes as one product."""
        above = self.above.dense(self.above.reads(grid), target)
        left = self.left.dense(self.left.reads(grid), target)
        return Dense(
            (*above.sources, *left.sources),
            torch.cat([above.weight, left.weight], dim=1),
            self.above.bias.detach() + self.left.bias.detach(),
            target,
        )


class MaskedNet(Autoregressive):
    """p(image) over bits."""

    family: ClassVar[str] = "masked_net"

    def __init__(self, config: MaskedNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [1, *[config.channels] * (config.layers - 1), 2]
        self.layers = nn.ModuleList(
            _Layer(inputs, outputs, first=index == 0)
            for index, (inputs, outputs) in enumerate(itertools.pairwise(widths))
        )

    @property
    def signature(self) -> dict[str, Any]:
        return {
            "medium": "image",
            "levels": 2,
            "shape": list(self.event_shape({})),
            "likelihood_kind": "exact",
            "fields": {},
        }

    @property
    def distribution(self) -> Distribution:
        return Categorical(2)

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return {}

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return (self.config.height, self.config.width)

    def project(self, conditions: Conditions) -> Projection:
        return Projection()

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, H, W) to logits (B, 2, H, W)."""
        features = (2 * x.unsqueeze(1) - 1).to(self._stack[0].above.weight)
        *others, last = self._stack
        for layer in others:
            features = torch.tanh(layer(features))
        return cast(Tensor, last(features))

    def program(self) -> StepProgram:
        width, channels = self.config.width, self.config.channels
        site = Register(1)
        raw, features = Register(channels), Register(channels)
        logits = Register(2)
        sites = grid = Grid(3, width, 1)
        step: list[Op] = []
        *others, last = self._stack
        for layer in others:
            step += [layer.dense(grid, raw), Activation("tanh", raw, features)]
            grid = Grid(3, width, channels)
            step.append(Write(features, grid))
        step += [
            last.dense(grid, logits),
            Draw(logits, self.distribution),
            Value(2.0, -1.0, site),
            Write(site, sites),
        ]
        return StepProgram(rows=self.config.height, columns=width, step=tuple(step))

    @property
    def _stack(self) -> list[_Layer]:
        return cast("list[_Layer]", list(self.layers))
