"""From a recipe to a network, and from the rows of its table to what the network learns from.

    recipe ──► completion ──► network ──► signature
                                              │ says medium, shape and sample rate
    table ──► rows ──► events, or moving digits ──► examples ──► items

Items are what `models.train` takes: symbols and conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe
from ancestral.models import Autoregressive, Item, build, prepare
from ancestral.orchestration.events import decode, event_columns
from ancestral.orchestration.moving_digits import moving_digits
from ancestral.orchestration.rows import bytes_of, fields_of, read_rows


@dataclass(frozen=True)
class Examples:
    """Events as arrays, and what each shows or says."""

    arrays: list[NDArray[Any]]
    fields: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.arrays)


def network(recipe: Recipe) -> Autoregressive:
    """A fresh network, as a complete recipe describes it. Raises ConfigError."""
    return build(recipe.family, recipe.model)


def read_examples(
    recipe: Recipe, signature: Mapping[str, Any], *, held_out: bool = False
) -> Examples:
    """All events to learn from, or all that are held out, for a network of that signature.

    Raises SpecError when there is no such file, column or row, or when the data is of another
    medium, and DataError, which names the row, when an event cannot be read.
    """
    data = recipe.data
    if data.moving_digits is not None:
        if signature["medium"] != "video":
            raise SpecError(
                f"'data.moving_digits' is for models of video: this one makes {signature['medium']}"
            )
        images = read_rows(data, ("image",), lambda row: bytes_of(row, "image"), held_out=held_out)
        clips = list(moving_digits(images, data.moving_digits, held_out=held_out))
        return Examples(clips, [{} for _ in clips])
    rows = read_rows(
        data,
        event_columns(signature, data),
        lambda row: (decode(row, signature, data), fields_of(row, data)),
        held_out=held_out,
    )
    return Examples([array for array, _ in rows], [fields for _, fields in rows])


def items_of(net: Autoregressive, examples: Examples) -> list[Item]:
    """What `net` is trained on or scored with. Raises DataError."""
    return prepare(net, examples.arrays, examples.fields)
