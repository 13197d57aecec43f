"""The fields of a signature: how they are declared, which values they take, what the index tells.

    type       declared with       takes                                  the index's column
    category   values              one of the values                      integer or text
    number     minimum, maximum    a finite number                        double
    integer    minimum, maximum    a whole number of 64 bits              integer
    vector     length              that many finite numbers               list of doubles
    map        shape [C, H, W]     that many, nested or in a row          sha256 of the numbers
    text       longest,            a text that is not blank               text
               characters
    media                          a file: its path, a piece, its bytes   sha256 of the bytes

A field whose default is null is optional: a request without it has null there. Only the fields that
a kind of job adds (`kinds.py`) are media.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ancestral.jobs.errors import RequestProblem
from ancestral.jobs.media_values import MediaValue, media_given
from ancestral.jobs.numbers import EXACT_LIMIT, finite, is_size, perhaps_rounded, whole
from ancestral.jobs.texts import characters_problem, checked_text
from ancestral.jobs.wording import nearest, shortened, shown

#: What a model may declare.
FIELD_TYPES = ("category", "number", "integer", "vector", "map", "text")


def field_problem(name: str, field: Any) -> str:
    """What is wrong with a model's declaration of a field, as the end of a sentence; or nothing."""
    if not name.isprintable() or not name.strip():
        return f"calls a field {shown(name)}, which cannot be read in one line"
    if not isinstance(field, dict) or field.get("type") not in FIELD_TYPES:
        return f"gives {name!r} no type of {', '.join(FIELD_TYPES)}"
    if field.get("decides", "length") != "length":
        return f"lets {name!r} decide {field['decides']!r}, and a field can decide the 'length'"
    if not isinstance(field.get("description", ""), str):
        return f"gives {name!r} a 'description' that is no text"
    problem = _declaration_problem(name, field)
    if problem or field.get("default") is None:
        return problem
    try:
        checked(name, field, field["default"])
    except RequestProblem as wrong:
        return f"has a wrong default: {wrong}"
    return ""


def checked(name: str, field: Mapping[str, Any], value: object) -> object:
    """A field's value in the field's own type; an absent or null one takes the default.

    A map comes back nested, and a medium as a `MediaReference` or a `MediaValue`. Raises
    RequestProblem.
    """
    if value is None:
        if "default" not in field:
            raise RequestProblem(f"{name!r} is missing")
        if field["default"] is None:
            return None
        value = field["default"]
    match field["type"]:
        case "category":
            return _checked_category(name, field["values"], value)
        case "integer":
            return _checked_range(name, field, value, whole(value), "a whole number of 64 bits")
        case "number":
            return _checked_range(name, field, value, finite(value), "a finite number")
        case "media":
            return media_given(name, value)
        case "text":
            return checked_text(name, field, value)
        case _:
            return _checked_numbers(name, field, value)


def from_text(field: Mapping[str, Any], text: str) -> object:
    """A cell of a CSV file as a value of the field; what does not convert stays a text."""
    try:
        match field["type"]:
            case "category":
                number = _whole_from(text)
                other = number if perhaps_rounded(number) else text
                return next((value for value in field["values"] if _tells(text, value)), other)
            case "integer":
                return _whole_from(text)
            # Python's own way to write numbers, in which 1_000 is 1000.
            case "number" if "_" in text:
                return text
            case "number":
                return float(text)
            case "media" | "text":
                return text
            case _:
                return json.loads(text)
    except (ValueError, RecursionError):
        return text


