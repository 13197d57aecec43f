"""DARN: Gregor, Danihelka, Mnih, Blundell and Wierstra 2014, "Deep AutoRegressive Networks".

A layer of C stochastic bits h, the hidden code, is drawn first; then the D pixels x of a black and
white image. Both layers are autoregressive, and deterministic units lie between them: some look at
the code, and those of a local layer (darn_local.py) at the pixels near a pixel, too:

    p(h_j = 1 | h_<j)    = σ(A_j h_<j + b_j)
    p(x_i = 1 | x_<i, h) = σ(U_i x_<i + V_i h + W_i tanh(T h + t) + R_i g_i + c_i)
    g_i                  = relu(Q x_near(i) + S h + s)

             drawn   h h h  x x x x
    h_0   │          · · ·  · · · ·
    h_1   │ A        a · ·  · · · ·        The event is (h, x), N = C + D bits in that order, and
    h_2   │          a a ·  · · · ·        what the bits add to each other's logits is one strictly
    x_0   │          v v v  · · · ·        lower triangle of weights.
    x_1   │ V   U    v v v  u · · ·
    x_2   │          v v v  u u · ·        Once all of h is drawn, the deterministic layer adds its
    x_3   │          v v v  u u u ·        share to all the x at once.

An encoder q(h | x) (darn_encoder.py) is trained with it, by minimum description length: of the code
at the cost log q(h | x) − log p(h), and of the image given the code (description_length.py).

Each drawn bit adds what lies in its column of the triangle to the logits of the bits behind it
(masked.py), and the deterministic layer adds its share once: without a local layer, an event costs
N·(N − 1) / 2 + M·C + D·M products, and no weight is used twice.

Shapes: B batch, H rows, W columns, M units of the deterministic layer, L of the local layer at each
pixel and Z layers of them, K codes of an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.darn_config import DarnConfig
from ancestral.models.darn_encoder import DarnEncoder, code_noise
from ancestral.models.darn_local import LocalLayer
from ancestral.models.description_length import (
    description_length,
    draw_codes,
    importance_bound,
    log_prob_of_bits,
    opposite_codes,
)
from ancestral.models.errors import ConditionError
from ancestral.models.masked import (
    MaskedDense,
    Starts,
    after,
    always,
    cut,
    dense_layer,
    event_vector,
    in_turn,
)
from ancestral.models.sampling.distributions import Bernoulli
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ByColumn,
    Condition,
    Dense,
    Draw,
    Grid,
    Op,
    Register,
    Value,
    When,
)
from ancestral.models.sampling.program import StepProgram

#: Codes of an image that are looked at together when it is scored.
_CODES_AT_ONCE = 250


class _OfPixels(NamedTuple):
    """What an image's pixels say to those behind them, whatever the code."""

    #: (B, D): what they add to logits.
    logits: Tensor
    #: (B, D, L): what they add to the local layer's units, if there is one.
    units: Tensor | None


