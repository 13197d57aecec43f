"""The masked convolution of a PixelCNN, in its two lives: over whole images, and step by step.

A kernel of reach K lies over a pixel's own row and the K rows above it, K columns to both sides. It
never reads behind the pixel; the pixel itself is read under mask B only:

    mask A, reach 2             mask B, reach 1           mask B, reach 0: a dense layer
    1 1 1 1 1                   1 1 1                     1
    1 1 1 1 1                   1 1 ·
    1 1 · · ·

In a colour image the channels lie in three equal groups, for red, green and blue, which are drawn
in that order. What is above or left is known in all its colours. At the pixel itself a group sees
the groups of the colours before it, and under mask B its own:

    mask A    from R G B        mask B    from R G B
    to R           · · ·        to R           1 · ·
       G           1 · ·           G           1 1 ·
       B           1 1 ·           B           1 1 1

Shapes: B batch, H rows, W columns, C and D channels in and out, K reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.sampling.ops import Dense, Grid, Read, Register


class MaskedConv(nn.Module):
    """A convolution under mask A or B; `colours` is 1 or 3, the number of groups of channels."""

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kind: Literal["A", "B"] = "B",
        reach: int = 0,
        colours: int = 1,
        gain: float = 1.0,
    ) -> None:
        """`gain` scales the initial weights: outputs start with `gain` times the inputs' size."""
        super().__init__()
        self.kind = kind
        self.reach = reach
        self.colours = colours
        self.register_buffer("mask", mask(inputs, outputs, kind, reach, colours), persistent=False)
        read = self.mask.sum((1, 2, 3), keepdim=True)
        self.weight = nn.Parameter(torch.randn(self.mask.shape) * self.mask * gain / read.sqrt())
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        if self.reach:
            x = F.pad(x, (self.reach, self.reach, self.reach, 0))
        return F.conv2d(x, self.weight * self.mask, self.bias)

    def dense(
        self,
        colour: int,
        past: Sequence[Grid],
        here: Sequence[Register],
        target: Register,
        *,
        accumulate: bool = False,
    ) -> Dense:
        """What this layer gives to the group of one colour at one position.

        `past` has a grid for each group of channels in, read where the kernel lies before the
        pixel, and `here` their registers at the pixel. Only weights that the mask lets through are
        taken.
        """
        inputs = self.weight.shape[1] // self.colours
        outputs = self.weight.shape[0] // self.colours
        rows = slice(colour * outputs, (colour + 1) * outputs)
        seen = here[: colour + (self.kind == "B")]
        weight, bias = self.weight.detach()[rows], self.bias.detach()[rows]
        offsets = [
            (dy, dx)
            for dy in range(-self.reach, 1)
            for dx in range(-self.reach, self.reach + 1)
            if (dy, dx) < (0, 0)
        ]
        parts = [weight[:, :, self.reach + dy, self.reach + dx] for dy, dx in offsets]
        parts.append(weight[:, : len(seen) * inputs, self.reach, self.reach])
        reads = [Read(grid, dy, dx) for dy, dx in offsets for grid in past]
        return Dense((*reads, *seen), torch.cat(parts, dim=1), bias, target, accumulate)


def mask(
    inputs: int, outputs: int, kind: Literal["A", "B"], reach: int, colours: int = 1
) -> Tensor:
    """1 where a kernel may look and 0 elsewhere: (D, C, K + 1, 2K + 1) floats."""
    seen = torch.ones(outputs, inputs, reach + 1, 2 * reach + 1)
    seen[:, :, reach, reach:] = 0
    into = (torch.arange(outputs) * colours // outputs).unsqueeze(1)
    out_of = torch.arange(inputs) * colours // inputs
    seen[:, :, reach, reach] = (out_of < into if kind == "A" else out_of <= into).float()
    return seen
