"""Between a grid and one half as fine: layers in both lives.

A cell of the coarse grid stands for 2 x 2 positions of the fine one:

    fine        0   1   2   3           down    a coarse cell reads a box around the first of its
              ┌───────┬───────┐                 positions, A: a `BoxConv` with stride 2
            0 │ A   b │ a   b │         up      a coarse cell (and its right neighbour) makes all
            1 │ c   d │ c   d │                 of its positions, each with weights of its own:
              └───────┴───────┘                 those of a, b, c and d

Up is a transposed convolution with stride 2, said as a box of neighbours with four times the
outputs; a step computes the quarter that is due.

    C, D   channels in and out
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.layers import BoxConv
from ancestral.models.sampling.ops import Dense, Grid, Read, Register, Source


class Upsample(nn.Module):
    """From a coarse grid to the fine one. `columns` are the first and last coarse column read."""

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
