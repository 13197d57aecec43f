"""The local layer of a DARN: units at each pixel, which look at the pixels just before it.

    g_i = relu(Q x_near(i) + S h + s)                 or, if it is several layers deep,
    g_i = relu(P relu(Q x_near(i) + s_1) + S h + s_2)

                 n n n n n       near: so many rows above, and as many columns to both sides
                 n n n n n
                 n n ● · ·       off the image there are zeros

Q and P are the same at all pixels, a convolution under a mask, so that they learn from each; what
the code h adds to the last layer is the same everywhere, and known once the code is drawn, so that
what comes before is computed once for all codes of an image; each pixel has a readout of its own.
Where Gregor et al. 2014 have deterministic units that look at the code, these look at pixels as
well, like the hidden units of NADE and the first layers of PixelCNN. An event costs, over all its
pixels i, L·(C + D + Σ |near(i)|) products, and N·L² more for each deeper layer.

Shapes: B batch, D = H · W pixels, C bits of a code, N = C + D, L units at a pixel in each of Z
layers.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.darn_config import DarnConfig
from ancestral.models.masked import always, dense_layer, event_vector, steady_product
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ByColumn,
    Condition,
    Dense,
    Grid,
    Op,
    Register,
    Window,
)


class LocalLayer(nn.Module):
    """What pixels near a pixel, and the code, add to its logit."""

    def __init__(self, config: DarnConfig) -> None:
        super().__init__()
        self._config = config
        pixels, reach = config.height * config.width, config.reach
        near = reach * (2 * reach + 1) + reach
        # Few of the pixels that are read are 1.
        self.near = nn.Parameter(torch.randn(config.local, near) * 2 / math.sqrt(near))
        self.deeper = nn.ParameterList(
            torch.randn(config.local, config.local) * math.sqrt(2 / config.local)
            for _ in range(config.local_depth - 1)
        )
        self.of_code = dense_layer(config.code, config.local, gain=0.5)
        self.readout = nn.Parameter(torch.randn(pixels, config.local) * 0.3 / config.local**0.5)

    def of_pixels(self, pixels: Tensor, starts: Tensor) -> Tensor:
        """What the pixels (B, D) add to the last units at each of them, (B, D, L), for starts
        (B, Z·L)."""
        config, reach = self._config, self._config.reach
        image = pixels.view(-1, 1, config.height, config.width)
        framed = F.pad(image, (reach, reach, reach, 0))
        box = F.unfold(framed, (reach + 1, 2 * reach + 1))[:, : self.near.shape[1]]
        product = F.linear if self.training else steady_product
        units = product(box.transpose(1, 2), self.near)
        for weight, start in zip(self.deeper, torch.split(starts, config.local, 1), strict=False):
            units = product(torch.relu(units + start.unsqueeze(1)), weight)
        return units

    def forward(self, of_pixels: Tensor, code: Tensor, starts: Tensor) -> Tensor:
        """Logits (..., B, D) for `of_pixels` (B, D, L), codes (..., B, C) and starts (B, Z·L)."""
        told = self.of_code(code) + starts[:, -self._config.local :]
        units = torch.relu(of_pixels + told.unsqueeze(-2))
        return (units * self.readout).sum(-1)

    def ops(
        self, bits: Grid, logit: Register, offset: int
    ) -> tuple[tuple[Op, ...], tuple[Op, ...]]:
        """What is due once, when the code, with which `bits` begin, is drawn; and what is due at
        each of them, adding to its `logit` if it is a pixel. Starts are projected at `offset`."""
        code, width = self._config.code, self._config.local
        columns, pixels = bits.width, bits.width - code
        layers = [Register(width) for _ in range(self._config.local_depth)]
        units = layers[-1]
        drawn, told = always(bits, 0, code, columns), always(event_vector(width), 0, width, columns)
        of_pixel = Window(units, (0,) * columns, (0,) * code + (width,) * pixels)
        near, weights = self._near(bits)
        readout = self.readout.detach()
        silent = (readout.new_zeros(1, 0),) * code
        once = (
            Condition("global", offset + width * len(self.deeper), told, accumulate=False),
            Dense((drawn,), self.of_code.weight.detach(), None, told, accumulate=True),
        )
        deeper: list[Op] = []
        for place, (before, behind) in enumerate(itertools.pairwise(layers)):
            deeper += [
                Condition("global", offset + width * place, before),
                Activation("relu", before, before),
                Dense((before,), self.deeper[place].detach(), None, behind),
            ]
        each = (
            ByColumn(near, weights, layers[0]),
            *deeper,
            Add(told, units),
            Activation("relu", of_pixel, of_pixel),
            ByColumn((of_pixel,), silent + torch.split(readout, 1), logit, accumulate=True),
        )
        return once, each

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
