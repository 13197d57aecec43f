"""From a recipe to a network, and from the rows of its table to what the network learns from.

    recipe ──► completion ──► network ──► signature
                                              │ says medium, shape and sample rate
    table ──► rows ──► events, or moving digits ──► examples ──► items

Items are what `models.train` takes: symbols and conditions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe, Training
from ancestral.models import Autoregressive, Item, TrainSettings, build
from ancestral.models.augmentation import Augmentation
from ancestral.models.data import item_of
from ancestral.models.errors import ConditionError, DataError
from ancestral.orchestration.training.deal import Size, Span
from ancestral.orchestration.training.decoding import decode, event_columns
from ancestral.orchestration.training.moving_digits import moving_digits
from ancestral.orchestration.training.rows import (
    Row,
    Rows,
    all_spans,
    bytes_of,
    fields_of,
    read_rows,
)


@dataclass(frozen=True)
class Example:
    """An event as an array, and what it shows or says."""

    array: NDArray[Any]
    fields: dict[str, Any]


class Events:
    """The events to learn from, or those that are held out, for a network of that signature.

    They are read and decoded when they are wanted, and again when they are wanted again; only
    moving digits are made at once, and kept. Raises SpecError when there is no such file, column or
    row, or when the data is of another medium.
    """

    def __init__(
        self, recipe: Recipe, signature: Mapping[str, Any], *, held_out: bool = False
    ) -> None:
        self._data, self._signature = recipe.data, signature
        # What is cut into pieces may be as long as it is.
        cropped = recipe.training is not None and recipe.training.crop_samples is not None
        self._longest = None if cropped else signature.get("max_length")
        self._clips = _moving(recipe, signature, held_out)
        self._rows = None
        if self._clips is None:
            columns = event_columns(signature, recipe.data)
            self._rows = Rows(recipe.data, columns, held_out=held_out)

    def __len__(self) -> int:
        return sum(size.rows for size in self.sizes)

    def __iter__(self) -> Iterator[Example]:
        """All of them, in order."""
        return (example for _, example in self.read(all_spans(self.sizes)))

    @property
    def sizes(self) -> list[Size]:
        """Of each part of the table that lies together."""
        if self._rows is not None:
            return self._rows.sizes
        assert self._clips is not None, "what is not read was made"
        return [Size(len(self._clips), sum(clip.nbytes for clip in self._clips))]

    def read(self, spans: Iterable[Span]) -> Iterator[tuple[int, Example]]:
        """Those in these spans, each with its number.

        Raises DataError, which names the row, when an event cannot be read.
        """
        if self._rows is not None:
            yield from self._rows.read(spans, self._decode)
            return
        assert self._clips is not None, "what is not read was made"
        for span in spans:
            for number in range(span.start, span.stop):
                yield number, Example(self._clips[number], {})

    def item(self, net: Autoregressive, number: int, example: Example) -> Item:
        """What `net` learns from the event of that number.

        Raises DataError, which names the event, when it does not fit the network.
        """
        try:
            return item_of(net, example.array, example.fields)
        except (ConditionError, DataError) as error:
            place = self._rows.place(number) if self._rows is not None else f"clip {number}"
            raise DataError(f"{place}: {error}") from error

    def _decode(self, row: Row) -> Example:
        array = decode(row, self._signature, self._data)
        if array.ndim == 1 and self._longest is not None and len(array) > self._longest:
            raise DataError(
                f"it has {len(array):,} samples, and the model makes {self._longest:,} at most: "
                "raise 'model.max_length'"
            )
        return Example(array, fields_of(row, self._data))


def network(recipe: Recipe) -> Autoregressive:
    """A fresh network, as a complete recipe describes it. Raises ConfigError."""
    return build(recipe.family, recipe.model)


def train_settings(training: Training) -> TrainSettings:
    """What the recipe says about how weights move, and good values for what it does not say.

    Raises ConfigError for a setting that trains nothing.
    """
    names = [field.name for field in dataclasses.fields(TrainSettings)]
    given = {name: getattr(training, name, None) for name in names}
    return TrainSettings(**{name: value for name, value in given.items() if value is not None})


def augmentation(training: Training) -> Augmentation | None:
    """How images are changed; None: they are not. Raises ConfigError."""
    if training.augmentation is None:
        return None
    return Augmentation(**training.augmentation.model_dump())


def _moving(
    recipe: Recipe, signature: Mapping[str, Any], held_out: bool
) -> list[NDArray[Any]] | None:
    """Clips that are made from the digits of a table; None where the recipe asks for none."""
    data = recipe.data
    if data.moving_digits is None:
        return None
    if signature["medium"] != "video":
        raise SpecError(
            f"'data.moving_digits' is for models of video: this one makes {signature['medium']}"
        )
    images = read_rows(data, ("image",), lambda row: bytes_of(row, "image"), held_out=held_out)
    return list(moving_digits(images, data.moving_digits, held_out=held_out))
