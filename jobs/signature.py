"""What a model can be asked for and what it makes: plain JSON that requests are checked against.

    {"medium": "image", "levels": 16, "shape": [20, 20],
     "fields": {"label": {"type": "category", "values": [0, 1, 2], "description": "the digit"}}}

docs/signature.md describes every key. A signature comes from a bundle's config.json, is checked
once by `check_signature` and then trusted.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from ancestral.jobs.documents import did_you_mean, nearest, shortened, shown
from ancestral.jobs.errors import ModelUnreadable, RequestProblem, RequestsInvalid, SpecError
from ancestral.jobs.spec import INTEGER_LIMIT, Sampling

#: Characters of the longest request_id; ids end up in file names.
LONGEST_REQUEST_ID = 200

MEDIA = ("image", "audio")
FIELD_TYPES = ("category", "number", "integer")

#: Columns of an input that are not fields of the model.
RESERVED = ("request_id", "seed")

#: Larger alphabets are drawn by other means than sorting their probabilities.
LARGEST_LEVELS_FOR_TOP = 256


def check_signature(signature: Mapping[str, Any], origin: str) -> None:
    """Raises ModelUnreadable when `signature` is not one that this version understands."""
    fields = signature.get("fields")
    if signature.get("medium") not in MEDIA:
        problem = f"makes {signature.get('medium')!r}, and known media are {', '.join(MEDIA)}"
    elif not isinstance(signature.get("levels"), int) or not isinstance(fields, dict):
        problem = "should have 'levels' (a whole number) and 'fields'"
    else:
        problem = next(filter(None, itertools.starmap(_field_problem, fields.items())), "")
    if problem:
        raise ModelUnreadable(f"{origin}: the model's signature {problem}")


def check_settings(signature: Mapping[str, Any], sampling: Sampling) -> None:
    """Raises SpecError when the model cannot be sampled with these settings."""
    levels = signature["levels"]
    for key in ("top_k", "top_p"):
        if getattr(sampling, key) is not None and levels > LARGEST_LEVELS_FOR_TOP:
            raise SpecError(
                f"'sampling.{key}' serves models of up to {LARGEST_LEVELS_FOR_TOP} levels, and "
                f"this one has {levels}: leave it out"
            )


def check_columns(signature: Mapping[str, Any], columns: tuple[str, ...], origin: str) -> None:
    """Raises RequestsInvalid when a whole table has a column too many or one too few."""
    fields = signature["fields"]
    known = (*fields, *RESERVED)
    problem = ""
    for column in columns:
        if columns.count(column) > 1:
            problem = f"has two columns {column!r}"
        elif column not in known:
            problem = f"has an unknown column {column!r}{did_you_mean(column, known)}"
    for name, field in fields.items():
        if not problem and name not in columns and "default" not in field:
            problem = f"the column {name!r} is missing"
    if problem:
        raise RequestsInvalid([f"{origin}: {problem}"], 1)


def check_fields(signature: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The conditioning of one request, complete and in the signature's own types and order.

    A field that is absent or null takes its default. Raises RequestProblem.
    """
    known = signature["fields"]
    for name in fields:
        if name not in known:
            hint = did_you_mean(name, (*known, *RESERVED))
            raise RequestProblem(f"unknown field {name!r}{hint}")
    return {name: _checked(name, field, fields.get(name)) for name, field in known.items()}


def fields_from_text(signature: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Texts (of a CSV file) as values of the signature's types: "7" becomes 7, "" becomes null.

    What cannot be converted stays a text, for `check_fields` to name.
    """
    types = {**signature["fields"], "seed": {"type": "integer"}}
    return {
        name: _from_text(types[name], text) if name in types and text else text or None
        for name, text in fields.items()
    }


def check_request_id(value: object) -> str:
    """A request's own id as a text. Raises RequestProblem unless it is a text or a whole number."""
    request_id = value if isinstance(value, str) else _whole(value)
    text = "" if request_id is None else str(request_id)
    # Half a surrogate pair, which JSON can spell, is no character of any text.
    if not 0 < len(text) <= LONGEST_REQUEST_ID or re.search("[\ud800-\udfff]", text):
        raise RequestProblem(
            f"'request_id' should be a text of 1 to {LONGEST_REQUEST_ID} characters or a whole "
            f"number, not {shown(value)}"
        )
    return text


def check_seed(value: object) -> int:
    """A request's own seed. Raises RequestProblem unless it is a whole number in [0, 2**63)."""
    seed = _whole(value)
    if seed is None or not 0 <= seed < INTEGER_LIMIT:
        raise RequestProblem(f"'seed' should be a whole number in [0, 2**63), not {shown(value)}")
    return seed


def _field_problem(name: str, field: Any) -> str:
    if name in RESERVED:
        return f"calls a field {name!r}, a name that requests need for themselves"
    if not isinstance(field, dict) or field.get("type") not in FIELD_TYPES:
        return f"gives {name!r} no type of {', '.join(FIELD_TYPES)}"
    if field["type"] == "category":
        values = field.get("values")
        if not isinstance(values, list) or not values:
            return f"gives the category {name!r} no values"
        if not all(isinstance(value, str) or _whole(value) is not None for value in values):
            return f"gives the category {name!r} values that are neither texts nor whole numbers"
    if "default" in field:
        try:
            _checked(name, field, field["default"])
        except RequestProblem as problem:
            return f"has a wrong default: {problem}"
    return ""


def _checked(name: str, field: Mapping[str, Any], value: object) -> object:
    if value is None:
        if "default" not in field:
            raise RequestProblem(f"{name!r} is missing")
        value = field["default"]
    match field["type"]:
        case "category":
            return _checked_category(name, field["values"], value)
        case "integer":
            number: float | None = _whole(value)
            kind = "a whole number of 64 bits"
        case _:
            number = _number(value)
            kind = "a number"
    if number is None:
        raise RequestProblem(f"{name!r} should be {kind}, not {shown(value)}")
    if number < field.get("minimum", -math.inf) or number > field.get("maximum", math.inf):
        low, high = field.get("minimum", "any"), field.get("maximum", "any")
        raise RequestProblem(f"{name!r} should lie between {low} and {high}, not at {shown(value)}")
    return number


def _checked_category(name: str, values: list[int | str], value: object) -> int | str:
    # As numbers True is 1 and False is 0, but nobody who writes `true` means the label 1.
    if isinstance(value, bool) or value not in values:
        near = nearest(value, values) if isinstance(value, str) else ""
        raise RequestProblem(
            f"{name!r} should be one of {shortened(values)}, not {shown(value)}{near}"
        )
    return values[values.index(value)]


def _from_text(field: Mapping[str, Any], text: str) -> object:
    try:
        match field["type"]:
            case "category":
                return next((value for value in field["values"] if str(value) == text), text)
            case "integer":
                return int(text)
            case _:
                return float(text)
    except ValueError:
        return text


def _whole(value: object) -> int | None:
    """7 and 7.0 as 7, as a null turns a table's integers to floats; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and -INTEGER_LIMIT <= value < INTEGER_LIMIT else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None
