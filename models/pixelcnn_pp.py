"""PixelCNN++: Salimans, Karpathy, Chen and Kingma 2017, "PixelCNN++: Improving the PixelCNN with
Discretized Logistic Mixture Likelihood and Other Modifications".

A pixel is a number in [−1, 1] for each colour, beside a plane of ones that tells it from the zeros
around the image; what comes out are mixtures of logistic functions (sections 2.1 and 2.2). Two
streams see everything before a pixel ●:

    a a a a a     above (the paper's u) knows the rows above, to both sides
    a a a a a
    l l ● · ·     left (the paper's ul) knows those and the same row, to the left
    · · · · ·

             the first layer reads                                  later layers read
    above    rows −2..−1, columns −1..1                             rows −1..0, columns −1..1
    left     row −1, columns −1..1, and of its own row column −1    rows −1..0, columns −1..0

Both go down to coarser grids and up again, with short-cuts (sections 2.3 and 2.4, pyramid.py), and
every block of `left` has one from the same block of `above`. What may be known on a coarse grid,
and when? Its cell (r, c) stands for s x s pixels, s being the stride, and is computed at ●, the
first of them:

    ┌───┬───┬───┐     above knows the rows before r·s; computed when row r·s begins (the sweep)
    │▓▓▓│▓▓▓│▓▓▓│     left knows the pixels ▓ before (r·s, c·s); computed there, before the draw
    ├───┼───┼───┤
    │▓▓▓│● o│n  │     On the way up the pixels o, drawn after ●, may read the cell of ●. Of `above`
    │   │o o│   │     they may also read that of n, which knows nothing of rows from r·s on.
    └───┴───┴───┘

Down, a cell reads the finer grid around ●, in the box of later layers. Where the paper's strided
layers and head read feature maps as they are, here they read their concat_elu (gated_resnet.py).

Shapes: B batch, H rows, W columns, K components. Feature maps are (B, channels, H / s, W / s).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConfigError
from ancestral.models.gated_resnet import Feature, Remembered, activate
from ancestral.models.image_conditions import ImageConditions, check_labels
from ancestral.models.layers import BoxConv
from ancestral.models.pyramid import Stream
from ancestral.models.sampling.distributions import LogisticMixture, colour_mixture
from ancestral.models.sampling.ops import (
    ColourMixture,
    Dense,
    Draw,
    Grid,
    Op,
    Read,
    Register,
    Value,
    Write,
)
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class PixelCNNPlusPlusConfig:
    """An image net. Without labels and without a latent vector it is unconditioned."""

    height: int
    width: int
    #: Levels of each colour, evenly spread from dark to bright.
    levels: int
    #: 1 for grey images, 3 for red, green and blue.
    colours: int = 1
    #: The categories it can be asked for.
    labels: tuple[int | str, ...] = ()
    #: Numbers of the latent vector that a request gives; 0: none.
    latent: int = 0
    #: Channels of both streams.
    channels: int = 24
    #: Blocks on each grid on the way down; on the way up there is one more, except on the coarsest.
    blocks: int = 1
    #: Coarser grids, each half as fine as the one before.
    coarser: int = 2
    #: Logistic functions in a mixture.
    components: int = 5
    #: The share of a block's inner features that is left out at random in training.
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network."""
        for name in ("height", "width", "channels", "blocks", "components"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("latent", "coarser"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, but is {getattr(self, name)}")
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"levels must be 2 to 256, not {self.levels}")
        if self.colours not in (1, 3):
            raise ConfigError(f"colours must be 1 or 3, not {self.colours}")
        check_labels(self.labels)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        cell = 2**self.coarser
        for name in ("height", "width"):
            if getattr(self, name) % cell:
                raise ConfigError(
                    f"{name} must be a multiple of {cell} for {self.coarser} coarser grids, "
                    f"not {getattr(self, name)}"
                )


def salimans() -> PixelCNNPlusPlusConfig:
    """The paper's network for CIFAR-10."""
    return PixelCNNPlusPlusConfig(
        height=32,
        width=32,
        levels=256,
        colours=3,
        channels=160,
        blocks=5,
        components=10,
        dropout=0.5,
    )


class PixelCNNPlusPlus(Autoregressive):
    """p(image | label, latent vector) over grey levels or over colours."""

    family: ClassVar[str] = "pixelcnn_pp"
    config: PixelCNNPlusPlusConfig

    def __init__(self, config: PixelCNNPlusPlusConfig) -> None:
        super().__init__()
        self.config = config
        planes, channels = config.colours + 1, config.channels
        self.first_above = BoxConv(planes, channels, rows=(-2, -1), columns=(-1, 1))
        self.first_left = nn.ModuleList(
            [
                BoxConv(planes, channels, rows=(-1, -1), columns=(-1, 1)),
                BoxConv(planes, channels, columns=(-1, -1)),
            ]
        )
        self.above = self._stream(columns=(-1, 1), columns_up=(0, 1), beside=False)
        self.left = self._stream(columns=(-1, 0), columns_up=(0, 0), beside=True)
        self.head = BoxConv(2 * channels, self._raw_width, gain=0.1, exact=True)
        self._spread_components()
        width = self.above.bias_width + self.left.bias_width
        self.asked = ImageConditions(labels=config.labels, latent=config.latent, width=width)

    @property
    def signature(self) -> dict[str, Any]:
        return {
            "medium": "image",
            "levels": self.config.levels,
            "shape": list(self.event_shape({})),
            "likelihood_kind": "exact",
            "fields": self.asked.fields,
        }

    @property
    def distribution(self) -> LogisticMixture:
        return LogisticMixture(self.config.levels, self.config.components)

    @property
    def channels(self) -> int:
        return self.config.colours

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return self.asked.conditions(fields)

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        size = (self.config.height, self.config.width)
        return size if self.config.colours == 1 else (*size, 3)

    def project(self, conditions: Conditions) -> Projection:
        return self.asked.project(conditions)

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, H, W), or (B, H, W, 3), to mixtures (B, 3K, H, W), or (B, 3K, H, W, 3).

        `conditions` has "label" (B,) int64 and "latent" (B, length) floats, as configured.
        """
        symbols = x.unsqueeze(1) if self.config.colours == 1 else x.movedim(-1, 1)
        values = self.distribution.value(symbols).to(self.head.weight)
        planes = torch.cat([values, torch.ones_like(values[:, :1])], dim=1)
        planes = planes.contiguous(memory_format=torch.channels_last)
        biases = self._shares(self.project(conditions).fixed)
        above = self.above(Feature.of(self.first_above(planes)), None, biases[0])
        first_left = torch.stack([layer(planes) for layer in self.first_left]).sum(0)
        left = self.left(Feature.of(first_left), above, biases[1])
        raw: Tensor = self.head(left[-1].active)
        if self.config.colours == 1:
            return raw
        mixtures = [
            colour_mixture(raw, symbols[:, :colour], self.distribution) for colour in range(3)
        ]
        return torch.stack(mixtures, dim=-1)

    def program(self) -> StepProgram:
        config = self.config
        conditioned = self.asked.fixed_width > 0
        pixels = Grid(3, config.width, config.colours + 1)
        first, begin_row = self._first([self.first_above], pixels)
        sweep, above = self.above.ops(first, None, 0 if conditioned else None)
        first, begin = self._first(cast("list[BoxConv]", list(self.first_left)), pixels)
        step, left = self.left.ops(first, above, self.above.bias_width if conditioned else None)
        return StepProgram(
            rows=config.height,
            columns=config.width,
            row_sweep=(*begin_row, *sweep),
            step=(*begin, *step, *self._draws(left[-1], pixels)),
            global_width=self.asked.fixed_width,
        )

    def _first(self, layers: Sequence[BoxConv], pixels: Grid) -> tuple[Remembered, list[Op]]:
        """A stream's first feature map: the sum of layers that read pixels."""
        channels = self.config.channels
        plain = Register(channels)
        active = Grid(2, self.config.width, 2 * channels, parts=2)
        ops: list[Op] = [
            layer.dense(layer.reads(pixels), plain, accumulate=place > 0)
            for place, layer in enumerate(layers)
        ]
        return Remembered(plain, active), [*ops, *activate(plain, active)]

    def _draws(self, last: Remembered, pixels: Grid) -> list[Op]:
        """From the last feature map to the pixel's symbols, and those as values into `pixels`."""
        config, distribution = self.config, self.distribution
        raw = Register(self._raw_width)
        ops: list[Op] = [self.head.dense((Read(last.active, 0, 0),), raw)]
        if config.colours == 1:
            ops.append(Draw(raw, distribution))
        else:
            for colour in range(3):
                mixture = Register(distribution.parameters)
                ops.append(ColourMixture(raw, colour, distribution, mixture))
                ops.append(Draw(mixture, distribution))
        values = [Register(1) for _ in range(config.colours)]
        for colour, value in enumerate(values):
            ops.append(Value(2 / (config.levels - 1), -1.0, value, colour))
        pixel = Register(config.colours + 1)
        beside = torch.eye(config.colours + 1, config.colours)
        one = torch.eye(config.colours + 1)[-1]
        return [*ops, Dense(tuple(values), beside, one, pixel), Write(pixel, pixels)]

    def _shares(self, fixed: Tensor | None) -> Sequence[Tensor | None]:
        """Projected conditioning for each stream."""
        if fixed is None:
            return None, None
        return torch.split(fixed, [self.above.bias_width, self.left.bias_width], dim=1)

    def _stream(
        self, columns: tuple[int, int], columns_up: tuple[int, int], *, beside: bool
    ) -> Stream:
        config = self.config
        return Stream(
            channels=config.channels,
            blocks=config.blocks,
            coarser=config.coarser,
            columns=columns,
            columns_up=columns_up,
            beside=beside,
            dropout=config.dropout,
        )

    @property
    def _raw_width(self) -> int:
        """Numbers of a pixel that the head gives."""
        return (3 if self.config.colours == 1 else 10) * self.config.components

    def _spread_components(self) -> None:
        """Begin with components side by side over the levels instead of all in the middle."""
        config, count = self.config, self.config.components
        with torch.no_grad():
            means = self.head.bias[count : (1 + config.colours) * count].view(-1, count)
            log_scales = self.head.bias[(1 + config.colours) * count :]
            means.copy_((2 * torch.arange(count) + 1) / count - 1)
            log_scales[: config.colours * count] = -math.log(count)
