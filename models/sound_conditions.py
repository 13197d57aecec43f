"""What a sound can be asked for, and what the layers add for it.

    speaker    a category    a row of a table: added everywhere, `Projection.fixed` (equation 3)
    digit      a category    its aligned features, encoded: added moment by moment,
                             `Projection.aligned` (section 2.5)
    seconds    a number      how long the sound is, where no digit says it

Shapes: B batch, F columns of aligned features, C features of a column, G floats that all layers add
together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ancestral.models.alignment import AlignedEncoder, aligned_features
from ancestral.models.autoregressive import Conditions, Projection
from ancestral.models.errors import ConditionError
from ancestral.models.fields import as_batch, category, check_names
from ancestral.models.wavenet_config import WaveNetConfig


class SoundConditions(nn.Module):
    """The fields of a sound net and their projection to G floats, the shares of all layers side by
    side."""

    def __init__(self, config: WaveNetConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.width = width
        self.speaker: nn.Embedding | None = None
        if config.speakers:
            self.speaker = nn.Embedding(len(config.speakers), width)
            nn.init.normal_(self.speaker.weight, std=0.1)
        self.encoder: AlignedEncoder | None = None
        if config.digits:
            self.encoder = AlignedEncoder(
                features=len(config.digits) * config.hats,
                speakers=len(config.speakers),
                channels=config.encoder,
                outputs=width,
            )

    @property
    def fields(self) -> dict[str, Any]:
        """The signature's fields."""
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
                "maximum": config.longest_seconds,
                "decides": "length",
                "description": "How long the sound is.",
            }
        if config.speakers:
            fields["speaker"] = {
                "type": "category",
                "values": list(config.speakers),
                "description": "Whose voice says it.",
            }
        return fields

    @property
    def fixed_width(self) -> int:
        """Floats that a program adds everywhere."""
        return self.width if self.config.speakers else 0

    @property
    def local_width(self) -> int:
        """Floats that a program adds for each column."""
        return self.width if self.config.digits else 0

    @property
    def hop(self) -> int:
        """Samples that one column serves."""
        return self.config.hop if self.config.digits else 1

    def length(self, fields: Mapping[str, Any]) -> int:
        """How many samples are asked for, in whole columns. Raises ConditionError."""
        config = self.config
        check_names(fields, self.fields)
        if config.digits:
            voice = category(fields, "speaker", config.speakers) if config.speakers else 0
            seconds = config.seconds[voice][category(fields, "digit", config.digits)]
        else:
            seconds = fields["seconds"]
        samples = round(seconds * config.sample_rate_hz)
        if not 0 < samples <= config.max_length:
            raise ConditionError(
                f"a sound lasts above 0 and at most {config.longest_seconds:g} seconds"
            )
        return math.ceil(samples / self.hop) * self.hop

    def conditions(self, fields: Mapping[str, Any], samples: int) -> dict[str, Tensor]:
        """One request's fields, for a sound of so many samples, as a batch of one: "speaker" (1,)
        and "features" (1, C, F).

        The field that decides the length may be missing. Raises ConditionError.
        """
        config = self.config
        check_names(
            fields, self.fields if "seconds" in fields else self.fields.keys() - {"seconds"}
        )
        conditions: dict[str, Tensor] = {}
        if config.speakers:
            conditions["speaker"] = as_batch(category(fields, "speaker", config.speakers))
        if config.digits:
            word = category(fields, "digit", config.digits)
            columns = math.ceil(samples / config.hop)
            features = aligned_features(word, len(config.digits), config.hats, columns)
            conditions["features"] = features.unsqueeze(0)
        return conditions

    def project(self, conditions: Conditions) -> Projection:
        """Fixed (B, G) and aligned (B, F, G)."""
        speaker = conditions.get("speaker")
        fixed = None if self.speaker is None else self.speaker(speaker)
        aligned: Tensor | None = None
        if self.encoder is not None:
            features = conditions["features"].to(self.encoder.features.weight.dtype)
            aligned = self.encoder(features, speaker)
        return Projection(fixed=fixed, aligned=aligned)

    def everywhere(self, conditions: Conditions, samples: int) -> Tensor | None:
        """What is added at each sample, (B, G, 1, T) or (B, G, 1, 1); None when nothing is.

        Raises ConditionError unless the columns serve all samples.
        """
        projection = self.project(conditions)
        added = None if projection.fixed is None else projection.fixed[:, :, None, None]
        if projection.aligned is None:
            return added
        columns = projection.aligned.shape[1]
        if columns * self.hop != samples:
            raise ConditionError(f"{columns} columns of {self.hop} samples for {samples} samples")
        placed = projection.aligned.repeat_interleave(self.hop, 1).transpose(1, 2).unsqueeze(2)
        return placed if added is None else placed + added