def told(fields: Mapping[str, Any], conditioning: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `fields` as the index tells them: what is large is named by its sha256.

    A medium becomes {"uri", "sha256"}, and a map {"sha256"}, of its numbers as doubles, lowest byte
    first, in C order.
    """
    return {name: _told(fields.get(name), value) for name, value in conditioning.items()}


def _declaration_problem(name: str, field: Mapping[str, Any]) -> str:
    match field["type"]:
        case "category":
            values = field.get("values")
            if not isinstance(values, list) or not values:
                return f"gives the category {name!r} no values"
            if not all(isinstance(value, str) or whole(value) is not None for value in values):
                return f"gives the category {name!r} values other than texts and whole numbers"
        case "number" | "integer":
            for end in ("minimum", "maximum"):
                if end in field and finite(field[end]) is None:
                    return f"gives {name!r} a {end!r} that is no finite number"
        case "vector" if not is_size(field.get("length")):
            return f"gives the vector {name!r} no 'length'"
        case "map":
            shape = field.get("shape")
            if not isinstance(shape, list) or len(shape) != 3 or not all(map(is_size, shape)):
                return f"gives the map {name!r} no 'shape' of channels, height and width"
        case "text":
            if not is_size(field.get("longest")):
                return f"gives the text {name!r} no 'longest', a number of characters"
            if "characters" in field:
                return characters_problem(name, field["characters"])
    return ""


def _whole_from(text: str) -> float | str:
    """A cell as a whole number; 7.0 as the float that it was, for `whole` to judge."""
    if re.fullmatch(r"-?[0-9]+(\.0)?", text) is None:
        return text
    return float(text) if text.endswith(".0") else int(text)


def _tells(text: str, value: int | str) -> bool:
    """Whether a cell says this value of a category; 7.0 says 7, see `whole`."""
    if text == str(value):
        return True
    return isinstance(value, int) and abs(value) < EXACT_LIMIT and text == f"{value}.0"


def _checked_category(name: str, values: list[int | str], value: object) -> int | str:
    # As numbers True is 1 and False is 0, but nobody who writes `true` means the label 1.
    rounded = perhaps_rounded(value)
    if isinstance(value, bool) or rounded or value not in values:
        near = _near(value, values) if isinstance(value, str) else rounded
        raise RequestProblem(
            f"{name!r} should be one of {shortened(values)}, not {shown(value)}{near}"
        )
    return values[values.index(value)]


def _near(text: str, values: list[int | str]) -> str:
    """What to append to a sentence about a wrong text: the value that was probably meant."""
    if text in map(str, values):
        return f"; did you mean the number {text}, without quotes?"
    return nearest(text, [value for value in values if isinstance(value, str)])


def _checked_range(
    name: str, field: Mapping[str, Any], value: object, number: float | None, kind: str
) -> float:
    if number is None:
        rounded = perhaps_rounded(value)
        raise RequestProblem(f"{name!r} should be {kind}, not {shown(value)}{rounded}")
    if number < field.get("minimum", -math.inf) or number > field.get("maximum", math.inf):
        low, high = field.get("minimum", "any"), field.get("maximum", "any")
        raise RequestProblem(f"{name!r} should lie between {low} and {high}, not at {shown(value)}")
    return number


def _checked_numbers(name: str, field: Mapping[str, Any], value: object) -> list[Any]:
    if field["type"] == "vector":
        numbers = _nested(value, [field["length"]])
        kind = f"a list of {field['length']} finite numbers"
    else:
        channels, height, width = field["shape"]
        numbers = _nested(value, [channels, height, width])
        if numbers is None:
            in_a_row = _nested(value, [channels * height * width])
            numbers = None if in_a_row is None else _cut(_cut(in_a_row, width), height)
        kind = f"{channels} x {height} x {width} finite numbers, nested or in a row"
    if numbers is None:
        raise RequestProblem(f"{name!r} should be {kind}, not {shown(value)}")
    return numbers


def _nested(value: object, shape: Sequence[int]) -> list[Any] | None:
    """`value` if it is lists of that shape, with every number a float; else None."""
    if not isinstance(value, list) or len(value) != shape[0]:
        return None
    parts = [_nested(part, shape[1:]) if shape[1:] else finite(part) for part in value]
    return None if any(part is None for part in parts) else parts


def _cut(values: list[Any], size: int) -> list[list[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _told(field: Mapping[str, Any] | None, value: object) -> object:
    if isinstance(value, MediaValue):
        return {"uri": value.uri, "sha256": value.sha256}
    if isinstance(value, list) and field is not None and field["type"] == "map":
        numbers = array("d", _flat(value))
        if sys.byteorder == "big":
            numbers.byteswap()
        return {"sha256": hashlib.sha256(numbers.tobytes()).hexdigest()}
    return value


def _flat(value: list[Any]) -> Iterator[float]:
    for part in value:
        if isinstance(part, list):
            yield from _flat(part)
        else:
            yield part
