"""The masked dense layer of MADE and DARN, and the pieces in which a step computes it.

What such a network computes for symbol t is a sum over what was drawn before. Over whole events it
is a dense layer under a mask; step by step each column cuts a piece out of it, so that no weight is
used twice for an event and none that is masked is used at all:

    mask   s0 s1 s2 s3            pulled at column 2              pushed at column 1
    y0      ·  ·  ·  ·
    y1      w  ·  ·  ·
    y2      w  w  ·  ·             y2 =  w  w  · (s0, s1)           y2 +=  w  · s1
    y3      w  w  w  ·                                              y3 +=  w

Several outputs of a column are pulled, for they share what is read; a single one is pushed to, as
it would read everything for one sum.

Shapes: B batch, I floats in, O floats out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.autoregressive import Conditions
from ancestral.models.image_conditions import ImageConditions
from ancestral.models.sampling.ops import Grid, Window

#: Dense layers are computed in multiples of so many floats, where rows must not differ by place.
WIDTH = 16


class MaskedDense(nn.Module):
    """y = (mask ∘ W) x: a dense layer without a bias, some of whose weights are held at zero."""

    mask: Tensor

    def __init__(self, mask: Tensor, *, gain: float = 1.0) -> None:
        """`mask` (O, I) is true where a weight is. `gain` scales the initial weights: outputs start
        with `gain` times the inputs' size."""
        super().__init__()
        self.register_buffer("mask", mask.float(), persistent=False)
        read = self.mask.sum(1, keepdim=True).clamp_min(1)
        self.weight = nn.Parameter(torch.randn(mask.shape) * self.mask * gain / read.sqrt())

    @property
    def masked(self) -> Tensor:
        """The weights, zero where the mask is: (O, I)."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        if self.training:
            return F.linear(x, self.masked)
        return steady_product(x, self.masked)


def steady_product(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., I) by a weight (O, I), (..., O), rows of which do not depend on where they stand.

    Of odd widths, libraries sum a row in an order that depends on its place in the batch (seen with
    AVX2), and a score may not depend on its neighbours.
    """
    outputs, inputs = weight.shape
    wide = F.pad(weight, (0, -inputs % WIDTH, 0, -outputs % WIDTH))
    return F.linear(F.pad(x, (0, -inputs % WIDTH)), wide)[..., :outputs]


def dense_layer(inputs: int, outputs: int, *, gain: float = 1.0) -> nn.Linear:
    """A dense layer without biases, whose outputs start with `gain` times the inputs' size."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
    return layer


class Starts(nn.Module):
    """What the sums of a net start from: a bias each, and what the label adds to it."""

    def __init__(self, labels: tuple[int | str, ...], width: int) -> None:
        super().__init__()
        self.asked = ImageConditions(labels=labels, width=width)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, conditions: Conditions) -> Tensor:
        """(B, width) for `conditions` with "label" (B,) int64; (1, width) without labels."""
        of_label = self.asked.project(conditions).fixed
        return self.bias.unsqueeze(0) if of_label is None else self.bias + of_label


def cut(weight: Tensor, outputs: Window, inputs: Window) -> tuple[Tensor, ...]:
    """The weights (O, I) from what a window of the inputs holds to a window of the outputs, column
    by column."""
    rows, columns = (
        [slice(start, start + width) for start, width in zip(w.starts, w.widths, strict=True)]
        for w in (outputs, inputs)
    )
    return tuple(weight.detach()[at] for at in zip(rows, columns, strict=True))


def event_vector(width: int) -> Grid:
    """A vector that lasts for an event."""
    return Grid(rows=1, columns=1, width=width)


def always(of: Grid, start: int, width: int, columns: int) -> Window:
    """The same floats at each of so many columns."""
    return Window(of, (start,) * columns, (width,) * columns)


def in_turn(of: Grid, width: int) -> Window:
    """`width` floats at each column, one behind the other."""
    starts = range(0, of.width, width)
    return Window(of, tuple(starts), (width,) * len(starts))


def before(window: Window) -> Window:
    """All floats before those of a window."""
    return _between(window, [0] * len(window.starts), window.starts)


def until(window: Window) -> Window:
    """The floats of a window and all before them."""
    return _between(window, [0] * len(window.starts), _ends(window))


def since(window: Window) -> Window:
    """The floats of a window and all behind them."""
    return _between(window, window.starts, [window.of.width] * len(window.starts))


def after(window: Window) -> Window:
    """All floats behind those of a window."""
    return _between(window, _ends(window), [window.of.width] * len(window.starts))


def _ends(window: Window) -> list[int]:
    return [start + width for start, width in zip(window.starts, window.widths, strict=True)]


def _between(window: Window, starts: Sequence[int], ends: Sequence[int]) -> Window:
    widths = (end - start for start, end in zip(starts, ends, strict=True))
    return Window(window.of, tuple(starts), tuple(widths))
