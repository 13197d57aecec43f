"""Gated PixelCNN: van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders".

Every layer gates (equation 4), with V h what a request asks for: a label or a latent vector, the
same everywhere, or a spatial map, whose V s is a 1 x 1 convolution (section 2.3):

    y = tanh(W_f * x + V_f h) · sigmoid(W_g * x + V_g h)

Two stacks see everything before a pixel ● without a blind spot (figure 2):

    v v v v v     the vertical stack reads rows above, to both sides
    v v v v v
    h h ● · ·     the horizontal stack reads the same row, to the left
    · · · · ·

                 the first layer reads           later layers read the layer before
    vertical     rows -K..-1, columns -K..K      rows -1..0, columns -k..k
    horizontal   columns -K..-1     (mask A)     columns -k..0        (mask B)

in steps of 1, 2, 4, ... (dilation), so that a few layers look over a whole image.

The vertical stack's first layer leaves out the pixel's own row, so that all of it is known when a
row begins: that is the program's sweep. Its features enter the horizontal stack before the gate,
through one dense layer (the link). The gates of the horizontal stack are summed, each through a
dense layer of its own, for the head to read.

Shapes: B batch, H rows, W columns, L levels. Feature maps are (B, channels, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConfigError
from ancestral.models.image_conditions import ImageConditions, check_labels, check_map
from ancestral.models.layers import BoxConv, SymbolTable, gate
from ancestral.models.sampling.distributions import Categorical, Distribution
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    Condition,
    Draw,
    Embed,
    Gate,
    Grid,
    Op,
    Read,
    Register,
    Write,
)
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class GatedPixelCNNConfig:
    """A grey image net. `labels` are the categories it can be asked for; none: no such field."""

    height: int
    width: int
    #: Grey levels, evenly spread from black to white.
    levels: int
    labels: tuple[int | str, ...] = ()
    #: Whether a request can say how much its label is stressed.
    guided: bool = False
    #: Numbers of the latent vector that it is asked with; 0: there is no such field.
    latent: int = 0
    #: (channels, rows, columns) of the spatial map that it is asked with; (): no such field.
    map_shape: tuple[int, ...] = ()
    #: Channels of an embedded pixel.
    embedding: int = 16
    #: Channels of both stacks.
    channels: int = 32
    layers: int = 6
    #: K: how far the first layer reads, in rows above and in columns to both sides.
    first_reach: int = 3
    #: k: how far later layers read to both sides (the horizontal stack: to the left).
    reach: int = 1
    #: Later layers read in steps of 1, 2, 4, ..., beginning again after so many layers.
    dilation_cycle: int = 4
    #: Channels of the sum over all layers that the head reads, and of the head itself.
    head: int = 64
    #: The share of what gates let through that is left out at random in training.
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network."""
        at_least_one = ("height", "width", "embedding", "channels", "layers", "first_reach")
        for name in (*at_least_one, "dilation_cycle", "head"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.reach < 0:
            raise ConfigError(f"reach must not be negative, but is {self.reach}")
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"levels must be 2 to 256, not {self.levels}")
        if self.latent < 0:
            raise ConfigError(f"latent must not be negative, but is {self.latent}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        check_labels(self.labels, self.guided)
        check_map(self.map_shape, self.height, self.width)


def digits20() -> GatedPixelCNNConfig:
    """Handwritten digits of 20 by 20 pixels, small enough to learn in minutes on two cores: a
    smaller network than that of the recipe `digits`."""
    return GatedPixelCNNConfig(height=20, width=20, levels=16, labels=tuple(range(10)))


class _Layer(nn.Module):
    """One layer of both stacks. Nothing follows the last one, so only its gate goes on."""

    def __init__(self, config: GatedPixelCNNConfig, index: int) -> None:
        super().__init__()
        first, last = index == 0, index == config.layers - 1
        channels, inputs = config.channels, config.embedding if first else config.channels
        far, near = config.first_reach, config.reach
        dilation = 1 if first else 2 ** ((index - 1) % config.dilation_cycle)
        self.vertical = BoxConv(
            inputs,
            2 * channels,
            rows=(-far, -1) if first else (-1, 0),
            columns=(-far, far) if first else (-near, near),
            dilation=dilation,
            gain=1.5,
        )
        self.link = BoxConv(2 * channels, 2 * channels)
        self.horizontal = BoxConv(
            inputs,
            2 * channels,
            columns=(-far, -1) if first else (-near, 0),
            dilation=dilation,
            gain=1.5,
        )
        self.skip = BoxConv(channels, config.head)
        self.residual = None if last else BoxConv(channels, channels)


class GatedPixelCNN(Autoregressive):
    """p(image | label, latent vector, map) over grey levels."""

    family: ClassVar[str] = "gated_pixelcnn"
    config: GatedPixelCNNConfig

    def __init__(self, config: GatedPixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        self.table = SymbolTable(config.levels, config.embedding)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(_Layer(config, index) for index in range(config.layers))
        self.hidden = BoxConv(config.head, config.head)
        self.logits = BoxConv(config.head, config.levels)
        # Of each layer: the bias of the vertical stack, then that of the horizontal one.
        self.asked = ImageConditions(
            labels=config.labels,
            guided=config.guided,
            latent=config.latent,
            map_shape=config.map_shape,
            width=config.layers * 4 * config.channels,
        )

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        return {
            "medium": "image",
            "levels": config.levels,
            "shape": [config.height, config.width],
            "likelihood_kind": "exact",
            "fields": self.asked.fields,
        }

    @property
    def distribution(self) -> Distribution:
        return Categorical(self.config.levels)

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return self.asked.conditions(fields)

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return (self.config.height, self.config.width)

    def project(self, conditions: Conditions) -> Projection:
        return self.asked.project(conditions)

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, H, W) to logits (B, L, H, W).

        `conditions` has "label" (B,) int64, "guidance" (B,), "latent" (B, Z) and "map" (B, C, h, w)
        as far as the model asks for them.
        """
        vertical = horizontal = cast(Tensor, self.table(x))
        asked = self.asked.everywhere(conditions, self.config.height, self.config.width)
        skips: list[Tensor] = []
        for index, layer in enumerate(self._stack):
            above, left = layer.vertical(vertical), layer.horizontal(horizontal)
            if asked is not None:
                width = 2 * self.config.channels
                biases = asked[:, 2 * index * width : 2 * (index + 1) * width]
                above, left = above + biases[:, :width], left + biases[:, width:]
            vertical = self.dropout(gate(above))
            gated = self.dropout(gate(left + layer.link(above)))
            skips.append(layer.skip(gated))
            if layer.residual is not None:
                onward = layer.residual(gated)
                horizontal = onward if index == 0 else horizontal + onward
        hidden = self.hidden(torch.relu(torch.stack(skips).sum(0)))
        return cast(Tensor, self.logits(torch.relu(hidden)))

    def program(self) -> StepProgram:
        config = self.config
        pixels = Grid(config.first_reach + 1, config.width, config.embedding)
        links = [self._grid(rows=1, parts=2) for _ in self._stack]
        pixel = Register(config.embedding)
        draw: list[Op] = [
            Embed(self.table.weight.detach(), pixel),
            Write(pixel, pixels),
        ]
        return StepProgram(
            rows=config.height,
            columns=config.width,
            row_sweep=tuple(self._sweep(pixels, links)),
            step=tuple(self._step(pixels, links) + draw),
            global_width=self.asked.fixed_width,
            local_width=self.asked.local_width,
            hop=config.width * config.height // config.map_shape[1] if config.map_shape else 1,
            cells=config.map_shape[2] if config.map_shape else 1,
        )

    def _sweep(self, pixels: Grid, links: list[Grid]) -> list[Op]:
        """The vertical stack over a row, leaving what it sends to the horizontal one in `links`."""
        ops: list[Op] = []
        below = pixels
        above = [layer.vertical.dilation for layer in self._stack[1:]]
        for index, (layer, link) in enumerate(zip(self._stack, links, strict=True)):
            before_gate = self._register(parts=2)
            ops.append(layer.vertical.dense(layer.vertical.reads(below), before_gate))
            ops += self._asked_bias(2 * index, before_gate)
            sent = self._register(parts=2)
            ops += [layer.link.dense((before_gate,), sent), Write(sent, link)]
            if layer.residual is not None:
                gated, below = self._register(), self._grid(rows=above[index] + 1)
                ops += [Gate(before_gate, gated), Write(gated, below)]
        return ops

    def _step(self, pixels: Grid, links: list[Grid]) -> list[Op]:
        """The horizontal stack and the head at one pixel, up to the draw."""
        config = self.config
        ops: list[Op] = []
        left, horizontal = pixels, self._register()
        skips, hidden = Register(config.head), Register(config.head)
        for index, (layer, link) in enumerate(zip(self._stack, links, strict=True)):
            before_gate, gated = self._register(parts=2), self._register()
            ops += [
                layer.horizontal.dense(layer.horizontal.reads(left), before_gate),
                Add(Read(link, 0, 0), before_gate),
                *self._asked_bias(2 * index + 1, before_gate),
                Gate(before_gate, gated),
                layer.skip.dense((gated,), skips, accumulate=index > 0),
            ]
            if layer.residual is not None:
                left = self._grid(rows=1)
                ops += [
                    layer.residual.dense((gated,), horizontal, accumulate=index > 0),
                    Write(horizontal, left),
                ]
        rectified, logits = Register(config.head), Register(config.levels)
        ops += [
            Activation("relu", skips, rectified),
            self.hidden.dense((rectified,), hidden),
            Activation("relu", hidden, rectified),
            self.logits.dense((rectified,), logits),
            Draw(logits, self.distribution),
        ]
        return ops

    def _asked_bias(self, index: int, target: Register) -> list[Op]:
        offset, ops = index * 2 * self.config.channels, list[Op]()
        if self.asked.fixed_width:
            ops.append(Condition("global", offset, target))
        if self.asked.local_width:
            ops.append(Condition("local", offset, target))
        return ops

    def _register(self, parts: int = 1) -> Register:
        return Register(parts * self.config.channels, parts)

    def _grid(self, rows: int, parts: int = 1) -> Grid:
        return Grid(rows, self.config.width, parts * self.config.channels, parts)

    @property
    def _stack(self) -> list[_Layer]:
        return cast("list[_Layer]", list(self.layers))
