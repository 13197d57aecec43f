"""WaveNet: van den Oord et al. 2016, "WaveNet: A Generative Model for Raw Audio".

p(x | h) = Π_t p(x_t | x_<t, h) (equation 1): a softmax over mu-law levels, or a mixture of logistic
functions over up to 65,536 levels (van den Oord et al. 2017, "Parallel WaveNet", section 2). Each
layer is a dilated causal convolution with a gate (equation 2), to which is added what a request
asks for, the same everywhere (global, equation 3) or moment by moment (local, y in section 2.5):

    z = tanh(W_f * x + V_f h + V'_f y) · sigmoid(W_g * x + V_g h + V'_g y)

    layer 3, dilation 4     ●───────────────●        kernel 2: a layer reads the one below it at
    layer 2, dilation 2     ●───────●                t and at t − dilation; the gates of all layers
    layer 1, dilation 1     ●───●                    are summed for the head, each through a dense
    input                   ○ ○ ○                    layer; the input knows symbols before t only
                            t           ← time

A softmax sees past symbols by a table, a mixture as amplitudes in [−1, 1].

Shapes: B batch, T samples, L levels, P parameters of a sample's distribution, F columns of aligned
features (T = F · hop), C features of a column. Feature maps are (B, channels, 1, T): a sound is an
image of one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.layers import BoxConv, SymbolTable, cosines, gate
from ancestral.models.sampling.distributions import Categorical, Distribution, LogisticMixture
from ancestral.models.sampling.ops import (
    Activation,
    Condition,
    Draw,
    Embed,
    Gate,
    Grid,
    Op,
    Register,
    Value,
    Write,
)
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sound_conditions import SoundConditions
from ancestral.models.speech.learning import Recording, learn
from ancestral.models.symbols import FULL_SCALE, amplitudes, to_media
from ancestral.models.wavenet_config import WaveNetConfig


class _Layer(nn.Module):
    """One dilated layer. Nothing follows the last one, so only its gate goes on."""

    def __init__(self, config: WaveNetConfig, dilation: int, last: bool) -> None:
        super().__init__()
        channels = config.residual
        self.past = BoxConv(
            channels,
            2 * channels,
            columns=(1 - config.kernel, 0),
            dilation=dilation,
            gain=1.5,
        )
        self.skip = BoxConv(channels, config.skip)
        self.residual = None if last else BoxConv(channels, channels)


class WaveNet(Autoregressive):
    """p(sound | text or digit, speaker)."""

    family: ClassVar[str] = "wavenet"
    config: WaveNetConfig

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, count = config.residual, len(config.dilations)
        self.table: SymbolTable | None = None
        if not config.components:
            self.table = SymbolTable(config.levels, channels, _linear(config.levels))
        # bfloat16 cannot tell 65,536 amplitudes apart.
        self.input = BoxConv(
            self._seen,
            channels,
            columns=(-config.input_reach, -1),
            exact=config.components > 0,
        )
        self.layers = nn.ModuleList(
            _Layer(config, dilation, last=index == count - 1)
            for index, dilation in enumerate(config.dilations)
        )
        self.hidden = BoxConv(config.skip, config.skip, gain=1.4)
        self.output = BoxConv(config.skip, self.distribution.parameters, exact=True)
        self._begin_plausibly()
        self.asked = SoundConditions(config, count * 2 * channels)

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        return {
            "medium": "audio",
            "levels": config.levels,
            "encoding": config.encoding,
            "sample_rate_hz": config.sample_rate_hz,
            "shape": [None],
            "max_length": config.max_length,
            "likelihood_kind": "exact",
            "fields": self.asked.fields,
        }

    @property
    def distribution(self) -> Distribution:
        config = self.config
        if config.components:
            return LogisticMixture(config.levels, config.components)
        return Categorical(config.levels)

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return self.asked.requested(fields)

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """A recording takes as long as it takes; silence fills up its last column of features.

        Raises ConditionError when it is too short for its text.
        """
        silence, missing = self.config.levels // 2, -len(x) % self.asked.hop
        x = F.pad(x, (0, missing), value=silence)
        return x, self.asked.recorded(fields, self._wave(x))

    @property
    def learns_first(self) -> bool:
        """Whether a front end is to learn from all recordings before the net itself does."""
        return self.asked.front_end is not None

    def learn_first(
        self,
        examples: Iterable[tuple[Tensor, Mapping[str, Any]]],
        *,
        seed: int,
        report: Callable[[str], None],
    ) -> None:
        """The front end learns from recordings, symbols (T,) with their fields.

        Raises ConditionError and DataError for a text that cannot be spelled, or that is too long
        for its sound.
        """
        front_end = self.asked.front_end
        assert front_end is not None, "learns_first says whether there is one"
        recordings = []
        for x, fields in examples:
            padded = F.pad(x, (0, -len(x) % self.asked.hop), value=self.config.levels // 2)
            frames = front_end.hear(self._wave(padded))
            spelled = front_end.spell(fields["text"])
            recordings.append(Recording(frames, spelled, self.asked.voice(fields)))
        learn(front_end, recordings, steps=self.config.front_end_steps, seed=seed, report=report)

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        """(T,), with digits a multiple of `hop`."""
        return (self.asked.length(fields),)

    def project(self, conditions: Conditions) -> Projection:
        return self.asked.project(conditions)

    def piece(self, conditions: Conditions, first: int, columns: int) -> Conditions:
        if "features" not in conditions:
            return conditions
        features = conditions["features"][:, :, first : first + columns]
        return {**conditions, "features": F.pad(features, (0, columns - features.shape[2]))}

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, T) to parameters (B, P, T).

        `conditions` has "speaker" (B,) int64 and "features" (B, C, F) where the model asks for
        them. Raises ConditionError unless T = F · hop.
        """
        asked = self.asked.everywhere(conditions, x.shape[1])
        h = cast(Tensor, self.input(self._see(x.unsqueeze(1))))
        skips = torch.zeros((), dtype=h.dtype, device=h.device)
        for index, layer in enumerate(self._stack):
            span = slice(index * 2 * self.config.residual, (index + 1) * 2 * self.config.residual)
            before_gate = layer.past(h)
            if asked is not None:
                before_gate = before_gate + asked[:, span]
            z = gate(before_gate)
            skips = skips + layer.skip(z)
            if layer.residual is not None:
                h = h + layer.residual(z)
        hidden = self.hidden(torch.relu(skips))
        return cast(Tensor, self.output(torch.relu(hidden))).squeeze(2)

    def program(self) -> StepProgram:
        config = self.config
        channels, width = config.residual, 2 * config.residual
        h = Register(channels)
        symbols = Grid(1, config.input_reach, self._seen)
        skips, hidden, rectified = (Register(config.skip) for _ in range(3))
        parameters = Register(self.distribution.parameters)
        step: list[Op] = [self.input.dense(self.input.reads(symbols), h)]
        for index, layer in enumerate(self._stack):
            grid = Grid(1, (config.kernel - 1) * layer.past.dilation + 1, channels)
            before_gate, z = Register(width, parts=2), Register(channels)
            step += [
                Write(h, grid),
                layer.past.dense(layer.past.reads(grid), before_gate),
                *self._added(index * width, before_gate),
                Gate(before_gate, z),
                layer.skip.dense((z,), skips, accumulate=index > 0),
            ]
            if layer.residual is not None:
                step.append(layer.residual.dense((z,), h, accumulate=True))
        step += [
            Activation("relu", skips, rectified),
            self.hidden.dense((rectified,), hidden),
            Activation("relu", hidden, rectified),
            self.output.dense((rectified,), parameters),
            Draw(parameters, self.distribution),
            *self._remember(symbols),
        ]
        return StepProgram(
            rows=None,
            columns=None,
            step=tuple(step),
            global_width=self.asked.fixed_width,
            local_width=self.asked.local_width,
            hop=self.asked.hop,
        )

    def _added(self, offset: int, target: Register) -> list[Op]:
        ops: list[Op] = []
        if self.asked.fixed_width:
            ops.append(Condition("global", offset, target))
        if self.asked.local_width:
            ops.append(Condition("local", offset, target))
        return ops

    def _wave(self, x: Tensor) -> Tensor:
        """Symbols (T,) as amplitudes, full scale being 1."""
        return torch.from_numpy(to_media(self.signature, x.cpu().numpy())).float() / FULL_SCALE

    @property
    def _seen(self) -> int:
        """Floats as which a past symbol is seen."""
        return 1 if self.config.components else self.config.residual

    def _see(self, x: Tensor) -> Tensor:
        """Symbols (B, 1, T) as features (B, seen, 1, T)."""
        if self.table is not None:
            return cast(Tensor, self.table(x))
        scale, shift = self._amplitude
        return (x.unsqueeze(1).to(self.input.weight.dtype)) * scale + shift

    def _remember(self, symbols: Grid) -> list[Op]:
        """The same, of the symbol just drawn."""
        seen = Register(self._seen)
        if self.table is not None:
            return [Embed(self.table.weight.detach(), seen), Write(seen, symbols)]
        scale, shift = self._amplitude
        return [Value(scale, shift, seen), Write(seen, symbols)]

    @property
    def _amplitude(self) -> tuple[float, float]:
        """Scale and shift from symbols to [−1, 1)."""
        return 2 / self.config.levels, -1.0

    @torch.no_grad()
    def _begin_plausibly(self) -> None:
        """First outputs that learn sooner."""
        config = self.config
        if config.components:
            # Wide mixtures about silence.
            means = torch.linspace(-0.3, 0.3, config.components)
            scales = torch.full_like(means, -2.0)
            self.output.bias.copy_(torch.cat([torch.zeros_like(means), means, scales]))
            return
        # Neighbouring levels start with like logits: 5.38 instead of 5.62 bits per sample after 150
        # steps on spoken digits.
        turned = torch.linalg.qr(torch.randn(config.skip, config.skip))[0]
        smooth = cosines(config.levels, config.skip) @ turned / math.sqrt(config.skip)
        self.output.weight.copy_(smooth[:, :, None, None])

    @property
    def _stack(self) -> list[_Layer]:
        return cast("list[_Layer]", list(self.layers))


def _linear(levels: int) -> Tensor:
    """What each level is as an amplitude, at two loudnesses: (levels, 2).

    A sound is most simply foretold from amplitudes, which mu-law bends.
    """
    wave = torch.from_numpy(amplitudes(levels)).float().unsqueeze(1)
    return torch.cat([wave / 3200, (wave / 800).clamp(-3, 3)], dim=1)
