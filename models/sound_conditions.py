"""What a sound can be asked for, and what the layers add for it.

    speaker    a category    a row of a table: added everywhere, `Projection.fixed` (equation 3)
    text       a text        what the front end (speech/) foretells of it, column by column ...
    digit      a category    ... or a digit's aligned features, encoded: added moment by moment,
                             `Projection.aligned` (section 2.5)
    seconds    a number      how long the sound is, where neither says it

Shapes: B batch, F columns of aligned features, C features of a column, G floats that all layers add
together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ancestral.models.aligned_encoder import AlignedEncoder, aligned_features
from ancestral.models.autoregressive import Conditions, Projection
from ancestral.models.errors import ConditionError
from ancestral.models.fields import as_batch, category, check_names, number
from ancestral.models.speech.acoustics import FEATURES
from ancestral.models.speech.front_end import FrontEnd
from ancestral.models.wavenet_config import WaveNetConfig

#: Characters of the longest text.
LONGEST_TEXT = 2000


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
        self.front_end: FrontEnd | None = None
        if config.characters:
            self.front_end = FrontEnd(
                config.characters,
                max(1, len(config.speakers)),
                sample_rate_hz=config.sample_rate_hz,
                hop=config.hop,
                channels=config.front_end,
            )
        self.encoder: AlignedEncoder | None = None
        if self.aligned:
            self.encoder = AlignedEncoder(
                features=FEATURES if config.characters else len(config.digits) * config.hats,
                # A digit has two features that are not 0, a text has all.
                heard=FEATURES if config.characters else 1,
                speakers=len(config.speakers),
                channels=config.encoder,
                outputs=width,
            )

    @property
    def aligned(self) -> bool:
        """Whether a sound is told moment by moment what to say."""
        return bool(self.config.digits or self.config.characters)

    @property
    def fields(self) -> dict[str, Any]:
        """The signature's fields."""
        config = self.config
        fields: dict[str, Any] = {}
        if config.characters:
            fields["text"] = {
                "type": "text",
                "longest": LONGEST_TEXT,
                "characters": config.characters,
                "description": "What to say.",
            }
        elif config.digits:
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
        return self.width if self.aligned else 0

    @property
    def hop(self) -> int:
        """Samples that one column serves."""
        return self.config.hop if self.aligned else 1

    def length(self, fields: Mapping[str, Any]) -> int:
        """How many samples are asked for, in whole columns. Raises ConditionError."""
        config = self.config
        check_names(fields, self.fields)
        if self.front_end is not None:
            return int(self._paced(self.front_end, fields)[1].sum()) * self.hop
        if config.digits:
            seconds = config.seconds[self.voice(fields)][self._digit(fields)]
        else:
            number(fields, "seconds", 0, config.longest_seconds)
            seconds = fields["seconds"]
        samples = round(seconds * config.sample_rate_hz)
        if not 0 < samples <= config.max_length:
            raise ConditionError(
                f"a sound lasts above 0 and at most {config.longest_seconds:g} seconds"
            )
        return math.ceil(samples / self.hop) * self.hop

    def requested(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        """One request's fields as a batch of one: "speaker" (1,) and "features" (1, C, F).

        Raises ConditionError.
        """
        if self.front_end is None:
            return self._batch_of_one(fields, self._said(fields, self.length(fields)))
        check_names(fields, self.fields)
        spelled, taken = self._paced(self.front_end, fields)
        return self._batch_of_one(
            fields, self.front_end.features(spelled, self.voice(fields), taken)
        )

    def recorded(self, fields: Mapping[str, Any], wave: Tensor) -> dict[str, Tensor]:
        """The same for a recording of these fields, (T,) in whole columns, full scale being 1.

        The field that decides the length may be missing. Raises ConditionError, which it does for a
        recording that is too short for its text, too.
        """
        check_names(
            fields, self.fields if "seconds" in fields else self.fields.keys() - {"seconds"}
        )
        if self.front_end is None:
            return self._batch_of_one(fields, self._said(fields, len(wave)))
        spelled = self.front_end.spell(fields["text"])
        taken = self.front_end.align(self.front_end.hear(wave), spelled)
        return self._batch_of_one(
            fields, self.front_end.features(spelled, self.voice(fields), taken)
        )

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

    def voice(self, fields: Mapping[str, Any]) -> int:
        """The index of the voice that is asked for. Raises ConditionError."""
        speakers = self.config.speakers
        return category(fields, "speaker", speakers) if speakers else 0

    def _digit(self, fields: Mapping[str, Any]) -> int:
        return category(fields, "digit", self.config.digits)

    def _paced(self, front_end: FrontEnd, fields: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """The characters of a text and the columns that the voice takes for each: (N,) int64."""
        spelled = front_end.spell(fields["text"])
        return spelled, front_end.pace(spelled, self.voice(fields), self.config.columns)

    def _said(self, fields: Mapping[str, Any], samples: int) -> Tensor | None:
        """The features of a digit that takes so long; None when none is asked for."""
        digits = self.config.digits
        if not digits:
            return None
        columns = samples // self.hop
        return aligned_features(self._digit(fields), len(digits), self.config.hats, columns)

    def _batch_of_one(
        self, fields: Mapping[str, Any], features: Tensor | None
    ) -> dict[str, Tensor]:
        conditions: dict[str, Tensor] = {}
        if self.config.speakers:
            conditions["speaker"] = as_batch(self.voice(fields))
        if features is not None:
            conditions["features"] = features.unsqueeze(0)
        return conditions