class Darn(Autoregressive):
    """p(h, x | label) over bits."""

    family: ClassVar[str] = "darn"
    config: DarnConfig

    def __init__(self, config: DarnConfig) -> None:
        super().__init__()
        self.config = config
        code, units = config.code, config.deterministic
        self._pixels = config.height * config.width
        self._bits = code + self._pixels
        self.encoder = DarnEncoder(self._pixels, config.encoder, code, config.labels)
        self.prior = MaskedDense(_strictly_lower(code), gain=0.0)
        self.within = MaskedDense(_strictly_lower(self._pixels), gain=0.0)
        self.across = dense_layer(code, self._pixels, gain=0.3)
        self._of_local = config.local * config.local_depth
        #: Of all N logits, then of the deterministic layer, then of the local one, layer by layer.
        self.starts = Starts(config.labels, self._bits + units + self._of_local)
        self.mixing: nn.Linear | None = None
        if units:
            self.mixing = dense_layer(code, units, gain=2.0)
            self.readout = dense_layer(units, self._pixels, gain=0.3)
            # A bit is 1 half of the time: half of what it adds is taken off beforehand.
            between = slice(self._bits, self._bits + units)
            self.starts.bias.data[between] = -self.mixing.weight.data.sum(1) / 2
        self.local = LocalLayer(config) if config.local else None

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        code = {
            "type": "vector",
            "length": config.code,
            "default": None,
            "description": "The hidden code, of zeros and ones; null draws one.",
        }
        return {
            "medium": "image",
            "levels": 2,
            "shape": [config.height, config.width],
            "hidden": config.code,
            "likelihood_kind": "joint",
            "kinds": ["generate", "score"],
            "fields": {**self.starts.asked.fields, "code": code},
        }

    @property
    def distribution(self) -> Bernoulli:
        return Bernoulli()

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        """`fields` may leave out the code."""
        asked = {name: value for name, value in fields.items() if name != "code"}
        return self.starts.asked.conditions(asked)

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return (self._bits,)

    def prefix(self, fields: Mapping[str, Any]) -> Tensor | None:
        code, length = fields.get("code"), self.config.code
        if code is None:
            return None
        fits = isinstance(code, list | tuple) and len(code) == length
        if not fits or any(bit not in (0, 1) for bit in code):
            raise ConditionError(f"code must be a list of {length} zeros and ones")
        return torch.tensor(code, dtype=torch.int64)

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """An image (H, W), without a code: codes are drawn anew at each step of training."""
        shape = (self.config.height, self.config.width)
        if tuple(x.shape) != shape:
            raise ConditionError(f"an image of {shape} was asked for, not {tuple(x.shape)}")
        return x, self.conditions(fields)

    def project(self, conditions: Conditions) -> Projection:
        """The biases of all logits and units: (B, N + M + Z·L)."""
        return Projection(fixed=self.starts(conditions))

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Events (B, N) of bits to logits (B, 1, N); `conditions` has "label" (B,) int64."""
        code, pixels = torch.split(x.to(self.starts.bias), [self.config.code, self._pixels], dim=1)
        starts = self.starts(conditions)
        of_code = self._code_logits(code, starts)
        of_pixels = self._pixel_logits(code, self._of_pixels(pixels, starts), starts)
        return torch.cat([of_code, of_pixels], dim=1).unsqueeze(1)

    def training_nats(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Description lengths of images (B, H, W), shared out evenly over the pixels (B, H, W)."""
        pixels = x.flatten(1).to(self.starts.bias)
        logits = self.encoder(pixels, conditions)
        # The uniform numbers of bfloat16 are too coarse for bits that are unlikely.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        codes = opposite_codes(logits)
        starts = self.starts(conditions)
        joint = self._log_joint(codes, pixels, self._of_pixels(pixels, starts), starts)
        nats = description_length(logits, codes, joint)
        return (nats / self._pixels).view(-1, 1, 1).expand(x.shape)

    @torch.no_grad()
    def score(self, x: Tensor, conditions: Conditions, codes: int | None = None) -> Tensor:
        """A bound of log p(x) (B,) float64 from `codes` codes of each image (B, H, W), by default
        the `score_codes` of the configuration.

        Images are scored one by one, so that none depends on its batch.
        """
        count = self.config.score_codes if codes is None else codes
        bounds = []
        for row, image in enumerate(x.flatten(1)):
            own = {name: values[row : row + 1] for name, values in conditions.items()}
            noise = code_noise(image, count, self.config.code)
            pixels = image.unsqueeze(0).to(self.starts.bias)
            logits, starts = self.encoder(pixels, own), self.starts(own)
            seen = self._of_pixels(pixels, starts)
            weights = []
            for part in torch.split(noise, _CODES_AT_ONCE):
                drawn = draw_codes(logits, part)
                joint = self._log_joint(drawn, pixels, seen, starts)
                weights.append(joint - log_prob_of_bits(logits, drawn))
            bounds.append(importance_bound(torch.cat(weights).double()))
        return torch.cat(bounds)

    def program(self) -> StepProgram:
        bits, sums, logit = event_vector(self._bits), event_vector(self._bits), Register(1)
        bit, asked = in_turn(bits, 1), in_turn(sums, 1)
        later = after(asked)
        units = self._bits + self.config.deterministic
        told, near = self.local.ops(bits, logit, units) if self.local else ((), ())
        once = (*self._between(bits, sums), *told)
        return StepProgram(
            rows=1,
            columns=self._bits,
            step=(
                # Due before the first pixel, when all of the code is drawn.
                *([When(once, column_step=self._bits, column=self.config.code)] if once else []),
                Condition("global", asked.starts, logit, accumulate=False),
                Add(asked, logit),
                *near,
                Draw(logit, self.distribution),
                Value(1.0, 0.0, bit),
                ByColumn((bit,), cut(self._triangle(), later, bit), later, accumulate=True),
            ),
            global_width=units + self._of_local,
        )

    def _between(self, bits: Grid, sums: Grid) -> tuple[Op, ...]:
        """The deterministic layer, from the code to the sums of all pixels."""
        if self.mixing is None:
            return ()
        code, units = self.config.code, self.config.deterministic
        between, squashed = Register(units), Register(units)
        drawn = always(bits, 0, code, self._bits)
        pixels = always(sums, code, self._pixels, self._bits)
        return (
            Condition("global", self._bits, between, accumulate=False),
            Dense((drawn,), self.mixing.weight.detach(), None, between, accumulate=True),
            Activation("tanh", between, squashed),
            Dense((squashed,), self.readout.weight.detach(), None, pixels, accumulate=True),
        )

    def _triangle(self) -> Tensor:
        """The weights (N, N) that bits add to the logits of later bits."""
        code = F.pad(self.prior.masked.detach(), (0, self._pixels))
        pixels = torch.cat([self.across.weight.detach(), self.within.masked.detach()], dim=1)
        return torch.cat([code, pixels])

    def _code_logits(self, code: Tensor, starts: Tensor) -> Tensor:
        """Logits (..., C) of the bits of codes (..., C)."""
        logits: Tensor = self.prior(code) + starts[:, : self.config.code]
        return logits

    def _of_pixels(self, pixels: Tensor, starts: Tensor) -> _OfPixels:
        """What pixels (B, D) say; in training, some of them are not heard from afar."""
        heard = F.dropout(pixels, self.config.dropout, self.training)
        units = None
        if self.local is not None:
            units = self.local.of_pixels(pixels, starts[:, -self._of_local :])
        return _OfPixels(self.within(heard), units)

    def _pixel_logits(self, code: Tensor, seen: _OfPixels, starts: Tensor) -> Tensor:
        """Logits (..., D) of the pixels after codes (..., C) and the pixels before them."""
        config = self.config
        sizes = [config.code, self._pixels, config.deterministic, self._of_local]
        _, of_pixels, of_units, of_local = torch.split(starts, sizes, dim=1)
        logits: Tensor = self.across(code) + of_pixels + seen.logits
        if self.mixing is not None:
            logits = logits + self.readout(torch.tanh(self.mixing(code) + of_units))
        if self.local is not None:
            assert seen.units is not None
            logits = logits + self.local(seen.units, code, of_local)
        return logits

    def _log_joint(self, codes: Tensor, pixels: Tensor, seen: _OfPixels, starts: Tensor) -> Tensor:
        """log p(h, x) (K, B) of codes (K, B, C) with images (B, D), of which `seen` is known."""
        prior = log_prob_of_bits(self._code_logits(codes, starts), codes)
        return prior + log_prob_of_bits(self._pixel_logits(codes, seen, starts), pixels)


def _strictly_lower(size: int) -> Tensor:
    return torch.ones(size, size).tril(-1)
