"""A stream of gated residual blocks that goes down to coarser grids and up again (PixelCNN++).

With two coarser grids and one block on each, the feature maps are, numbered from the first layer's:

    stride 1    0 ─ 1                           10 ─ 11 ─ 12      ─   a block
                     ╲                         ╱                  ╲   a strided convolution
    stride 2          2 ─ 3           7 ─ 8 ─ 9                   ╱   a transposed one
                           ╲         ╱
    stride 4                4 ─ 5 ─ 6

Each block on the way up has a short-cut from a partner on the way down, the last of those without
one: 4 to 6, 3 to 8, 2 to 9, 1 to 11, 0 to 12.

A cell of a coarse grid stands for 2 x 2 positions of the fine one:

    fine        0   1   2   3           down    a coarse cell reads a box around the first of its
              ┌───────┬───────┐                 positions, A: a `BoxConv` with stride 2
            0 │ A   b │ a   b │         up      a coarse cell (and its right neighbour) makes all
            1 │ c   d │ c   d │                 of its positions, each with weights of its own:
              └───────┴───────┘                 those of a, b, c and d

In a program, the layers of a coarse grid are due at the first of the positions that a cell stands
for. Those that lead up are due at every position of their grid, by the parity of row and column.

Shapes: B batch, C and D channels in and out, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.gated_resnet import Feature, GatedResnet, Remembered, activate
from ancestral.models.layers import BoxConv
from ancestral.models.sampling.ops import Dense, Grid, Op, Read, Register, Source, When, Write


@dataclass(frozen=True)
class Stage:
    """What makes a feature map: a layer on the grid with stride 2**level.

    `partner` is the number of the feature map that a block on the way up has a short-cut from.
    """

    kind: Literal["block", "down", "up"]
    level: int
    partner: int | None = None


def stages(blocks: int, coarser: int) -> tuple[Stage, ...]:
    """What makes each feature map but the first one, in order."""
    made: list[Stage] = []
    without_partner = [[0]]
    for level in range(coarser + 1):
        if level > 0:
            made.append(Stage("down", level))
            without_partner.append([len(made)])
        for _ in range(blocks):
            made.append(Stage("block", level))
            without_partner[level].append(len(made))
    without_partner[coarser].pop()
    for level in reversed(range(coarser + 1)):
        if level < coarser:
            made.append(Stage("up", level))
        made += [Stage("block", level, number) for number in reversed(without_partner[level])]
    return tuple(made)


class Upsample(nn.Module):
    """From a coarse grid to the fine one. `columns` are the first and last coarse column read.

    It is a transposed convolution with stride 2, said as a box of neighbours with four times the
    outputs; a step computes the quarter that is due.
    """

    def __init__(self, inputs: int, outputs: int, *, columns: tuple[int, int]) -> None:
        super().__init__()
        self.box = BoxConv(inputs, 4 * outputs, columns=columns)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, 2H, 2W)."""
        return F.pixel_shuffle(self.box(x), 2)

    def reads(self, coarse: Grid) -> tuple[Read, ...]:
        """What a position reads, in the order of `dense`'s weights."""
        return self.box.reads(coarse)

    def dense(
        self, sources: tuple[Source, ...], target: Register, *, row: int, column: int
    ) -> Dense:
        """This layer at fine positions with that parity of row and column."""
        every = self.box.dense(sources, Register(4 * target.width))
        assert every.bias is not None
        quarter = slice(2 * row + column, None, 4)
        return Dense(sources, every.weight[quarter], every.bias[quarter], target)


