"""Kinds of jobs: what each asks for, made from what the model itself asks for.

    kind          fields                                                    makes
    generate      the model's                                               artifacts
    complete      the model's, prefix, keep                                 artifacts that begin so
    reconstruct   the model's but latent; image, second_image, fraction     artifacts like the image
    score         the model's but what the artifact tells; artifact         likelihoods

An accepted job keeps the signature of its kind, so that requests are checked against these fields
and the index has columns for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ancestral.jobs.errors import RequestProblem, SpecError

KINDS = ("generate", "complete", "reconstruct", "score")

#: Of a signature that names none.
DEFAULT_KINDS = ("generate", "complete", "score")

#: The names that kinds add; no field of a model can have one of them.
KIND_FIELDS = ("prefix", "keep", "artifact", "image", "second_image", "fraction")

#: The field that a model which reconstructs takes in place of an image.
LATENT = "latent"


def kinds_of(signature: Mapping[str, Any]) -> tuple[str, ...]:
    """What the model can do, in the order of KINDS."""
    named = signature.get("kinds", DEFAULT_KINDS)
    return tuple(kind for kind in KINDS if kind in named)


def signature_of(signature: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The model's signature with the fields of a kind. Raises SpecError if it cannot do that."""
    return {**signature, "fields": fields_of(signature, kind)}


def fields_of(signature: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """What a job of that kind asks of each request; the model's own fields come first.

    Raises SpecError when the model cannot do that.
    """
    able = kinds_of(signature)
    if kind not in able:
        raise SpecError(f"this model cannot do 'kind: {kind}': it can do {', '.join(able)}")
    fields, medium = dict(signature["fields"]), signature["medium"]
    match kind:
        case "complete":
            fields["prefix"] = _media(f"The {medium} whose beginning is kept.")
            fields["keep"] = _keep(signature)
        case "reconstruct":
            del fields[LATENT]
            fields["image"] = _media(f"The {medium} to reconstruct.")
            fields["second_image"] = _media("One towards which to go.", optional=True)
            fields["fraction"] = {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "default": 0,
                "description": "Where to be between the two: 0 is the first, 1 the second.",
            }
        case "score":
            # The artifact itself tells its length, and an encoder its latent vector.
            fields = {name: field for name, field in fields.items() if "decides" not in field}
            if "reconstruct" in able:
                del fields[LATENT]
            fields["artifact"] = _media(f"The {medium} whose likelihood is wanted.")
    return fields


def check_together(fields: Mapping[str, Any]) -> None:
    """Raises RequestProblem when checked fields of a kind do not go together."""
    if fields.get("fraction") and fields["second_image"] is None:
        raise RequestProblem("'fraction' needs a 'second_image' to go towards")


def _media(description: str, *, optional: bool = False) -> dict[str, Any]:
    field: dict[str, Any] = {"type": "media", "description": description}
    return {**field, "default": None} if optional else field


def _keep(signature: Mapping[str, Any]) -> dict[str, Any]:
    """How much of the prefix to keep, such that something is left to draw."""
    medium, longest = signature["medium"], signature["shape"][0] or signature.get("max_length")
    units = {"image": "Rows", "audio": "Seconds", "video": "Frames", "series": "Values"}
    field: dict[str, Any] = {"type": "integer", "minimum": 1}
    if longest is not None:
        field["maximum"] = max(1, longest - 1)
    if medium == "audio":
        seconds = {name: field[name] / signature["sample_rate_hz"] for name in list(field)[1:]}
        field = {"type": "number", **seconds}
    description = f"{units[medium]} of it to keep; null is all of it."
    return {**field, "default": None, "description": description}
