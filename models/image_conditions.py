"""What an image can be asked for, and what the layers add for it.

    label     a category       a row of a table     ┐
                                                    ├ added everywhere: `Projection.fixed`
    latent    a vector         a linear layer       ┘
    map       (C, h, w)        a linear layer at    added where its cell lies: `Projection.aligned`;
                               each cell            a cell serves H/h rows and W/w columns

With guidance g, the row e of a label goes on beyond what was learnt, away from the mean row m of
all labels: e + g (e − m). That is what guidance does to scores (Ho and Salimans 2021,
"Classifier-Free Diffusion Guidance", equation 6), done to what the layers are told, where it costs
nothing.

Shapes: B batch, G floats that all layers add together, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ancestral.models.autoregressive import Conditions, Projection
from ancestral.models.errors import ConfigError
from ancestral.models.fields import as_batch, category, check_names, number, number_map, vector

#: Far beyond what was learnt, nothing is told any more.
LARGEST_GUIDANCE = 4.0


class ImageConditions(nn.Module):
    """The fields of an image net and their projection to G floats, the shares of all layers side by
    side."""

    def __init__(
        self,
        *,
        labels: tuple[int | str, ...] = (),
        latent: int = 0,
        map_shape: tuple[int, ...] = (),
        guided: bool = False,
        width: int,
    ) -> None:
        """No labels, a latent vector of no numbers, and a map without a shape are not asked for;
        guidance is where `guided`."""
        super().__init__()
        self.labels = labels
        self.guided = guided
        self.latent_length = latent
        self.map_shape = map_shape
        self.width = width
        self.label = nn.Embedding(len(labels), width) if labels else None
        self.latent = nn.Linear(latent, width, bias=False) if latent else None
        self.map = nn.Linear(map_shape[0], width, bias=False) if map_shape else None
        if self.label is not None:
            nn.init.normal_(self.label.weight, std=0.3)
        if self.latent is not None:
            # Vectors of unit variance are heard as loudly as the features they are added to.
            nn.init.normal_(self.latent.weight, std=latent**-0.5)

    @property
    def fields(self) -> dict[str, Any]:
        """The signature's fields."""
        fields: dict[str, Any] = {}
        if self.labels:
            fields["label"] = {
                "type": "category",
                "values": list(self.labels),
                "description": "What the image shows.",
            }
        if self.guided:
            fields["guidance"] = {
                "type": "number",
                "minimum": 0,
                "maximum": LARGEST_GUIDANCE,
                "default": 0.0,
                "description": "By how much its label is stressed, beyond what real images show.",
            }
        if self.latent_length:
            fields["latent"] = {
                "type": "vector",
                "length": self.latent_length,
                "description": "What the image is like, as an encoder says it.",
            }
        if self.map_shape:
            fields["map"] = {
                "type": "map",
                "shape": list(self.map_shape),
                "description": "What the image shows, place by place.",
            }
        return fields

    @property
    def fixed_width(self) -> int:
        """Floats that a program adds everywhere."""
        return self.width if self.labels or self.latent_length else 0

    @property
    def local_width(self) -> int:
        """Floats that a program adds for each cell of the map."""
        return self.width if self.map_shape else 0

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        """One request's fields as a batch of one. Raises ConditionError."""
        if self.guided:
            fields = {"guidance": 0.0, **fields}
        check_names(fields, self.fields)
        conditions: dict[str, Tensor] = {}
        if self.labels:
            conditions["label"] = as_batch(category(fields, "label", self.labels))
        if self.guided:
            conditions["guidance"] = number(fields, "guidance", 0, LARGEST_GUIDANCE)
        if self.latent_length:
            conditions["latent"] = vector(fields, "latent", self.latent_length)
        if self.map_shape:
            conditions["map"] = number_map(fields, "map", self.map_shape)
        return conditions

    def project(self, conditions: Conditions) -> Projection:
        """Fixed (B, G), and aligned (B, h · w, G)."""
        fixed: Tensor | None = None
        if self.label is not None:
            fixed = self.label(conditions["label"])
            if self.guided:
                stress = conditions["guidance"].to(fixed.dtype).unsqueeze(1)
                fixed = fixed + stress * (fixed - self.label.weight.mean(0))
        if self.latent is not None:
            pulled = self.latent(conditions["latent"].to(self.latent.weight.dtype))
            fixed = pulled if fixed is None else fixed + pulled
        aligned: Tensor | None = None
        if self.map is not None:
            cells = conditions["map"].flatten(2).transpose(1, 2)
            aligned = self.map(cells.to(self.map.weight.dtype))
        return Projection(fixed=fixed, aligned=aligned)

    def everywhere(self, conditions: Conditions, height: int, width: int) -> Tensor | None:
        """What is added at each pixel, (B, G, H, W) or (B, G, 1, 1); None when nothing is."""
        projection = self.project(conditions)
        added = None if projection.fixed is None else projection.fixed[:, :, None, None]
        if projection.aligned is None:
            return added
        _, rows, columns = self.map_shape
        cells = projection.aligned.transpose(1, 2).reshape(-1, self.width, rows, columns)
        placed = cells.repeat_interleave(height // rows, 2).repeat_interleave(width // columns, 3)
        return placed if added is None else placed + added


def check_labels(labels: tuple[int | str, ...], guided: bool = False) -> None:
    """Raises ConfigError when a label is listed twice, or when there are no two of which one could
    be stressed."""
    if len(set(labels)) < len(labels):
        raise ConfigError("a label is listed twice")
    if guided and len(labels) < 2:
        raise ConfigError("guided nets have two labels at least")


def check_map(map_shape: tuple[int, ...], height: int, width: int) -> None:
    """Raises ConfigError unless the map is (channels, rows, columns) whose cells fill the image."""
    if map_shape and (
        len(map_shape) != 3 or min(map_shape) < 1 or height % map_shape[1] or width % map_shape[2]
    ):
        raise ConfigError(
            f"map_shape is (channels, rows, columns), of rows and columns that divide "
            f"{height} x {width}, not {map_shape}"
        )
