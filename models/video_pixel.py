"""Video pixel network: Kalchbrenner et al. 2016, "Video Pixel Networks".

p(clip | label) = Π_t Π_i p(x_{t,i} | x_{t,<i}, frames before t, label), equation 1 for grey pixels:
frame by frame, and each of them row by row. An encoder that keeps the resolution says what the
frames before t tell about every pixel of frame t; a decoder, a gated PixelCNN, draws the frame.

      frames before t                frame t
    ┌───────────┐
    │ ┌───────────┐                 ┌───────────┐
    │ │ ┌───────────┐   features    │ a b c d e │      f sees a to e, and all pixels of the frames
    └─│ │ ⟍  ↓  ⟋   │ ────────────► │ . . f     │      before within the encoder's reach, behind,
      └─│     ●     │               │           │      beside and ahead of it
        └───────────┘               └───────────┘
        frame_encoder.py            frame_decoder.py

In place of the paper's dilated network of each frame and its convolutional LSTM over them, the
encoder convolves over space and time at once (docs/decisions.md says why).

Shapes: B batch, F frames, H rows, W columns, L levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.fields import as_batch, category, check_names, whole
from ancestral.models.frame_decoder import FrameDecoder
from ancestral.models.frame_encoder import FrameEncoder
from ancestral.models.image_conditions import check_labels
from ancestral.models.layers import SymbolTable
from ancestral.models.sampling.distributions import Categorical, Distribution
from ancestral.models.sampling.ops import Draw, Embed, Grid, Op, Register, Write
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class VideoPixelConfig:
    """A grey video net. `labels` are the categories it can be asked for; none: unconditioned."""

    height: int
    width: int
    #: Grey levels, evenly spread from black to white.
    levels: int
    #: Frames of a clip, or the most of them where a request says how many.
    frames: int
    #: Whether a request says how many frames it wants.
    frames_by_request: bool = False
    frames_per_second: float = 10.0
    labels: tuple[int | str, ...] = ()
    #: Channels of an embedded pixel.
    embedding: int = 16
    encoder_channels: int = 32
    encoder_layers: int = 5
    #: How many frames before its own the encoder's first layer reads, and how far to all sides.
    #: Each later layer looks one frame further back.
    encoder_first_frames: int = 2
    encoder_first_reach: int = 2
    #: Channels of both stacks of the decoder.
    channels: int = 32
    layers: int = 5
    #: How far the decoder's first layer reads, in rows above and in columns to both sides.
    first_reach: int = 3
    #: Later layers, of encoder and decoder, read in steps of 1, 2, 4, ..., beginning again after so
    #: many layers.
    dilation_cycle: int = 4
    #: Channels of the sum over the decoder's layers that the head reads, and of the head itself.
    head: int = 64

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network."""
        at_least_one = ("height", "width", "frames", "embedding", "encoder_channels", "channels")
        layers = ("encoder_layers", "encoder_first_frames", "layers", "first_reach")
        for name in (*at_least_one, *layers, "dilation_cycle", "head"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.encoder_first_reach < 0:
            raise ConfigError(
                f"encoder_first_reach must not be negative, but is {self.encoder_first_reach}"
            )
        if not 0 < self.frames_per_second < math.inf:
            raise ConfigError(
                f"frames_per_second must be above 0 and finite, not {self.frames_per_second}"
            )
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"levels must be 2 to 256, not {self.levels}")
        check_labels(self.labels)


def moving_digits() -> VideoPixelConfig:
    """Two digits that move about in 32 by 32 pixels, small enough to learn on two cores."""
    return VideoPixelConfig(height=32, width=32, levels=4, frames=12)


