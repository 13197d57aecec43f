"""MADE: Germain et al. 2015, "MADE: Masked Autoencoder for Distribution Estimation".

A dense net over the D pixels of an image, in raster order, with one or two hidden layers. Every
hidden unit has a degree m, and sees pixels before m alone; masks hold all other weights at zero
(section 4 of the paper, with pixels and degrees counted from 0):

    pixel i    to a hidden unit of degree m    where i < m
    degree m   to a hidden unit of degree n    where m ≤ n
    degree m   to the outputs of pixel d       where m ≤ d

                first mask          last mask               (4 pixels, 8 units)
    degree      0 1 2 3             0 0 1 1 2 2 3 3
      0         ·  ·  ·  ·     x_0  w w · · · · · ·
      0         ·  ·  ·  ·     x_1  w w w w · · · ·
      1         w  ·  ·  ·     x_2  w w w w w w · ·
      1         w  ·  ·  ·     x_3  w w w w w w w w
      2         w  w  ·  ·
      2         w  w  ·  ·          so p(x_d | x_<d) depends on all pixels before d, and on no other
      3         w  w  w  ·
      3         w  w  w  ·

Units are sorted by degree, and all degrees are as frequent. The paper's direct connections, from
pixels to the outputs of later ones, are a strictly lower triangle of their own.

Step by step, each drawn pixel adds one row of weights to the sums of the first layer. Then the
units of one degree are complete: they alone pass their rectifier and add their weights to the sums
of the layer behind them. Every weight, masked ones included, is used once for an image: with one
layer of U units, without direct connections, a pixel costs U·(E + P) products, and an image D times
that.

Shapes: B batch, H rows, W columns, D pixels, L levels, P parameters of a pixel, E floats of an
embedded pixel, U units of a layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConfigError
from ancestral.models.image_conditions import check_labels
from ancestral.models.layers import SymbolTable
from ancestral.models.masked import MaskedDense, RunningSum, Starts, columns_of
from ancestral.models.sampling.distributions import Bernoulli, Categorical, Distribution
from ancestral.models.sampling.ops import (
    Activation,
    Draw,
    Embed,
    Grid,
    Op,
    Read,
    Register,
    Source,
    When,
    Write,
)
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class MadeConfig:
    """A grey image net. `labels` are the categories it can be asked for; none: unconditioned."""

    height: int
    width: int
    #: Grey levels, evenly spread from black to white.
    levels: int = 2
    labels: tuple[int | str, ...] = ()
    #: Units of the one or two hidden layers.
    hidden: tuple[int, ...] = (1000,)
    #: Floats of an embedded pixel.
    embedding: int = 1
    #: Whether pixels add to the outputs of later ones directly, too.
    direct: bool = True
    #: The share of hidden units that is left out in training.
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network."""
        for name in ("height", "width", "embedding"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if len(self.hidden) not in (1, 2) or min(self.hidden) < 1:
            raise ConfigError(f"hidden must be one or two sizes, not {self.hidden}")
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"levels must be 2 to 256, not {self.levels}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        check_labels(self.labels)


def binarized_mnist() -> MadeConfig:
    """Handwritten digits of 28 by 28 bits, the yardstick of the literature."""
    return MadeConfig(height=28, width=28, hidden=(784,))


def digits20() -> MadeConfig:
    """Handwritten digits of 20 by 20 pixels in 16 grey levels, with their labels."""
    return MadeConfig(20, 20, 16, tuple(range(10)), hidden=(2 * 400,), embedding=2)


class Made(Autoregressive):
    """p(image | label) over grey levels."""

    family: ClassVar[str] = "made"

    def __init__(self, config: MadeConfig) -> None:
        super().__init__()
        self.config = config
        self._pixels = config.height * config.width
        self._outputs = self._pixels * self.distribution.parameters
        self._degrees = [spread_degrees(units, self._pixels) for units in config.hidden]
        # A pixel is known from the next one on, so its embedding is like units of that degree.
        pixel = torch.arange(self._pixels)
        known = (pixel + 1).repeat_interleave(config.embedding)
        asked = pixel.repeat_interleave(self.distribution.parameters)
        self.table = SymbolTable(config.levels, config.embedding)
        self.layers = nn.ModuleList(
            _masked(before, after, gain=math.sqrt(2))
            for before, after in itertools.pairwise([known, *self._degrees])
        )
        self.outputs = _masked(self._degrees[-1], asked, gain=0.3)
        self.direct = _masked(known, asked, gain=0.0) if config.direct else None
        self.starts = Starts(config.labels, sum(config.hidden) + self._outputs)

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        return {
            "medium": "image",
            "levels": config.levels,
            "shape": [config.height, config.width],
            "likelihood_kind": "exact",
            "fields": self.starts.asked.fields,
        }

    @property
    def distribution(self) -> Distribution:
        return Bernoulli() if self.config.levels == 2 else Categorical(self.config.levels)

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return self.starts.asked.conditions(fields)

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return (self.config.height, self.config.width)

    def project(self, conditions: Conditions) -> Projection:
        """What the sums of each hidden layer start from, then those of the outputs."""
        return Projection(fixed=self.starts(conditions))

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, H, W) to parameters (B, P, H, W); `conditions` has "label" (B,) int64."""
        config = self.config
        *hidden_starts, starts = self.starts(conditions).split((*config.hidden, self._outputs), 1)
        pixels = F.embedding(x.flatten(1).long(), self.table.weight).flatten(1)
        units = pixels
        for layer, hidden_start in zip(self.layers, hidden_starts, strict=True):
            units = torch.relu(layer(units) + hidden_start)
            units = F.dropout(units, config.dropout, self.training)
        outputs = self.outputs(units) + starts
        if self.direct is not None:
            outputs = outputs + self.direct(pixels)
        placed: Tensor = outputs.view(len(x), config.height, config.width, -1)
        return placed.movedim(3, 1)

    def program(self) -> StepProgram:
        pixel, parameters = Register(self.config.embedding), Register(self.distribution.parameters)
        before = Grid(rows=1, columns=1, width=pixel.width)
        known = Read(before, 0, -1)
        ops: list[Op | When] = []
        added: list[tuple[Source, Tensor]] = [
            (known, columns_of(self._stack[0].masked, pixel.width))
        ]
        start = 0
        for size, degrees, onward in zip(
            self.config.hidden, self._degrees, [*self._stack[1:], self.outputs], strict=True
        ):
            sums, window = RunningSum(size, self._pixels), window_of(degrees, self._pixels)
            complete, units = Register(window.width), Register(window.width)
            ops += [
                *sums.ops(added, start),
                sums.keep(),
                sums.part(window.starts, complete),
                Activation("relu", complete, units),
            ]
            added = [(units, window.columns_of(onward.masked))]
            start += size
        if self.direct is not None:
            added.append((known, columns_of(self.direct.masked, pixel.width)))
        outputs = RunningSum(self._outputs, self._pixels)
        ops += [
            *outputs.ops(added, start),
            outputs.keep(),
            outputs.part(range(0, self._outputs, parameters.width), parameters),
            Draw(parameters, self.distribution),
            Embed(self.table.weight.detach(), pixel),
            Write(pixel, before),
        ]
        return StepProgram(
            rows=1, columns=self._pixels, step=tuple(ops), global_width=start + self._outputs
        )

    @property
    def _stack(self) -> list[MaskedDense]:
        return cast("list[MaskedDense]", list(self.layers))


@dataclass(frozen=True)
class DegreeWindow:
    """Where the units of each degree lie among the sorted ones: `width` units from `starts[m]` on.

    `degrees` (N, width) are those of a window's units: some may be of another degree than m.
    """

    width: int
    starts: tuple[int, ...]
    degrees: Tensor

    def columns_of(self, weight: Tensor) -> Tensor:
        """Weights (O, U) as what the units of each degree alone add: (N, O, width)."""
        places = torch.tensor(self.starts).unsqueeze(1) + torch.arange(self.width)
        of_degree = self.degrees == torch.arange(len(self.starts)).unsqueeze(1)
        each = weight.detach()[:, places] * of_degree.to(weight)
        return each.transpose(0, 1).contiguous()


def window_of(degrees: Tensor, count: int) -> DegreeWindow:
    """The windows of sorted degrees (U,) below `count`."""
    wanted = torch.arange(count)
    first, behind = (torch.searchsorted(degrees, wanted, right=right) for right in (False, True))
    width = max(1, int((behind - first).max()))
    starts = first.clamp_max(len(degrees) - width)
    places = starts.unsqueeze(1) + torch.arange(width)
    return DegreeWindow(width, tuple(starts.tolist()), degrees[places])


def spread_degrees(units: int, count: int) -> Tensor:
    """Sorted degrees (U,) from 0 to `count` − 1, all as frequent as whole numbers allow."""
    return torch.arange(units) * count // units


def _masked(before: Tensor, after: Tensor, *, gain: float) -> MaskedDense:
    """A dense layer to units of degrees `after` that sees those of degrees `before` up to them."""
    return MaskedDense(before <= after.unsqueeze(1), gain=gain)
