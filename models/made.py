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

Step by step, the units of degree t are computed at pixel t, when all that they see is known; so are
the parameters of pixel t, or, if it has a single one, its units and then its own value add to those
of later pixels (masked.py). No masked weight is touched, so that with one layer of U units, without
direct connections, an image costs about half of D·E·U + U·D·P products.

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
from ancestral.models.masked import (
    MaskedDense,
    Starts,
    after,
    before,
    cut,
    event_vector,
    in_turn,
    since,
    until,
)
from ancestral.models.sampling.distributions import Bernoulli, Categorical, Distribution
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ByColumn,
    Condition,
    Draw,
    Embed,
    Op,
    Register,
    Window,
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


class Made(Autoregressive):
    """p(image | label) over grey levels."""

    family: ClassVar[str] = "made"
    config: MadeConfig

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
            _masked(inputs, outputs, gain=math.sqrt(2))
            for inputs, outputs in itertools.pairwise([known, *self._degrees])
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
        pixel = in_turn(event_vector(self._pixels * self.config.embedding), self.config.embedding)
        hidden, units = self._hidden(pixel)
        draw = self._pushed if self.distribution.parameters == 1 else self._pulled
        return StepProgram(
            rows=1,
            columns=self._pixels,
            step=(*hidden, *draw(pixel, units)),
            global_width=sum(self.config.hidden) + self._outputs,
        )

    def _hidden(self, pixel: Window) -> tuple[list[Op], Window]:
        """How the units due at each pixel are computed, and where those of the last layer are."""
        ops: list[Op] = []
        units, seen, start = pixel, before(pixel), 0
        for layer, degrees in zip(self._stack, self._degrees, strict=True):
            units = units_due(degrees, self._pixels)
            ops += [
                Condition("global", _from(start, units), units, accumulate=False),
                ByColumn((seen,), cut(layer.masked, units, seen), units, accumulate=True),
                Activation("relu", units, units),
            ]
            seen, start = until(units), start + len(degrees)
        return ops, units

    def _pulled(self, pixel: Window, units: Window) -> list[Op]:
        """A pixel's parameters from all the units and pixels that they see, and its symbol."""
        parameters = Register(self.distribution.parameters)
        asked = in_turn(event_vector(self._outputs), parameters.width)
        seen = [(until(units), self.outputs)]
        if self.direct is not None:
            seen.append((before(pixel), self.direct))
        weights = (cut(layer.masked, asked, window) for window, layer in seen)
        side_by_side = tuple(torch.cat(parts, dim=1) for parts in zip(*weights, strict=True))
        return [
            Condition("global", self._starts_of(asked), parameters, accumulate=False),
            ByColumn(tuple(window for window, _ in seen), side_by_side, parameters, True),
            *self._symbol(parameters, pixel),
        ]

    def _pushed(self, pixel: Window, units: Window) -> list[Op]:
        """A pixel's logit from the sums that units and pixels before it added to, and its symbol,
        which adds to the sums of those behind it."""
        logit = Register(1)
        asked = in_turn(event_vector(self._outputs), 1)
        onward, later = since(asked), after(asked)
        ops: list[Op] = [
            ByColumn((units,), cut(self.outputs.masked, onward, units), onward, accumulate=True),
            Condition("global", self._starts_of(asked), logit, accumulate=False),
            Add(asked, logit),
            *self._symbol(logit, pixel),
        ]
        if self.direct is not None:
            ops.append(ByColumn((pixel,), cut(self.direct.masked, later, pixel), later, True))
        return ops

    def _symbol(self, parameters: Register, pixel: Window) -> tuple[Op, Op]:
        return Draw(parameters, self.distribution), Embed(self.table.weight.detach(), pixel)

    def _starts_of(self, asked: Window) -> tuple[int, ...]:
        """Where the conditioning of each pixel's parameters begins, behind that of the units."""
        return _from(sum(self.config.hidden), asked)

    @property
    def _stack(self) -> list[MaskedDense]:
        return cast("list[MaskedDense]", list(self.layers))


def units_due(degrees: Tensor, count: int) -> Window:
    """Where, among units of sorted degrees (U,) below `count`, those of each degree lie."""
    first, behind = (
        torch.searchsorted(degrees, torch.arange(count), right=right) for right in (False, True)
    )
    widths = (behind - first).tolist()
    return Window(event_vector(len(degrees)), tuple(first.tolist()), tuple(widths))


def spread_degrees(units: int, count: int) -> Tensor:
    """Sorted degrees (U,) from 0 to `count` − 1, all as frequent as whole numbers allow."""
    return torch.arange(units) * count // units


def _from(start: int, window: Window) -> tuple[int, ...]:
    """Where the floats of a window begin in what has its vector at `start`."""
    return tuple(start + first for first in window.starts)


def _masked(inputs: Tensor, outputs: Tensor, *, gain: float) -> MaskedDense:
    """A dense layer to units of degrees `outputs`: they see the `inputs` of up to their degree."""
    return MaskedDense(inputs <= outputs.unsqueeze(1), gain=gain)
