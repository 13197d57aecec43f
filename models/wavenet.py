"""WaveNet: van den Oord et al. 2016, "WaveNet: A Generative Model for Raw Audio".

p(x | h) = Π_t p(x_t | x_<t, h), a softmax over mu-law levels (equation 1). Each layer is a dilated
causal convolution with a gate (equation 2), to which is added what a request asks for, the same
everywhere (global, equation 3) or moment by moment (local, y in section 2.5):

    z = tanh(W_f * x + V_f h + V'_f y) · sigmoid(W_g * x + V_g h + V'_g y)

    layer 3, dilation 4     ●───────────────●        kernel 2: a layer reads the one below it at
    layer 2, dilation 2     ●───────●                t and at t − dilation; the gates of all layers
    layer 1, dilation 1     ●───●                    are summed for the head, each through a dense
    input                   ○ ○ ○                    layer; the input knows symbols before t only
                            t           ← time

Local conditions follow a digit's aligned features, one column per `hop` samples (alignment.py).

Shapes: B batch, T samples, L levels, F columns (T = F · hop), C features of a
column. Feature maps are (B, channels, 1, T): a sound is an image of one row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.alignment import AlignedEncoder, aligned_features
from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.fields import as_batch, category, check_names
from ancestral.models.layers import BoxConv, SymbolTable, cosines, gate
from ancestral.models.sampling.program import (
    Condition,
    Draw,
    Embed,
    Gate,
    Grid,
    Op,
    Register,
    Relu,
    StepProgram,
    Write,
)
from ancestral.models.symbols import amplitudes


@dataclass(frozen=True)
class WaveNetConfig:
    """A net for sounds that says digits, speaks in voices, both, or neither.

    With `digits` a request's length is that of the word in `seconds`; without, the request says it.
    """

    sample_rate_hz: int = 8000
    #: mu-law levels.
    levels: int = 256
    #: The longest sound that can be asked for, in samples.
    max_length: int = 20000
    #: What a request can ask to be said: local conditioning. None: there is no such field.
    digits: tuple[int, ...] = ()
    #: Whose voice it can ask for: global conditioning. None: there is no such field.
    speakers: tuple[str, ...] = ()
    #: Seconds that a speaker takes for a digit: a row for each speaker (one row without speakers),
    #: a column for each digit.
    seconds: tuple[tuple[float, ...], ...] = ()
    #: Samples per column of the aligned features.
    hop: int = 80
    #: Steps in which the aligned features say how far a word has come.
    hats: int = 16
    #: Channels of the encoder of aligned features.
    encoder: int = 64
    #: Channels of the residual path, and of each half of a gate.
    residual: int = 32
    #: Channels of the sum over all layers that the head reads, and of the head itself.
    skip: int = 64
    kernel: int = 2
    #: Layers of a stack, whose dilations are kernel^0, kernel^1, ...
    depth: int = 9
    stacks: int = 2
    #: Symbols before t that the input reads.
    input_reach: int = 2

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network, or the durations do not fit."""
        at_least_one = ("sample_rate_hz", "max_length", "hop", "encoder", "residual", "skip")
        for name in (*at_least_one, "depth", "stacks", "input_reach"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.kernel < 2 or self.hats < 2:
            raise ConfigError("kernel and hats must be at least 2")
        if not 2 <= self.levels <= 256 or self.levels % 2:
            raise ConfigError(f"levels must be even and 2 to 256, not {self.levels}")
        for name in ("digits", "speakers"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ConfigError(f"{name} lists one of them twice")
        rows = max(1, len(self.speakers)) if self.digits else 0
        if len(self.seconds) != rows or any(len(r) != len(self.digits) for r in self.seconds):
            raise ConfigError(
                f"seconds needs {rows} rows (speakers) of {len(self.digits)} (digits)"
            )
        longest = self.max_length / self.sample_rate_hz
        if any(not 0 < seconds <= longest for row in self.seconds for seconds in row):
            raise ConfigError(f"seconds must lie above 0 and not beyond {longest:g}")

    @property
    def dilations(self) -> tuple[int, ...]:
        """How far apart each layer reads, from the lowest layer up."""
        return tuple(self.kernel**power for power in range(self.depth)) * self.stacks


def spoken_digits(
    speakers: tuple[str, ...], seconds: tuple[tuple[float, ...], ...]
) -> WaveNetConfig:
    """Ten spoken digits at 8 kHz, small enough to learn in minutes on two cores."""
    return WaveNetConfig(
        digits=tuple(range(10)),
        speakers=speakers,
        seconds=seconds,
        kernel=4,
        depth=4,
        residual=40,
        input_reach=4,
    )


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
    """p(sound | digit, speaker) over mu-law symbols."""

    family: ClassVar[str] = "wavenet"

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, count = config.residual, len(config.dilations)
        self.table = SymbolTable(config.levels, channels, _linear(config.levels))
        self.input = BoxConv(channels, channels, columns=(-config.input_reach, -1))
        self.layers = nn.ModuleList(
            _Layer(config, dilation, last=index == count - 1)
            for index, dilation in enumerate(config.dilations)
        )
        self.hidden = BoxConv(config.skip, config.skip, gain=1.4)
        self.logits = BoxConv(config.skip, config.levels)
        with torch.no_grad():
            # Neighbouring levels start with like logits: 5.38 instead of 5.62 bits per sample
            # after 150 steps on spoken digits.
            turned = torch.linalg.qr(torch.randn(config.skip, config.skip))[0]
            smooth = cosines(config.levels, config.skip) @ turned / math.sqrt(config.skip)
            self.logits.weight.copy_(smooth[:, :, None, None])
        self.speaker: nn.Embedding | None = None
        if config.speakers:
            self.speaker = nn.Embedding(len(config.speakers), count * 2 * channels)
            nn.init.normal_(self.speaker.weight, std=0.1)
        self.encoder: AlignedEncoder | None = None
        if config.digits:
            self.encoder = AlignedEncoder(
                features=len(config.digits) * config.hats,
                speakers=len(config.speakers),
                channels=config.encoder,
                outputs=count * 2 * channels,
            )

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        fields: dict[str, Any] = {}
        if config.digits:
            fields["digit"] = {
                "type": "category",
                "values": list(config.digits),
                "description": "The digit to say.",
            }
        else:
            fields["seconds"] = {
                "type": "number",
                "minimum": 1 / config.sample_rate_hz,
                "maximum": config.max_length / config.sample_rate_hz,
                "description": "How long the sound is.",
            }
        if config.speakers:
            fields["speaker"] = {
                "type": "category",
                "values": list(config.speakers),
                "description": "Whose voice says it.",
            }
        return {
            "medium": "audio",
            "levels": config.levels,
            "encoding": "mu-law",
            "sample_rate_hz": config.sample_rate_hz,
            "shape": [None],
            "max_length": config.max_length,
            "fields": fields,
        }

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return self._conditions(fields, self.event_shape(fields)[0])

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """A recording takes as long as it takes; silence fills up its last column of features."""
        columns = math.ceil(len(x) / self.config.hop)
        silence = self.config.levels // 2
        padded = F.pad(x, (0, columns * self.config.hop - len(x)), value=silence)
        return padded, self._conditions(fields, len(x))

    def _conditions(self, fields: Mapping[str, Any], length: int) -> dict[str, Tensor]:
        config = self.config
        check_names(fields, self.signature["fields"])
        conditions: dict[str, Tensor] = {}
        if config.speakers:
            conditions["speaker"] = as_batch(category(fields, "speaker", config.speakers))
        if config.digits:
            word = category(fields, "digit", config.digits)
            columns = math.ceil(length / config.hop)
            conditions["features"] = aligned_features(
                word, len(config.digits), config.hats, columns
            ).unsqueeze(0)
        return conditions

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        """(T,), with digits a multiple of `hop`."""
        config = self.config
        check_names(fields, self.signature["fields"])
        if not config.digits:
            return (_samples(config, fields["seconds"]),)
        voice = category(fields, "speaker", config.speakers) if config.speakers else 0
        seconds = config.seconds[voice][category(fields, "digit", config.digits)]
        return (math.ceil(_samples(config, seconds) / config.hop) * config.hop,)

    def project(self, conditions: Conditions) -> Projection:
        speaker = conditions.get("speaker")
        fixed = None if self.speaker is None else self.speaker(speaker)
        if self.encoder is None:
            return Projection(fixed=fixed)
        features = conditions["features"].to(self.table.weight.dtype)
        return Projection(fixed=fixed, aligned=self.encoder(features, speaker))

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, T) to logits (B, L, T).

        `conditions` has "speaker" (B,) int64 and "features" (B, C, F) where the model asks for
        them. Raises ConditionError unless T = F · hop.
        """
        projection = self.project(conditions)
        aligned = self._upsampled(projection.aligned, x.shape[1])
        h = cast(Tensor, self.input(self.table(x.unsqueeze(1))))
        skips = torch.zeros((), dtype=h.dtype, device=h.device)
        for index, layer in enumerate(self._stack):
            span = slice(index * 2 * self.config.residual, (index + 1) * 2 * self.config.residual)
            before_gate = layer.past(h)
            if projection.fixed is not None:
                before_gate = before_gate + projection.fixed[:, span, None, None]
            if aligned is not None:
                before_gate = before_gate + aligned[:, span]
            z = gate(before_gate)
            skips = skips + layer.skip(z)
            if layer.residual is not None:
                h = h + layer.residual(z)
        hidden = self.hidden(torch.relu(skips))
        return cast(Tensor, self.logits(torch.relu(hidden))).squeeze(2)

    def program(self) -> StepProgram:
        config = self.config
        channels, width = config.residual, 2 * config.residual
        symbol, h = Register(channels), Register(channels)
        symbols = Grid(1, config.input_reach, channels)
        skips, hidden, rectified = (Register(config.skip) for _ in range(3))
        logits = Register(config.levels)
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
            Relu(skips, rectified),
            self.hidden.dense((rectified,), hidden),
            Relu(hidden, rectified),
            self.logits.dense((rectified,), logits),
            Draw(logits),
            Embed(self.table.weight.detach(), symbol),
            Write(symbol, symbols),
        ]
        projected = len(config.dilations) * width
        return StepProgram(
            levels=config.levels,
            columns=None,
            step=tuple(step),
            global_width=projected if self.speaker is not None else 0,
            local_width=projected if self.encoder is not None else 0,
            hop=config.hop if self.encoder is not None else 1,
        )

    def _added(self, offset: int, target: Register) -> list[Op]:
        ops: list[Op] = []
        if self.speaker is not None:
            ops.append(Condition("global", offset, target))
        if self.encoder is not None:
            ops.append(Condition("local", offset, target))
        return ops

    def _upsampled(self, aligned: Tensor | None, length: int) -> Tensor | None:
        """Every column (B, F, A) repeated for its samples: (B, A, 1, T)."""
        if aligned is None:
            return None
        if aligned.shape[1] * self.config.hop != length:
            raise ConditionError(
                f"{aligned.shape[1]} columns of {self.config.hop} samples for {length} samples"
            )
        return aligned.repeat_interleave(self.config.hop, 1).transpose(1, 2).unsqueeze(2)

    @property
    def _stack(self) -> list[_Layer]:
        return cast("list[_Layer]", list(self.layers))


def _linear(levels: int) -> Tensor:
    """What each level is as an amplitude, at two loudnesses: (levels, 2).

    A sound is most simply foretold from amplitudes, which mu-law bends.
    """
    wave = torch.from_numpy(amplitudes(levels)).float().unsqueeze(1)
    return torch.cat([wave / 3200, (wave / 800).clamp(-3, 3)], dim=1)


def _samples(config: WaveNetConfig, seconds: float) -> int:
    """Raises ConditionError for a length that is not above 0 and within `max_length`."""
    length = round(seconds * config.sample_rate_hz)
    if not 0 < length <= config.max_length:
        longest = config.max_length / config.sample_rate_hz
        raise ConditionError(f"a sound lasts above 0 and at most {longest:g} seconds")
    return length
