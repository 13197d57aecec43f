"""What a model can be asked for and what it makes: plain JSON that requests are checked against.

    {"medium": "image", "levels": 16, "shape": [20, 20],
     "fields": {"label": {"type": "category", "values": [0, 1, 2], "description": "the digit"}}}

docs/signature.md describes every key. A signature comes from a bundle's config.json, is checked
once by `check_signature` and then trusted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ancestral.jobs.errors import ModelUnreadable, RequestProblem, RequestsInvalid, SpecError
from ancestral.jobs.fields import checked, field_problem, from_text
from ancestral.jobs.kinds import KIND_FIELDS, KINDS, LATENT, kinds_of
from ancestral.jobs.numbers import INTEGER_LIMIT, finite, is_size, perhaps_rounded, whole
from ancestral.jobs.spec import Gates, JobSpec, Sampling, is_one_line
from ancestral.jobs.wording import did_you_mean, shortened, shown

#: Characters of the longest request_id; ids end up in file names.
LONGEST_REQUEST_ID = 200

#: How many entries the shape of each medium can have.
MEDIA = {"image": (2, 3), "audio": (1,), "video": (3, 4), "series": (1,)}

#: What many of a medium are called.
PLURALS = {"image": "images", "audio": "sounds", "video": "clips", "series": "series"}

#: What each gate looks at.
GATED = {
    "silence_dbfs": "audio",
    "clipped_share": "audio",
    "shortest_seconds": "audio",
    "longest_seconds": "audio",
    "constant_image": "image",
}

LIKELIHOOD_KINDS = ("exact", "joint", "bound", "density")

#: What a family can be called: nothing that a terminal would obey.
FAMILY = re.compile(r"[A-Za-z0-9_.-]{1,100}")

#: Columns of an input that are not fields of the model.
RESERVED = ("request_id", "seed")

#: Unknown columns that an error names: all of an index that is handed in as it is.
NAMED_COLUMNS = 50

#: Larger alphabets are drawn by other means than sorting their probabilities.
LARGEST_LEVELS_FOR_TOP = 256


def check_signature(signature: Mapping[str, Any], origin: str) -> None:
    """Raises ModelUnreadable when `signature` is not one that this version understands."""
    problem = _problem(signature)
    if problem:
        raise ModelUnreadable(f"{origin}: the model's signature {problem}")


def check_described(family: str, signature: Mapping[str, Any], origin: str) -> None:
    """Raises ModelUnreadable when no model can say of itself what this one says."""
    if not FAMILY.fullmatch(family):
        raise ModelUnreadable(
            f"{origin}: a family cannot be called {shown(family)}: use letters, digits, '-', '_' "
            "and '.'"
        )
    check_signature(signature, origin)


def check_settings(signature: Mapping[str, Any], spec: JobSpec) -> None:
    """Raises SpecError when the model cannot be sampled with the settings of `spec`."""
    levels = signature["levels"]
    for key in ("top_k", "top_p"):
        if getattr(spec.sampling, key) is None:
            continue
        if levels is None or levels > LARGEST_LEVELS_FOR_TOP:
            has = "draws real numbers" if levels is None else f"has {levels}"
            raise SpecError(
                f"'sampling.{key}' serves models of up to {LARGEST_LEVELS_FOR_TOP} levels, and "
                f"this one {has}: leave it out"
            )
    if spec.kind == "score":
        _check_nothing_is_drawn(spec)
    medium = signature["medium"]
    for gate, gated in GATED.items():
        if medium != gated and getattr(spec.gates, gate) != getattr(Gates(), gate):
            raise SpecError(
                f"'gates.{gate}' is for {PLURALS[gated]}, and this model makes {PLURALS[medium]}"
            )


def check_columns(signature: Mapping[str, Any], columns: tuple[str, ...], origin: str) -> None:
    """Raises RequestsInvalid when a whole table has columns too many or too few."""
    fields = signature["fields"]
    known = (*fields, *RESERVED)
    if len(columns) == 1 and columns[0] not in known and re.search("[;\t]", columns[0]):
        problem = f"has a single column {shown(columns[0])}: CSV parts its cells by commas"
        raise RequestsInvalid([f"{origin}: {problem}"], 1)
    counts = Counter(columns)
    problems = [f"has two columns {name!r}" for name, count in counts.items() if count > 1]
    unknown = [name for name in counts if name not in known]
    if unknown:
        article = "an " if len(unknown) == 1 else ""
        problems.append(f"has {article}{_unknown('column', unknown, known)}")
    required = [name for name, field in fields.items() if "default" not in field]
    missing = [repr(name) for name in required if name not in counts]
    if len(missing) == 1:
        problems.append(f"the column {missing[0]} is missing")
    elif missing:
        problems.append(f"the columns {shortened(missing)} are missing")
    if problems:
        raise RequestsInvalid([f"{origin}: {problem}" for problem in problems], len(problems))


def check_fields(signature: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The conditioning of one request, complete and in the signature's own types and order.

    A field that is absent or null takes its default. Raises RequestProblem.
    """
    known = signature["fields"]
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise RequestProblem(_unknown("field", unknown, (*known, *RESERVED)))
    return {name: checked(name, field, fields.get(name)) for name, field in known.items()}


