"""The residual block of PixelCNN++, over whole images and step by step (Salimans et al. 2017).

It learns what to add to a feature map x, with short-cuts a from other feature maps and h the
conditioning:

    c = W_1 * concat_elu(x) + V · concat_elu(a)
    y = x + p · sigmoid(q),   (p, q) = W_2 * concat_elu(c) + U · h

    concat_elu(x) = (elu(x), elu(−x))

Every reader of a feature map reads its concat_elu, so that is what is computed once, kept, and
remembered in a grid; the map itself is only ever added to.

    C      channels of a feature map; its concat_elu has 2C
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.layers import BoxConv
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    Condition,
    Gate,
    Grid,
    Op,
    Read,
    Register,
    Source,
    Write,
)


@dataclass(frozen=True)
class Feature:
    """A feature map: itself (B, C, H, W), and its concat_elu (B, 2C, H, W)."""

    plain: Tensor
    active: Tensor

    @staticmethod
    def of(plain: Tensor) -> Feature:
        """With its concat_elu."""
        return Feature(plain, concat_elu(plain))


@dataclass(frozen=True)
class Remembered:
    """A feature map in a program: itself at this position, and the grid of its concat_elu."""

    plain: Source
    active: Grid


class GatedResnet(nn.Module):
    """One block, which reads a box that ends in the position's row, and `shortcuts` other maps."""

    def __init__(
        self, channels: int, *, columns: tuple[int, int], shortcuts: int, dropout: float
    ) -> None:
        super().__init__()
        self.opening = BoxConv(2 * channels, channels, rows=(-1, 0), columns=columns)
        self.shortcut = BoxConv(2 * channels * shortcuts, channels) if shortcuts else None
        self.dropout = nn.Dropout(dropout)
        self.closing = BoxConv(2 * channels, 2 * channels, rows=(-1, 0), columns=columns, gain=0.5)

    def forward(self, x: Feature, beside: Sequence[Tensor], bias: Tensor | None) -> Feature:
        """`beside` are the active short-cuts, and `bias` is the conditioning's (B, 2C)."""
        hidden = self.opening(x.active)
        if self.shortcut is not None:
            hidden = hidden + self.shortcut(torch.cat(list(beside), dim=1))
        update = self.closing(self.dropout(concat_elu(hidden)))
        if bias is not None:
            update = update + bias[:, :, None, None]
        return Feature.of(x.plain + F.glu(update, dim=1))

    def ops(
        self, x: Remembered, beside: Sequence[Grid], condition: int | None
    ) -> tuple[list[Op], Remembered]:
        """The block at one position, and where it leaves its feature map.

        `condition` is where the bias lies in the projected conditioning.
        """
        channels = self.opening.weight.shape[0]
        hidden, update = Register(channels), Register(2 * channels, parts=2)
        inner, outer, plain = replace(x.active), replace(x.active), Register(channels)
        ops: list[Op] = [self.opening.dense(self.opening.reads(x.active), hidden)]
        if self.shortcut is not None:
            reads = tuple(Read(grid, 0, 0) for grid in beside)
            ops.append(self.shortcut.dense(reads, hidden, accumulate=True))
        ops += [*activate(hidden, inner), self.closing.dense(self.closing.reads(inner), update)]
        if condition is not None:
            ops.append(Condition("global", condition, update))
        ops += [Gate(update, plain, squash="none"), Add(x.plain, plain), *activate(plain, outer)]
        return ops, Remembered(plain, outer)


def concat_elu(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, 2C, H, W)."""
    # In place, the slope comes from the result, without an exponential: a third of the time.
    return F.elu(torch.cat([x, -x], dim=1), inplace=True)


def activate(plain: Register, grid: Grid) -> list[Op]:
    """How a feature map's concat_elu gets into its grid."""
    active = Register(grid.width, parts=2)
    return [Activation("concat_elu", plain, active), Write(active, grid)]
