"""From the rows of a training table to arrays and fields, and to a network that fits them.

    image    uint8 bytes in C order, of the model's height and width
    audio    `codec` says what the bytes are: pcm_s16le, or flac; `sample_rate` is the model's

Shapes: (H, W) for images, (T,) for sounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.jobs.datasets import read_table
from ancestral.jobs.documents import did_you_mean, shown
from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe
from ancestral.models import (
    Autoregressive,
    Item,
    WaveNetConfig,
    build,
    normalise_loudness,
    prepare,
)
from ancestral.models.errors import DataError
from ancestral.orchestration.recipe import table_uri
from ancestral.workers.encode import read_recording
from ancestral.workers.errors import EncodeError

#: The columns that hold an event, by the medium of a family.
_EVENT_COLUMNS = {"image": ("image",), "audio": ("audio", "codec", "sample_rate")}

#: The medium of each family that can be trained here.
_MEDIA = {"gated_pixelcnn": "image", "wavenet": "audio"}

#: The key of a family's configuration that lists the values of a field.
_VALUES_OF = {"label": "labels", "digit": "digits", "speaker": "speakers"}


@dataclass(frozen=True)
class Examples:
    """The rows of one split: events as arrays, and what each shows or says."""

    arrays: list[NDArray[Any]]
    fields: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.arrays)


def read_examples(recipe: Recipe, split: str) -> Examples:
    """All rows of a split (train or test), decoded.

    Raises SpecError when there is no such file, column or row, and DataError, which names the row,
    when an event cannot be read.
    """
    medium = _MEDIA.get(recipe.family)
    if medium is None:
        hint = did_you_mean(recipe.family, _MEDIA)
        raise SpecError(f"no family {recipe.family!r} can be trained{hint}")
    uri = table_uri(recipe.data.path)
    decode = _image if medium == "image" else _sound
    columns = [*_EVENT_COLUMNS[medium], *recipe.data.fields]
    examples = Examples([], [])
    for number, row in enumerate(read_table(uri, columns, split=split)):
        try:
            examples.arrays.append(decode(row, recipe))
            examples.fields.append(_fields(row, recipe))
        except DataError as error:
            raise DataError(f"{uri}: row {number} of split {split!r}: {error}") from error
    return examples


def decode_sound(data: bytes, codec: str) -> NDArray[np.int16]:
    """The sound (T,) that the columns `audio` and `codec` hold. Raises DataError."""
    if codec == "flac":
        try:
            return read_recording(data)[0]
        except EncodeError as error:
            raise DataError(str(error)) from error
    if codec == "pcm_s16le" and len(data) % 2 == 0:
        return np.frombuffer(data, "<i2").astype(np.int16)
    raise DataError(f"these {len(data)} bytes of audio are no {shown(codec)} that we can read")


def complete(recipe: Recipe, examples: Examples) -> Recipe:
    """The recipe with everything in its model that the training examples tell.

    That is the values of its fields (labels, digits, speakers) and, for words, how long they last.
    """
    model = dict(recipe.model)
    for name in recipe.data.fields:
        if name in _VALUES_OF:
            values = sorted({fields[name] for fields in examples.fields})
            model.setdefault(_VALUES_OF[name], values)
    if recipe.family == "wavenet" and model.get("digits"):
        model.setdefault("seconds", _durations(recipe, model, examples))
    return recipe.model_copy(update={"model": model})


def network(recipe: Recipe) -> Autoregressive:
    """A fresh network, as a complete recipe describes it.

    Raises ConfigError, and SpecError when the network is not conditioned on the recipe's fields.
    """
    net = build(recipe.family, recipe.model)
    asked, has = sorted(recipe.data.fields), sorted(net.signature["fields"])
    if asked != has:
        raise SpecError(
            f"the recipe {recipe.name!r}: 'data.fields' are {asked}, but a {recipe.family} with "
            f"this 'model' is conditioned on {has}"
        )
    return net


def items_of(net: Autoregressive, examples: Examples) -> list[Item]:
    """What `net` is trained on or scored with. Raises DataError."""
    return prepare(net, examples.arrays, examples.fields)


def _fields(row: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    fields = {name: row[name] for name in recipe.data.fields}
    for name, value in fields.items():
        if value is None:
            raise DataError(f"the column {name!r} holds nothing")
    return fields


def _image(row: Mapping[str, Any], recipe: Recipe) -> NDArray[np.uint8]:
    height, width = recipe.model.get("height", 0), recipe.model.get("width", 0)
    pixels = np.frombuffer(row["image"], np.uint8)
    if len(pixels) != height * width:
        raise DataError(f"the image has {len(pixels)} bytes; the model draws {height} x {width}")
    return pixels.reshape(height, width)


def _sound(row: Mapping[str, Any], recipe: Recipe) -> NDArray[np.int16]:
    sound = decode_sound(row["audio"], row["codec"])
    if row["sample_rate"] != _sample_rate_hz(recipe):
        raise DataError(
            f"the sound has {row['sample_rate']} samples a second, not {_sample_rate_hz(recipe)}"
        )
    return normalise_loudness(sound, recipe.data.loudness_dbfs)


def _sample_rate_hz(recipe: Recipe) -> int:
    return int(recipe.model.get("sample_rate_hz", WaveNetConfig.sample_rate_hz))


def _durations(recipe: Recipe, model: Mapping[str, Any], examples: Examples) -> list[list[float]]:
    """How many seconds each speaker takes for each digit, on average.

    A digit that a speaker is not heard to say takes as long as the speaker's other ones.
    """
    heard: defaultdict[tuple[Any, Any], list[float]] = defaultdict(list)
    for array, fields in zip(examples.arrays, examples.fields, strict=True):
        seconds = len(array) / _sample_rate_hz(recipe)
        heard[fields.get("speaker"), fields["digit"]].append(seconds)
    table = []
    for speaker in model.get("speakers") or (None,):
        spoken = {digit: fmean(heard[who, digit]) for who, digit in heard if who == speaker}
        usual = fmean(spoken.values()) if spoken else fmean(map(fmean, heard.values()))
        table.append([round(spoken.get(digit, usual), 4) for digit in model["digits"]])
    return table
