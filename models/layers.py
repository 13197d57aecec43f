"""The one convolution of every net here, in its two lives: over whole events, and step by step.

A sound is an image of one row, so all feature maps are (B, C, H, W) with H = 1 for sounds. They are
kept in the channels-last layout, which on a processor is about half as slow as the usual one for
the 16 to 64 channels that small nets have.

    C, D   channels in and out
    K      values read at a position: (rows in the box) * (columns in the box) * C
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.sampling.ops import Dense, Grid, Read, Register, Source


class BoxConv(nn.Module):
    """A convolution that reads a box of neighbours around each position, and zeros off the event.

    `rows` and `columns` are the first and last offset of the box, both included, in steps of
    `dilation`. Instead of a large kernel under a mask, the kernel holds only what is read:

        masked 5x5 kernel            the same as boxes
        1 1 1 1 1                    rows (-2, -1), columns (-2, 2)
        1 1 1 1 1
        1 1 0 0 0                    rows (0, 0), columns (-2, -1)       "mask A"
        0 0 0 0 0                    rows (0, 0), columns (-2, 0)        "mask B"
        0 0 0 0 0

    A box of the position alone, the default, is a dense layer.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rows: tuple[int, int] = (0, 0),
        columns: tuple[int, int] = (0, 0),
        dilation: int = 1,
        stride: int = 1,
        gain: float = 1.0,
        exact: bool = False,
    ) -> None:
        """`gain` scales the initial weights: outputs start with `gain` times the inputs' size.

        With a stride s, only every s-th row and column is computed, from the first on.
        An `exact` layer computes in the dtype of its weights even under autocast: it reads
        amplitudes or gives parameters among up to 65,536 levels, more than bfloat16 can tell apart.
        """
        super().__init__()
        self.rows = rows
        self.columns = columns
        self.dilation = dilation
        self.stride = stride
        self.exact = exact
        height, width = rows[1] - rows[0] + 1, columns[1] - columns[0] + 1
        deviation = gain / math.sqrt(inputs * height * width)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, height, width) * deviation)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W), or to (B, D, H / stride, W / stride)."""
        if not self.exact:
            return self._convolved(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._convolved(x.to(self.weight.dtype))

    def _convolved(self, x: Tensor) -> Tensor:
        left, right = (offset * self.dilation for offset in self.columns)
        top, bottom = (offset * self.dilation for offset in self.rows)
        if (left, right, top, bottom) != (0, 0, 0, 0):
            x = F.pad(x, (-left, right, -top, bottom))  # a negative pad cuts
        return F.conv2d(x, self.weight, self.bias, self.stride, dilation=self.dilation)

    def reads(self, grid: Grid) -> tuple[Read, ...]:
        """The box as reads of a grid, row by row, in the order of `dense`'s weights."""
        return tuple(
            Read(grid, dy * self.dilation, dx * self.dilation)
            for dy in range(self.rows[0], self.rows[1] + 1)
            for dx in range(self.columns[0], self.columns[1] + 1)
        )

    def dense(
        self, sources: tuple[Source, ...], target: Register, *, accumulate: bool = False
    ) -> Dense:
        """This layer at one position; `sources` bring the K values in the order of `reads`."""
        weight = self.weight.detach().permute(0, 2, 3, 1).flatten(1)
        return Dense(sources, weight, self.bias.detach(), target, accumulate)


class SymbolTable(nn.Module):
    """A learned vector for each of L symbols.

    It starts as cosines of the level, fast ones weaker, so that neighbouring levels start as
    neighbours: levels are amplitudes, not names.
    """

    def __init__(self, levels: int, width: int, amplitudes: Tensor | None = None) -> None:
        """`amplitudes` (levels, N) take the place of the first cosines, as far as there is room."""
        super().__init__()
        weight = cosines(levels, width)
        if amplitudes is not None:
            room = min(width, amplitudes.shape[1])
            weight[:, :room] = amplitudes[:, :room]
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Symbols (B, H, W) to features (B, width, H, W)."""
        return F.embedding(x.long(), self.weight).permute(0, 3, 1, 2)


def cosines(levels: int, width: int) -> Tensor:
    """Smooth functions of the level as the columns of (levels, width)."""
    level = (torch.arange(levels).unsqueeze(1) + 0.5) / levels
    order = torch.arange(1, width + 1)
    return torch.cos(math.pi * level * order) * math.sqrt(2.0) / order.sqrt()


def gate(x: Tensor) -> Tensor:
    """tanh of the first half of the channels times the sigmoid of the second: (B, 2C, ...) to
    (B, C, ...)."""
    signal, opening = x.chunk(2, dim=1)
    return torch.tanh(signal) * torch.sigmoid(opening)