class Stream(nn.Module):
    """All layers of a stream but the first one.

    `columns` are the first and last column that layers read, and `columns_up` those that a
    transposed convolution reads of the coarser grid. With `beside`, each block has a short-cut from
    the same feature map of another stream, too.
    """

    def __init__(
        self,
        *,
        channels: int,
        blocks: int,
        coarser: int,
        columns: tuple[int, int],
        columns_up: tuple[int, int],
        beside: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.stages = stages(blocks, coarser)
        self.layers = nn.ModuleList()
        for stage in self.stages:
            if stage.kind == "block":
                shortcuts = int(beside) + (stage.partner is not None)
                layer: nn.Module = GatedResnet(
                    channels, columns=columns, shortcuts=shortcuts, dropout=dropout
                )
            elif stage.kind == "down":
                layer = BoxConv(2 * channels, channels, rows=(-1, 0), columns=columns, stride=2)
            else:
                layer = Upsample(2 * channels, channels, columns=columns_up)
            self.layers.append(layer)

    @property
    def bias_width(self) -> int:
        """Numbers of projected conditioning: a bias of 2C for each block."""
        return 2 * self.channels * sum(stage.kind == "block" for stage in self.stages)

    def forward(
        self, first: Feature, beside: Sequence[Feature] | None, biases: Tensor | None
    ) -> list[Feature]:
        """All feature maps, from the first one (B, C, H, W); `biases` are (B, bias_width)."""
        maps = [first]
        shares = iter(() if biases is None else torch.split(biases, 2 * self.channels, dim=1))
        for number, (stage, layer) in enumerate(zip(self.stages, self.layers, strict=True), 1):
            if isinstance(layer, GatedResnet):
                shortcuts = [] if beside is None else [beside[number].active]
                if stage.partner is not None:
                    shortcuts.append(maps[stage.partner].active)
                maps.append(layer(maps[-1], shortcuts, next(shares, None)))
            else:
                maps.append(Feature.of(layer(maps[-1].active)))
        return maps

    def ops(
        self, first: Remembered, beside: Sequence[Remembered] | None, bias: int | None
    ) -> tuple[list[Op | When], list[Remembered]]:
        """The ops of all stages, and where their feature maps are left.

        `bias` is where the biases lie in the projected conditioning; None when there is none.
        """
        maps, items = [first], list[Op | When]()
        for number, (stage, layer) in enumerate(zip(self.stages, self.layers, strict=True), 1):
            stride = 2**stage.level
            if isinstance(layer, GatedResnet):
                shortcuts = [] if beside is None else [beside[number].active]
                if stage.partner is not None:
                    shortcuts.append(maps[stage.partner].active)
                ops, made = layer.ops(maps[-1], shortcuts, bias)
                bias = None if bias is None else bias + 2 * self.channels
                items += _due(ops, stride)
            elif isinstance(layer, BoxConv):
                ops, made = self._down(layer, maps[-1])
                items += _due(ops, stride)
            else:
                assert isinstance(layer, Upsample)
                quarters, made = self._up(layer, maps[-1])
                items += quarters
            maps.append(made)
        return items, maps

    def _down(self, layer: BoxConv, x: Remembered) -> tuple[list[Op], Remembered]:
        fine, plain = x.active, Register(self.channels)
        coarse = replace(
            fine,
            columns=fine.columns // 2,
            row_stride=2 * fine.row_stride,
            column_stride=2 * fine.column_stride,
        )
        ops: list[Op] = [layer.dense(layer.reads(fine), plain)]
        return [*ops, *activate(plain, coarse)], Remembered(plain, coarse)

    def _up(self, layer: Upsample, x: Remembered) -> tuple[list[When], Remembered]:
        """Four times the layer, for even and odd rows and columns of the fine grid."""
        coarse, stride = x.active, x.active.row_stride // 2
        fine = replace(coarse, columns=2 * coarse.columns, row_stride=stride, column_stride=stride)
        # A sweep's registers hold only the columns that are due together, so that what the
        # columns of both parities add up to is a grid.
        whole = replace(fine, rows=1, width=self.channels, parts=1)
        quarters = []
        for row in (0, 1):
            for column in (0, 1):
                plain = Register(self.channels)
                dense = layer.dense(layer.reads(coarse), plain, row=row, column=column)
                ops = (dense, Write(plain, whole), *activate(plain, fine))
                quarters.append(When(ops, 2 * stride, row * stride, 2 * stride, column * stride))
        return quarters, Remembered(Read(whole, 0, 0), fine)


def _due(ops: Sequence[Op], stride: int) -> Iterator[Op | When]:
    if stride == 1:
        yield from ops
    else:
        yield When(tuple(ops), row_step=stride, column_step=stride)
