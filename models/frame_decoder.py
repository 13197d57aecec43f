"""The pixels of a frame, given what the frames before say about it: a gated PixelCNN.

Two stacks leave no blind spot (gated_pixelcnn.py draws what they read): the vertical one reads the
rows above, the horizontal one the row up to the pixel. The features of the frame are added in each
layer of the vertical stack. They come to the horizontal one by the link, which sends it all that
the vertical one has before its gate:

    features ──────╮
                   ▼
    vertical ────► + ──┬──────────────► gate ──► next layer
                       │ link
    horizontal ──────► + ──► gate ──┬─► residual ──► next layer
                                    ╰─► skip ──► sum over layers ──► head ──► logits

Shapes: N frames, C channels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ancestral.models.layers import BoxConv, gate
from ancestral.models.sampling.ops import Activation, Add, Gate, Grid, Op, Read, Register, Write


class _Layer(nn.Module):
    """One layer of both stacks, whose boxes reach `reach` steps of `dilation`. The first one reads
    pixels before its own alone; nothing follows the last one, so only its gate goes on."""

    def __init__(
        self,
        inputs: int,
        features: int,
        channels: int,
        head: int,
        *,
        reach: int,
        dilation: int,
        first: bool,
        last: bool,
    ) -> None:
        super().__init__()
        self.vertical = BoxConv(
            inputs,
            2 * channels,
            rows=(-reach, -1) if first else (-1, 0),
            columns=(-reach, reach),
            dilation=dilation,
            gain=1.5,
        )
        self.features = BoxConv(features, 2 * channels)
        self.link = BoxConv(2 * channels, 2 * channels)
        self.horizontal = BoxConv(
            inputs,
            2 * channels,
            columns=(-reach, -1 if first else 0),
            dilation=dilation,
            gain=1.5,
        )
        self.skip = BoxConv(channels, head)
        self.residual = None if last else BoxConv(channels, channels)


class FrameDecoder(nn.Module):
    """Logits of each pixel, from the pixels before it in its frame and the frame's features."""

    def __init__(
        self,
        *,
        pixels: int,
        features: int,
        channels: int,
        layers: int,
        first_reach: int,
        dilation_cycle: int,
        head: int,
        levels: int,
    ) -> None:
        """`pixels` and `features` are channels of what it reads, `channels` those of both stacks.
        The first layer reaches `first_reach` pixels; later ones read in steps of 1, 2, 4, ...,
        beginning again after so many layers."""
        super().__init__()
        self.channels = channels
        self.layers = nn.ModuleList(
            _Layer(
                channels if index else pixels,
                features,
                channels,
                head,
                reach=1 if index else first_reach,
                dilation=2 ** ((index - 1) % dilation_cycle) if index else 1,
                first=index == 0,
                last=index == layers - 1,
            )
            for index in range(layers)
        )
        self.hidden = BoxConv(head, head)
        self.logits = BoxConv(head, levels)

    def forward(self, pixels: Tensor, features: Tensor) -> Tensor:
        """Embedded pixels (N, C, H, W) and features (N, C', H, W) to logits (N, L, H, W)."""
        vertical = horizontal = pixels
        skips: list[Tensor] = []
        for index, layer in enumerate(self._stack):
            above = layer.vertical(vertical) + layer.features(features)
            vertical, gated = gate(above), gate(layer.horizontal(horizontal) + layer.link(above))
            skips.append(layer.skip(gated))
            if layer.residual is not None:
                onward = layer.residual(gated)
                horizontal = onward if index == 0 else horizontal + onward
        hidden = self.hidden(torch.relu(torch.stack(skips).sum(0)))
        return cast(Tensor, self.logits(torch.relu(hidden)))

    def sweep(self, pixels: Grid, features: Grid) -> tuple[list[Op], list[Grid]]:
        """The ops of a row sweep, the vertical stack, and the grids of what it sends by its links.

        `pixels` keeps whole frames.
        """
        ops: list[Op] = []
        links: list[Grid] = []
        below = pixels
        for index, layer in enumerate(self._stack):
            before_gate, sent = self._register(parts=2), self._register(parts=2)
            links.append(self._grid(pixels, rows=1, parts=2))
            ops += [
                layer.vertical.dense(layer.vertical.reads(below), before_gate),
                layer.features.dense((Read(features, 0, 0),), before_gate, accumulate=True),
                layer.link.dense((before_gate,), sent),
                Write(sent, links[-1]),
            ]
            if layer.residual is not None:
                gated = self._register()
                rows = min(pixels.rows, self._stack[index + 1].vertical.dilation + 1)
                below = self._grid(pixels, rows)
                ops += [Gate(before_gate, gated), Write(gated, below)]
        return ops, links

    def step(self, pixels: Grid, links: list[Grid]) -> tuple[list[Op], Register]:
        """The ops of a step, horizontal stack and head, and the register of logits."""
        ops: list[Op] = []
        left, horizontal = pixels, self._register()
        skips = Register(self.hidden.weight.shape[0])
        hidden, rectified = Register(skips.width), Register(skips.width)
        logits = Register(self.logits.weight.shape[0])
        for index, (layer, link) in enumerate(zip(self._stack, links, strict=True)):
            before_gate, gated = self._register(parts=2), self._register()
            ops += [
                layer.horizontal.dense(layer.horizontal.reads(left), before_gate),
                Add(Read(link, 0, 0), before_gate),
                Gate(before_gate, gated),
                layer.skip.dense((gated,), skips, accumulate=index > 0),
            ]
            if layer.residual is not None:
                left = self._grid(pixels, rows=1)
                ops += [
                    layer.residual.dense((gated,), horizontal, accumulate=index > 0),
                    Write(horizontal, left),
                ]
        ops += [
            Activation("relu", skips, rectified),
            self.hidden.dense((rectified,), hidden),
            Activation("relu", hidden, rectified),
            self.logits.dense((rectified,), logits),
        ]
        return ops, logits

    def _register(self, parts: int = 1) -> Register:
        return Register(parts * self.channels, parts)

    def _grid(self, pixels: Grid, rows: int, parts: int = 1) -> Grid:
        return Grid(rows, pixels.columns, parts * self.channels, parts)

    @property
    def _stack(self) -> list[_Layer]:
        return cast("list[_Layer]", list(self.layers))
