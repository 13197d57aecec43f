"""What the frames before a frame say about it: a stack of convolutions over space and time.

The first layer reads pixels of the frames before; every later one reads the layer below it in the
same frame and in the frame before. So the features of frame t know frames before t only, and each
layer looks one frame further back, and further to all sides:

    layer 3                                     ●       the features of frame t
                                            ╱   │
    layer 2                             ●       ●       reads layer 1 at t−1 and t
                                    ╱   │   ╱   │
    layer 1                     ●       ●       ●       reads pixels at t−2 and t−1
                            ╱╱      ╱╱      ╱╱
    pixels      ○       ○       ○       ○       ?
    time       t−4     t−3     t−2     t−1      t

Each layer is gated and residual. Before the first frame the features of every layer are zeros, as
they are beyond the edges of a frame.

Shapes: B batch, F frames, C, D channels in and out.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.layers import BoxConv, gate
from ancestral.models.sampling.ops import Condition, Dense, Gate, Grid, Op, Read, Register, Write


class FrameConv(nn.Module):
    """A box convolution that reads the same box in several frames, and zeros before the first one.

    The frames lie side by side as channels, so that it is one convolution of each frame.
    """

    def __init__(
        self, inputs: int, outputs: int, *, frames: tuple[int, int], reach: int, dilation: int = 1
    ) -> None:
        """`frames` are the first and last offset in time, both included and neither above 0; the
        box reaches `reach` steps of `dilation` to all sides."""
        super().__init__()
        self.offsets = range(frames[0], frames[1] + 1)
        self.box = BoxConv(
            inputs * len(self.offsets),
            outputs,
            rows=(-reach, reach),
            columns=(-reach, reach),
            dilation=dilation,
            gain=1.5,
        )

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(B·F, C, H, W), the F frames of a clip one after another, to (B·F, D, H, W)."""
        before = -self.offsets[0]
        # Channels stay last throughout (layers.py says why).
        last = x.permute(0, 2, 3, 1)
        clips = last.reshape(-1, frames, *last.shape[1:])
        padded = F.pad(clips, (0, 0, 0, 0, 0, 0, before, 0))
        seen = [padded[:, before + dz : before + dz + frames] for dz in self.offsets]
        side_by_side = torch.cat(seen, dim=-1).flatten(0, 1)
        return cast(Tensor, self.box(side_by_side.permute(0, 3, 1, 2)))

    def dense(self, below: Grid, target: Register) -> Dense:
        """This layer at one position, reading the grid of the layer below."""
        reads = tuple(
            Read(below, read.dy, read.dx, dz)
            for read in self.box.reads(below)
            for dz in self.offsets
        )
        return self.box.dense(reads, target)


class _Layer(nn.Module):
    def __init__(self, past: FrameConv, channels: int) -> None:
        super().__init__()
        self.past = past
        self.residual = BoxConv(channels, channels)


class FrameEncoder(nn.Module):
    """Features of each frame, from the pixels of the frames before."""

    def __init__(
        self,
        pixels: int,
        channels: int,
        layers: int,
        *,
        first_frames: int,
        first_reach: int,
        dilation_cycle: int,
    ) -> None:
        """`pixels` are the channels of an embedded pixel. The first layer reads `first_frames`
        frames; later ones read in steps of 1, 2, 4, ..., beginning again after so many layers."""
        super().__init__()
        self.channels = channels
        first = FrameConv(pixels, 2 * channels, frames=(-first_frames, -1), reach=first_reach)
        later = [
            FrameConv(
                channels,
                2 * channels,
                frames=(-1, 0),
                reach=1,
                dilation=2 ** (index % dilation_cycle),
            )
            for index in range(layers - 1)
        ]
        self.layers = nn.ModuleList(_Layer(past, channels) for past in (first, *later))

    @property
    def condition_width(self) -> int:
        """Floats of projected conditioning: what it adds in each layer before the gate."""
        return 2 * self.channels * len(self.layers)

    def forward(self, pixels: Tensor, frames: int, fixed: Tensor | None) -> Tensor:
        """Embedded pixels (B·F, C, H, W) and projected conditioning (B, condition_width) to
        features (B·F, D, H, W)."""
        features = pixels
        for index, layer in enumerate(self._stack):
            before_gate = layer.past(features, frames)
            if fixed is not None:
                share = fixed.chunk(len(self.layers), dim=1)[index]
                before_gate = before_gate + share.repeat_interleave(frames, 0)[:, :, None, None]
            onward = layer.residual(gate(before_gate))
            features = onward if index == 0 else features + onward
        return features

    def sweep(self, pixels: Grid, *, conditioned: bool) -> tuple[list[Op], Grid]:
        """The ops of a frame sweep, and the grid of features that they leave."""
        ops: list[Op] = []
        features, below = Register(self.channels), pixels
        for index, layer in enumerate(self._stack):
            before_gate, gated = Register(2 * self.channels, parts=2), Register(self.channels)
            ops.append(layer.past.dense(below, before_gate))
            if conditioned:
                ops.append(Condition("global", index * before_gate.width, before_gate))
            # The layer above, if there is one, reads the frame before as well.
            kept = 1 if index == len(self.layers) - 1 else 2
            below = Grid(pixels.rows, pixels.columns, self.channels, frames=kept)
            ops += [
                Gate(before_gate, gated),
                layer.residual.dense((gated,), features, accumulate=index > 0),
                Write(features, below),
            ]
        return ops, below

    @property
    def _stack(self) -> list[_Layer]:
        return cast("list[_Layer]", list(self.layers))
