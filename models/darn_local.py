"""The local layer of a DARN: units at each pixel, which look at the pixels just before it.

    g_i = relu(Q x_near(i) + s)

                 n n n n n       near: so many rows above, and as many columns to both sides
                 n n n n n
                 n n ● · ·       off the image there are zeros

Q and s are the same at all pixels, a convolution under a mask, so that they learn from each; every
pixel has a readout of its own. Where Gregor et al. 2014 have deterministic units that look at the
code, these look at pixels, like the hidden units of NADE and the first layer of PixelCNN. An event
costs, over all its pixels i, L·(D + Σ |near(i)|) products.

Shapes: B batch, D = H · W pixels, L units at a pixel, P pixels near one.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.darn_config import DarnConfig
from ancestral.models.masked import steady_product
from ancestral.models.sampling.ops import (
    Activation,
    ByColumn,
    Condition,
    Grid,
    Op,
    Register,
    Window,
)


class LocalLayer(nn.Module):
    """What pixels near a pixel add to its logit."""

    def __init__(self, config: DarnConfig) -> None:
        super().__init__()
        self._config = config
        pixels, reach = config.height * config.width, config.reach
        near = reach * (2 * reach + 1) + reach
        # Few of the pixels that are read are 1.
        self.near = nn.Parameter(torch.randn(config.local, near) * 2 / math.sqrt(near))
        self.readout = nn.Parameter(torch.randn(pixels, config.local) * 0.3 / config.local**0.5)

    def forward(self, pixels: Tensor, starts: Tensor) -> Tensor:
        """Logits (B, D) of the pixels (B, D), for `starts` (B, L) of the units."""
        config, reach = self._config, self._config.reach
        image = pixels.view(-1, 1, config.height, config.width)
        framed = F.pad(image, (reach, reach, reach, 0))
        box = F.unfold(framed, (reach + 1, 2 * reach + 1))[:, : self.near.shape[1]]
        seen = box.transpose(1, 2)
        near = F.linear(seen, self.near) if self.training else steady_product(seen, self.near)
        return (torch.relu(near + starts.unsqueeze(1)) * self.readout).sum(-1)

    def ops(self, bits: Grid, logit: Register, offset: int) -> tuple[Op, ...]:
        """What is due at each bit, adding to its `logit` if it is a pixel. `bits` begin with the
        code; starts are projected at `offset`."""
        code, width = self._config.code, self._config.local
        columns, pixels = bits.width, bits.width - code
        units = Register(width)
        of_pixel = Window(units, (0,) * columns, (0,) * code + (width,) * pixels)
        near, weights = self._near(bits)
        readout = self.readout.detach()
        silent = (readout.new_zeros(1, 0),) * code
        return (
            ByColumn(near, weights, units),
            Condition("global", offset, units),
            Activation("relu", of_pixel, of_pixel),
            ByColumn((of_pixel,), silent + torch.split(readout, 1), logit, accumulate=True),
        )

    def _near(self, bits: Grid) -> tuple[tuple[Window, ...], tuple[Tensor, ...]]:
        """Where the pixels near each pixel lie, a window for each row of them, and the weights from
        them to its units; windows are empty at bits of the code, and off the image."""
        config, reach = self._config, self._config.reach
        code, side, weight = config.code, 2 * config.reach + 1, self.near.detach()
        starts: list[list[int]] = [[0] * code for _ in range(reach + 1)]
        widths: list[list[int]] = [[0] * code for _ in range(reach + 1)]
        weights = [weight[:, :0]] * code
        for row, column in itertools.product(range(config.height), range(config.width)):
            left, pieces = max(column - reach, 0), []
            for place, above in enumerate(range(reach, -1, -1)):
                right = min(column + reach + 1, config.width) if above else column
                width = right - left if above <= row else 0
                starts[place].append(code + (row - above) * config.width + left if width else 0)
                widths[place].append(width)
                first = place * side + left - (column - reach)
                pieces.append(weight[:, first : first + width])
            weights.append(torch.cat(pieces, dim=1))
        rows = zip(starts, widths, strict=True)
        return tuple(Window(bits, tuple(s), tuple(w)) for s, w in rows), tuple(weights)
