"""What a model can be asked for, in words, and as a job that can be pasted and run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ancestral.jobs.errors import RequestProblem
from ancestral.jobs.fields import checked
from ancestral.jobs.kinds import KIND_FIELDS, fields_of
from ancestral.jobs.wording import shortened

#: Values of a category that are named; `--json` has them all.
NAMED_VALUES = 30

#: Letters of a text that are named.
NAMED_LETTERS = 40

#: A text of which most models know the letters.
WORD = "seven"

#: Of a sound, less than any word lasts.
SHORT_SECONDS = 0.1

#: A file of each medium.
FILES = {"image": "image.png", "audio": "sound.flac", "video": "clip.webp", "series": "series.npy"}

Signature = Mapping[str, Any]


def makes(signature: Signature) -> str:
    """What the model draws."""
    levels = signature["levels"]
    symbols = "of real numbers" if levels is None else f"in {levels:,} levels"
    match signature["medium"]:
        case "image":
            return f"images of {_pixels(signature['shape'])} {symbols}"
        case "audio":
            return f"sounds at {signature['sample_rate_hz']:,} Hz {symbols}"
        case "video":
            frames, *picture = signature["shape"]
            count = "any number of" if frames is None else frames
            rate = f"{signature['frames_per_second']:g} frames a second"
            return f"clips of {count} frames of {_pixels(picture)} {symbols}, {rate}"
        case _:
            return f"series {symbols}"


def takes(field: Mapping[str, Any]) -> str:
    """The values of a field."""
    match field["type"]:
        case "category":
            return "one of " + shortened(field["values"], NAMED_VALUES)
        case "vector":
            return f"{field['length']} numbers"
        case "map":
            return " x ".join(map(str, field["shape"])) + " numbers"
        case "media":
            return "a file, a piece of one, or its bytes"
        case "text":
            letters = "".join(_letters(field))
            of = f" of {letters[:NAMED_LETTERS]}" if letters else ""
            more = "..." if len(letters) > NAMED_LETTERS else ""
            blanks = " and blanks" if letters and " " in field["characters"] else ""
            return f"up to {field['longest']:,} characters{of}{more}{blanks}"
    bounds = [
        f"{word} {field[key]:.6g}"
        for word, key in (("from", "minimum"), ("to", "maximum"))
        if key in field
    ]
    return " ".join(bounds) or "any"


def default(field: Mapping[str, Any]) -> str:
    """What a request without the field gets."""
    if "default" not in field:
        return "(required)"
    return "null" if field["default"] is None else str(field["default"])


def example_job(model: str, signature: Signature, kind: str) -> dict[str, Any]:
    """The document of a small job: a value for each field that it must or would want to give."""
    asked = {
        name: field
        for name, field in fields_of(signature, kind).items()
        if "default" not in field or name in KIND_FIELDS
    }
    grid = {name: [_value(signature, name, field)] for name, field in asked.items()}
    return {
        "name": f"my-{kind}-job",
        "kind": kind,
        "model": model,
        "grid": grid,
        "output": "my-results",
    }


def _value(signature: Signature, name: str, field: Mapping[str, Any]) -> Any:
    match field["type"]:
        case "category":
            return field["values"][0]
        case "vector":
            return [0.0] * field["length"]
        case "map":
            return [0.0] * math.prod(field["shape"])
        case "media":
            file = FILES[signature["medium"]]
            return f"another-{file}" if name == "second_image" else file
        case "text":
            return example_text(name, field)
    low = field.get("minimum", min(0, field.get("maximum", 0)))
    high = field.get("maximum", low + 2)
    value = low + (high - low) / 2
    if name == "keep" and signature["shape"][0] is None:
        # Where a request decides the length, little is kept, so that it is less than any length.
        value = low + (high - low) / 10
        if signature["medium"] == "audio":
            value = min(value, SHORT_SECONDS)
    return int(value) if field["type"] == "integer" else min(max(float(f"{value:.3g}"), low), high)


def example_text(name: str, field: Mapping[str, Any]) -> str:
    """A text that the field takes."""
    try:
        return str(checked(name, field, WORD[: field["longest"]]))
    except RequestProblem:
        return "".join(_letters(field)[: min(len(WORD), field["longest"])])


def _letters(field: Mapping[str, Any]) -> list[str]:
    """The characters that a text has to be written in; none when all are taken."""
    return [each for each in field.get("characters", "") if not each.isspace()]


def _pixels(shape: list[int]) -> str:
    height, width, *colours = shape
    return f"{height} x {width} pixels" + (" in colour" if colours else "")
