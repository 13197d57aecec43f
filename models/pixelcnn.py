"""PixelCNN: van den Oord et al. 2016, "Pixel Recurrent Neural Networks", section 3.5.

p(x) = Π_i p(x_i,R | x_<i) p(x_i,G | x_i,R, x_<i) p(x_i,B | x_i,R, x_i,G, x_<i), a softmax over the
levels of each colour (equation 2 and section 3.4). Masks (masked_conv.py) keep each layer to the
pixels above and left, and to the colours before. The network is table 1's:

    image ─ conv, mask A ─┬──────────────────────────────(+)─ ... ─ relu 1x1 relu 1x1 ─ softmax
               2h         └ relu 1x1 relu conv relu 1x1 ──┘             head    levels
                                 h         h        2h      blocks times, all mask B

with h `channels`. A pixel goes in as its value, −1 (black) to 1; what lies off the image is 0, like
a grey between. A label adds a bias to each convolution.

The masks leave a blind spot, which the gated PixelCNN does without. A layer climbs one row for one
more column to the right, so what lies above and further right is never seen, however many layers
there are. With a first layer of reach 1:

    row r−3    s s s s s s s · ·        s seen by ● (given blocks enough)
    row r−2    s s s s s s · · ·        · never seen: of the pixels above, the blind spot
    row r−1    s s s s s · · · ·
    row r      s s s ● · · · · ·        with reach K of the first layer and k of the others,
                                        row r − d is seen up to column c + K + k (d − 1)

All of a pixel's past is known when its turn comes, so that its step needs no sweep: red's part of
every layer, red is drawn, green's part of every layer, and so on. Each is computed once.

Shapes: B batch, H rows, W columns, L levels, 3 colours. Feature maps are (B, channels, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConfigError
from ancestral.models.image_conditions import ImageConditions, check_labels
from ancestral.models.masked_conv import MaskedConv
from ancestral.models.sampling.distributions import Categorical
from ancestral.models.sampling.ops import (
    Activation,
    Condition,
    Draw,
    Grid,
    Op,
    Register,
    Value,
    Write,
)
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class PixelCNNConfig:
    """A net for grey or colour images. `labels` are the categories it can be asked for; none:
    unconditioned."""

    height: int
    width: int
    #: Levels of each colour, evenly spread from black to white.
    levels: int = 256
    #: 1 for grey images, 3 for red, green and blue.
    colours: int = 1
    labels: tuple[int | str, ...] = ()
    #: h: channels inside a block; between blocks there are twice as many.
    channels: int = 32
    blocks: int = 12
    #: K: how far the first layer reads, in rows above and in columns to both sides.
    first_reach: int = 3
    #: k: how far the blocks read.
    reach: int = 1
    #: Channels of the head.
    head: int = 64

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network."""
        at_least_one = ("height", "width", "channels", "blocks", "first_reach", "reach", "head")
        for name in at_least_one:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"levels must be 2 to 256, not {self.levels}")
        if self.colours not in (1, 3):
            raise ConfigError(f"colours must be 1 or 3, not {self.colours}")
        for name in ("channels", "head"):
            if getattr(self, name) % self.colours:
                raise ConfigError(f"{name} must be a multiple of 3, one part for each colour")
        check_labels(self.labels)


def binarized_mnist() -> PixelCNNConfig:
    """Handwritten digits in black and white, the literature's yardstick."""
    return PixelCNNConfig(height=28, width=28, levels=2)


def digits20() -> PixelCNNConfig:
    """Handwritten digits of 20 by 20 pixels, small enough to learn in minutes on two cores."""
    return PixelCNNConfig(20, 20, levels=16, labels=tuple(range(10)), channels=24, blocks=6)


@dataclass(frozen=True)
class _BlockMemory:
    """What a block has at a position: registers and a grid for each colour."""

    entered: Sequence[Register]
    narrowed: Sequence[Register]
    looked: Sequence[Register]
    grids: Sequence[Grid]


class _Block(nn.Module):
    """A residual block (figure 5, left)."""

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        h, colours = config.channels, config.colours
        self.narrow = MaskedConv(2 * h, h, colours=colours, gain=1.4)
        self.look = MaskedConv(h, h, reach=config.reach, colours=colours, gain=1.4)
        # Small at first, so that the sum over all blocks starts no larger than its first term.
        self.widen = MaskedConv(h, 2 * h, colours=colours, gain=config.blocks**-0.5)

    def forward(self, path: Tensor, bias: Tensor | None) -> Tensor:
        looked = self.look(torch.relu(self.narrow(torch.relu(path))))
        if bias is not None:
            looked = looked + bias
        return path + cast(Tensor, self.widen(torch.relu(looked)))

    def ops(
        self, colour: int, memory: _BlockMemory, path: Register, bias: Sequence[Op]
    ) -> list[Op]:
        """The part of one colour at one position, added to `path`; `bias` is added to what it
        looked at."""
        entered, narrowed, looked = memory.entered, memory.narrowed, memory.looked
        return [
            Activation("relu", path, entered[colour]),
            self.narrow.dense(colour, (), entered, narrowed[colour]),
            Activation("relu", narrowed[colour], narrowed[colour]),
            Write(narrowed[colour], memory.grids[colour]),
            self.look.dense(colour, memory.grids, narrowed, looked[colour]),
            *bias,
            Activation("relu", looked[colour], looked[colour]),
            self.widen.dense(colour, (), looked, path, accumulate=True),
        ]


