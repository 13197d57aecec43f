"""What the training rows tell of a model, so that its recipe need not say it.

    labels, digits, ...    the values of the field `label`, `digit`, ...
    characters             what the field `text` is spelled with
    seconds                how long each speaker takes for each digit, on average

A family gets what its configuration has a key for and the recipe leaves out.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe, TrainingData
from ancestral.jobs.wording import did_you_mean, shown
from ancestral.models import FAMILIES, find_family
from ancestral.models.errors import ConfigError, DataError
from ancestral.models.speech.spelling import alphabet
from ancestral.orchestration.training.decoding import SOUND_COLUMNS, sound_of
from ancestral.orchestration.training.rows import Row, fields_of, read_rows

#: Types of keys that list the values of a field, as they are written.
_LISTS = ("tuple[int, ...]", "tuple[str, ...]", "tuple[int | str, ...]")


def complete(recipe: Recipe) -> Recipe:
    """The recipe with everything in its model that the training rows tell.

    Raises SpecError when there is no such family, file, column or row, and DataError, which names
    the row, when one lacks a field, holds several values of it, or has a sound that cannot be read.
    """
    data, keys = recipe.data, _keys(recipe.family)
    model = dict(recipe.model)
    listed = [name for name in data.fields if f"{name}s" in keys - set(model)]
    if listed:
        rows = read_rows(data, (), lambda row: [_value_of(row, data, name) for name in listed])
        for index, name in enumerate(listed):
            model[f"{name}s"] = sorted({values[index] for values in rows})
    if "text" in data.fields and "characters" in keys - set(model):
        texts = read_rows(data, (), lambda row: _text_of(row, data))
        model["characters"] = alphabet(texts)
    if "digit" in data.fields and "seconds" in keys - set(model):
        model["seconds"] = _durations(recipe, model)
    return recipe.model_copy(update={"model": model})


def _value_of(row: Row, data: TrainingData, name: str) -> Any:
    """What a row shows of a field. Raises DataError when it is no value of a category."""
    value = fields_of(row, data)[name]
    wrong = ""
    if isinstance(value, list | dict):
        wrong = "no single value"
    elif isinstance(value, float):
        wrong = f"neither a text nor a whole number, as values of {name!r} are"
    if wrong:
        raise DataError(f"the column {data.fields[name]!r} holds {shown(value)}, which is {wrong}")
    return value


def _text_of(row: Row, data: TrainingData) -> str:
    """What a row says, for the field `text`. Raises DataError when it is no text."""
    text = fields_of(row, data)["text"]
    if not isinstance(text, str):
        raise DataError(f"the column {data.fields['text']!r} holds {shown(text)}, which is no text")
    return text


def listed_fields(family: str) -> dict[str, str]:
    """The fields whose values a family's configuration has a key for, each with that key.

    Raises SpecError when there is no such family.
    """
    listed = {"text": "characters"} if "characters" in _keys(family) else {}
    for field in dataclasses.fields(_config(family)):
        # A type is compared as it is written: what it names need not be there outside a checker.
        if field.name.endswith("s") and str(field.type) in _LISTS:
            listed[field.name[:-1]] = field.name
    return listed


def _keys(family: str) -> set[str]:
    return {field.name for field in dataclasses.fields(_config(family))}


def _config(family: str) -> type[Any]:
    try:
        return find_family(family).config
    except ConfigError as error:
        hint = did_you_mean(family, FAMILIES)
        raise SpecError(f"{error}{hint}") from error


def _durations(recipe: Recipe, model: Mapping[str, Any]) -> list[list[float]]:
    """How many seconds each speaker takes for each digit, on average: a row for each speaker.

    A digit that a speaker is not heard to say takes as long as the speaker's other ones.
    """

    data = recipe.data

    def spoken(row: Row) -> tuple[Any, Any, float]:
        speaker = _value_of(row, data, "speaker") if "speaker" in data.fields else None
        seconds = len(sound_of(row)) / row["sample_rate"]
        return speaker, _value_of(row, data, "digit"), seconds

    heard: defaultdict[tuple[Any, Any], list[float]] = defaultdict(list)
    for speaker, digit, seconds in read_rows(data, SOUND_COLUMNS, spoken):
        heard[speaker, digit].append(seconds)
    table = []
    for speaker in model.get("speakers") or (None,):
        usually = {digit: fmean(heard[who, digit]) for who, digit in heard if who == speaker}
        other = fmean(usually.values()) if usually else fmean(map(fmean, heard.values()))
        table.append([round(usually.get(digit, other), 4) for digit in model["digits"]])
    return table