def fields_from_text(signature: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Texts (of a CSV file) as values of the signature's types: "7" becomes 7, "" becomes null.

    What cannot be converted stays a text, for `check_fields` to name.
    """
    types = {**signature["fields"], "seed": {"type": "integer"}}
    return {
        name: from_text(types[name], text) if name in types and text else text or None
        for name, text in fields.items()
    }


def check_request_id(value: object) -> str:
    """A request's own id as a text. Raises RequestProblem unless it is a text or a whole number."""
    request_id = value if isinstance(value, str) else whole(value)
    text = "" if request_id is None else str(request_id)
    # Half a surrogate pair, which JSON can spell, is no character of any text.
    if not 0 < len(text) <= LONGEST_REQUEST_ID or re.search("[\ud800-\udfff]", text):
        raise RequestProblem(
            f"'request_id' should be a text of 1 to {LONGEST_REQUEST_ID} characters or a whole "
            f"number, not {shown(value)}{perhaps_rounded(value)}"
        )
    if not is_one_line(text):
        raise RequestProblem(
            f"'request_id' should be a text that can be read in one line, not {shown(value)}"
        )
    return text


def check_seed(value: object) -> int:
    """A request's own seed. Raises RequestProblem unless it is a whole number in [0, 2**63)."""
    seed = whole(value)
    if seed is None or not 0 <= seed < INTEGER_LIMIT:
        raise RequestProblem(
            f"'seed' should be a whole number in [0, 2**63), not {shown(value)}"
            f"{perhaps_rounded(value)}"
        )
    return seed


def _unknown(what: str, names: Sequence[str], known: Sequence[str]) -> str:
    """That none is called so, as a part of a sentence."""
    if len(names) == 1:
        return f"unknown {what} {names[0]!r}{did_you_mean(names[0], known)}"
    named = shortened(map(repr, names), most=NAMED_COLUMNS)
    return f"unknown {what}s {named}; known are {shortened(known)}"


def _problem(signature: Mapping[str, Any]) -> str:
    """What is wrong with a signature, as the end of a sentence; or nothing."""
    medium, levels, fields = (signature.get(key) for key in ("medium", "levels", "fields"))
    if not isinstance(medium, str) or medium not in MEDIA:
        return f"makes {shown(medium)}, and known media are {', '.join(MEDIA)}"
    if not (is_size(levels) or (levels is None and medium == "series")):
        return "should have 'levels', a whole number, or null for a series of real numbers"
    if not isinstance(fields, dict):
        return "should have 'fields', if only {}"
    shape = signature.get("shape")
    if not isinstance(shape, list) or len(shape) not in MEDIA[medium]:
        return f"should have the 'shape' of its {medium}, a size (or null) for each axis"
    if not (shape[0] is None or is_size(shape[0])) or not all(map(is_size, shape[1:])):
        return f"has sizes in its 'shape' that are not positive, the first or null: {shown(shape)}"
    rate = {"audio": "sample_rate_hz", "video": "frames_per_second"}.get(medium)
    if rate is not None and not _is_positive(signature.get(rate)):
        return f"should have {rate!r}, a positive number"
    if signature.get("likelihood_kind", "exact") not in LIKELIHOOD_KINDS:
        return f"should have a 'likelihood_kind' of {', '.join(LIKELIHOOD_KINDS)}"
    return _field_problems(fields) or _kinds_problem(signature)


def _field_problems(fields: Mapping[str, Any]) -> str:
    for name, field in fields.items():
        if name in RESERVED:
            return f"calls a field {name!r}, a name that requests need for themselves"
        if name in KIND_FIELDS:
            return f"calls a field {name!r}, a name that kinds of jobs need for themselves"
        problem = field_problem(name, field)
        if problem:
            return problem
    return ""


def _kinds_problem(signature: Mapping[str, Any]) -> str:
    named = signature.get("kinds", ["generate"])
    if not isinstance(named, list) or not named or not all(kind in KINDS for kind in named):
        return f"should have 'kinds' among {', '.join(KINDS)}"
    kinds, hidden = kinds_of(signature), signature.get("hidden", 0)
    if isinstance(hidden, bool) or not isinstance(hidden, int) or hidden < 0:
        return "should have 'hidden', a whole number of symbols"
    if hidden and "complete" in kinds:
        return "says that it can complete, but what is hidden is drawn before any prefix"
    if "reconstruct" in kinds and signature["fields"].get(LATENT, {}).get("type") != "vector":
        return f"says that it can reconstruct, but has no vector {LATENT!r}"
    return ""


def _check_nothing_is_drawn(spec: JobSpec) -> None:
    for key, value in spec.sampling:
        if key != "seed" and value != getattr(Sampling(), key):
            raise SpecError(f"'sampling.{key}' means nothing to a score job, which draws nothing")
    if spec.gates != Gates():
        raise SpecError("'gates' mean nothing to a score job, which draws nothing to reject")


def _is_positive(value: object) -> bool:
    number = finite(value)
    return number is not None and number > 0