class VideoPixel(Autoregressive):
    """p(clip | label) over grey levels."""

    family: ClassVar[str] = "video_pixel"
    config: VideoPixelConfig

    def __init__(self, config: VideoPixelConfig) -> None:
        super().__init__()
        self.config = config
        self.table = SymbolTable(config.levels, config.embedding)
        self.encoder = FrameEncoder(
            config.embedding,
            config.encoder_channels,
            config.encoder_layers,
            first_frames=config.encoder_first_frames,
            first_reach=config.encoder_first_reach,
            dilation_cycle=config.dilation_cycle,
        )
        self.decoder = FrameDecoder(
            pixels=config.embedding,
            features=config.encoder_channels,
            channels=config.channels,
            layers=config.layers,
            first_reach=config.first_reach,
            dilation_cycle=config.dilation_cycle,
            head=config.head,
            levels=config.levels,
        )
        self.label: nn.Embedding | None = None
        if config.labels:
            self.label = nn.Embedding(len(config.labels), self.encoder.condition_width)
            nn.init.normal_(self.label.weight, std=0.3)

    @property
    def signature(self) -> dict[str, Any]:
        config = self.config
        fields: dict[str, Any] = {}
        if config.labels:
            fields["label"] = {
                "type": "category",
                "values": list(config.labels),
                "description": "What the clip shows.",
            }
        if config.frames_by_request:
            fields["frames"] = {
                "type": "integer",
                "minimum": 1,
                "maximum": config.frames,
                "decides": "length",
                "description": "How many frames the clip has.",
            }
        signature: dict[str, Any] = {
            "medium": "video",
            "levels": config.levels,
            "shape": [None if config.frames_by_request else config.frames, *self._frame],
            "frames_per_second": config.frames_per_second,
            "likelihood_kind": "exact",
            "fields": fields,
        }
        if config.frames_by_request:
            signature["max_length"] = config.frames
        return signature

    @property
    def distribution(self) -> Distribution:
        return Categorical(self.config.levels)

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        check_names(fields, self.signature["fields"])
        if self.label is None:
            return {}
        return {"label": as_batch(category(fields, "label", self.config.labels))}

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        """(F, H, W)."""
        config = self.config
        check_names(fields, self.signature["fields"])
        frames = whole(fields, "frames") if config.frames_by_request else config.frames
        if not 0 < frames <= config.frames:
            raise ConditionError(f"a clip has 1 to {config.frames} frames, not {frames}")
        return (frames, *self._frame)

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """A real clip has as many frames as it has."""
        if self.config.frames_by_request:
            fields = {**fields, "frames": len(x)}
        return super().example(x, fields)

    def project(self, conditions: Conditions) -> Projection:
        if self.label is None:
            return Projection()
        return Projection(fixed=self.label(conditions["label"]))

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, F, H, W) to logits (B, L, F, H, W); `conditions` has "label" (B,) int64."""
        frames = x.shape[1]
        pixels = self.table(x.flatten(0, 1))
        features = self.encoder(pixels, frames, self.project(conditions).fixed)
        logits = cast(Tensor, self.decoder(pixels, features))
        return logits.view(-1, frames, *logits.shape[1:]).transpose(1, 2)

    def program(self) -> StepProgram:
        config = self.config
        kept = config.encoder_first_frames + 1
        pixels = Grid(config.height, config.width, config.embedding, frames=kept)
        encoding, features = self.encoder.sweep(pixels, conditioned=self.label is not None)
        vertical, links = self.decoder.sweep(pixels, features)
        horizontal, logits = self.decoder.step(pixels, links)
        pixel = Register(config.embedding)
        drawing: list[Op] = [
            Draw(logits, self.distribution),
            Embed(self.table.weight.detach(), pixel),
            Write(pixel, pixels),
        ]
        return StepProgram(
            rows=config.height,
            columns=config.width,
            frame_sweep=tuple(encoding),
            row_sweep=tuple(vertical),
            step=(*horizontal, *drawing),
            global_width=0 if self.label is None else self.encoder.condition_width,
        )

    @property
    def _frame(self) -> tuple[int, int]:
        return self.config.height, self.config.width