class PixelCNN(Autoregressive):
    """p(image | label) over the levels of each pixel, or of each of its colours."""

    family: ClassVar[str] = "pixelcnn"
    config: PixelCNNConfig

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        h, colours = config.channels, config.colours
        self.first = MaskedConv(colours, 2 * h, kind="A", reach=config.first_reach, colours=colours)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.hidden = MaskedConv(2 * h, config.head, colours=colours, gain=1.4)
        self.logits = MaskedConv(config.head, colours * config.levels, colours=colours)
        #: The bias of the first layer, then that of each block.
        self.asked = ImageConditions(labels=config.labels, width=(2 + config.blocks) * h)

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
    def distribution(self) -> Categorical:
        return Categorical(self.config.levels)

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
        """Symbols (B, H, W) or (B, H, W, 3) to logits (B, L, H, W) or (B, L, H, W, 3).

        `conditions` has "label" (B,) int64 where the model asks for it.
        """
        config = self.config
        widths = [2 * config.channels, *[config.channels] * config.blocks]
        asked = self.asked.everywhere(conditions, config.height, config.width)
        first, *others = [None] * len(widths) if asked is None else torch.split(asked, widths, 1)
        levels = x.reshape(*x.shape[:3], config.colours).to(self.first.weight)
        path = self.first((levels * self._scale - 1).permute(0, 3, 1, 2))
        if first is not None:
            path = path + first
        for block, bias in zip(self._stack, others, strict=True):
            path = block(path, bias)
        logits = self.logits(torch.relu(self.hidden(torch.relu(path))))
        if config.colours == 1:
            return cast(Tensor, logits)
        return cast(Tensor, logits.unflatten(1, (3, -1)).permute(0, 2, 3, 4, 1))

    def program(self) -> StepProgram:
        config = self.config
        h, colours = config.channels, config.colours
        values, pixels = self._registers(colours), self._grids(colours, config.first_reach)
        path, rectified, hidden = (self._registers(width) for width in (2 * h, 2 * h, config.head))
        raw, logits = Register(hidden[0].width), Register(config.levels)
        memories = [self._block_memory() for _ in self._stack]
        step: list[Op] = []
        for colour in range(colours):
            step.append(self.first.dense(colour, pixels, values, path[colour]))
            step += self._label_bias(0, colour, path[colour])
            for index, (block, memory) in enumerate(zip(self._stack, memories, strict=True)):
                bias = self._label_bias(index + 1, colour, memory.looked[colour])
                step += block.ops(colour, memory, path[colour], bias)
            step += [
                Activation("relu", path[colour], rectified[colour]),
                self.hidden.dense(colour, (), rectified, raw),
                Activation("relu", raw, hidden[colour]),
                self.logits.dense(colour, (), hidden, logits),
                Draw(logits, self.distribution),
                Value(self._scale, -1.0, values[colour], channel=colour),
                Write(values[colour], pixels[colour]),
            ]
        return StepProgram(
            rows=config.height,
            columns=config.width,
            step=tuple(step),
            global_width=self.asked.fixed_width,
        )

    def _label_bias(self, layer: int, colour: int, target: Register) -> list[Op]:
        if not self.asked.fixed_width:
            return []
        start = (layer + 1) * self.config.channels if layer else 0
        return [Condition("global", start + colour * target.width, target)]

    def _block_memory(self) -> _BlockMemory:
        h = self.config.channels
        return _BlockMemory(
            entered=self._registers(2 * h),
            narrowed=self._registers(h),
            looked=self._registers(h),
            grids=self._grids(h, self.config.reach),
        )

    def _registers(self, channels: int) -> list[Register]:
        """One for each colour."""
        colours = self.config.colours
        return [Register(channels // colours) for _ in range(colours)]

    def _grids(self, channels: int, reach: int) -> list[Grid]:
        """One for each colour, which keeps the rows within reach and its own."""
        colours = self.config.colours
        return [Grid(reach + 1, self.config.width, channels // colours) for _ in range(colours)]

    @property
    def _scale(self) -> float:
        return 2 / (self.config.levels - 1)

    @property
    def _stack(self) -> list[_Block]:
        return cast("list[_Block]", list(self.blocks))
