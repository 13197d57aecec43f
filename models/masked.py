"""The masked dense layer of MADE and DARN, and the vector of sums that their steps keep.

What such a network computes for symbol t is a sum over what was drawn before. Over whole events it
is a dense layer under a mask; step by step it is a *running sum*, to which every drawn symbol adds
one column of weights, so that no weight is used twice for an event:

    mask        s0 s1 s2 s3            running sums, column by column
    y0           ·  ·  ·  ·            y0 y1 y2 y3   +=  (·  w  w  w) · s0
    y1           w  ·  ·  ·            y0 y1 y2 y3   +=  (·  ·  w  w) · s1
    y2           w  w  ·  ·                          ...
    y3           w  w  w  ·            at column t, y_t is complete

Shapes: B batch, I floats in, O floats out, N columns, w floats that a column adds from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.autoregressive import Conditions
from ancestral.models.image_conditions import ImageConditions
from ancestral.models.sampling.ops import (
    Add,
    ByColumn,
    Condition,
    Dense,
    Grid,
    Op,
    Read,
    Register,
    Source,
    When,
    Window,
    Write,
)


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
        return F.linear(x, self.masked)


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


class RunningSum:
    """A vector of sums over what was drawn so far, for a program of one row of N columns."""

    def __init__(self, width: int, columns: int) -> None:
        self.now = Register(width)
        self._before = Grid(rows=1, columns=1, width=width)
        self._columns = columns

    def ops(self, added: Sequence[tuple[Source, Tensor]], start: int) -> list[Op | When]:
        """sums = sums before + weight · source, for each pair.

        A pair's weights are (N, width, w): each column has its own. The sums begin, at the first
        column, with the projected conditioning from `start` on.
        """
        return [
            *(
                ByColumn((source,), weight, None, self.now, accumulate=index > 0)
                for index, (source, weight) in enumerate(added)
            ),
            Add(Read(self._before, 0, -1), self.now),
            When((Condition("global", start, self.now),), column_step=self._columns),
        ]

    def keep(self) -> Op:
        """Remember the sums for the next column."""
        return Write(self.now, self._before)

    def part(self, starts: Sequence[int], target: Register) -> Op:
        """target = as many of the sums as it holds, from `starts[column]` on."""
        window = Window(self.now, tuple(starts), target.width)
        return Dense((window,), torch.eye(target.width), None, target)


def columns_of(weight: Tensor, width: int = 1) -> Tensor:
    """Weights (O, N·w) of what is drawn, `width` floats a column, as each column adds them:
    (N, O, w).

    What is drawn at a column is added at the next one, so the first adds nothing.
    """
    outputs, inputs = weight.shape
    each = weight.detach().view(outputs, inputs // width, width).transpose(0, 1)
    return torch.cat([torch.zeros_like(each[:1]), each[:-1]])
