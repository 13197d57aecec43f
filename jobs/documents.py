"""Documents that people write: YAML files read strictly, and checked with clear sentences.

JSON is YAML too, so a JSON file is read just as well. The same two functions serve job specs and
training recipes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping
from datetime import date
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from ancestral.jobs.errors import SpecError
from ancestral.jobs.wording import did_you_mean, shown

Model = TypeVar("Model", bound=BaseModel)

#: Wrong keys of a document that one error names.
NAMED_PROBLEMS = 5


class Document(BaseModel):
    """A document, or a part of one: no key is unknown, and no number infinite."""

    # Inputs are hidden because a traceback prints them, and a wrong URI may hold a password.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The keys and values of the YAML file at `path` (a local file).

    Raises SpecError when the file cannot be read, is not YAML, names a key twice, or does not hold
    keys and values.
    """
    origin = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            data = yaml.load(file, Loader=_StrictLoader)
    except FileNotFoundError as error:
        raise SpecError(f"{origin}: there is no such file") from error
    except OSError as error:
        raise SpecError(f"{origin}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{origin}: is not a text file in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        problem = error.problem or error.context
        raise SpecError(f"{origin}{line}: is not valid YAML ({problem})") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{origin}: is not valid YAML ({error})") from error
    except RecursionError as error:
        raise SpecError(f"{origin}: is nested too deeply") from error
    if not isinstance(data, dict):
        raise SpecError(f"{origin}: should hold keys and values, not {shown(data)}")
    return data


def validate(model_class: type[Model], data: Mapping[str, Any], origin: str) -> Model:
    """`data` as a `model_class`; `origin` (a file's name) opens the error's sentences.

    Raises SpecError that names the wrong keys, and for an unknown key the one that was probably
    meant: a line for each, up to NAMED_PROBLEMS.
    """
    try:
        return model_class.model_validate(dict(data))
    except ValidationError as error:
        # A misspelt key is also a missing one: what is unknown explains more than what is missing.
        details = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        named = details[:NAMED_PROBLEMS]
        lines = [f"{origin}: {_sentence(model_class, each)}" for each in named]
        if len(details) > len(named):
            lines.append(f"(and {len(details) - len(named)} more)")
        raise SpecError("\n".join(lines)) from error


def _sentence(model_class: type[BaseModel], details: ErrorDetails) -> str:
    key = ".".join(str(part) for part in details["loc"])
    match details["type"]:
        case "extra_forbidden":
            known = _keys_beside(model_class, details["loc"])
            return f"unknown key {key!r}{did_you_mean(details['loc'][-1], known)}"
        case "missing":
            return f"the key {key!r} is missing"
        case "value_error" if not key:
            return str(details["ctx"]["error"])
        case "value_error":
            return f"{key!r} {details['ctx']['error']}"
        case "model_type" | "dict_type":
            return f"{key!r} should hold keys and values, not {shown(details['input'])}"
        case kind:
            message = details["msg"].removeprefix("Input ")
            unquoted = kind == "string_type" and isinstance(details["input"], int | float | date)
            hint = ": put it in quotes" if unquoted else ""
            return f"{key!r} {message}, not {shown(details['input'])}{hint}"


def _keys_beside(model_class: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the innermost model around an unknown key would have taken."""
    model = model_class
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        model = next(
            (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)),
            model,
        )
    return list(model.model_fields)


#: Numbers that YAML 1.1 and 1.2 read alike, by their tags.
_PLAIN_NUMBERS = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    "tag:yaml.org,2002:float": re.compile(r"[^_:]+"),
}


class _StrictLoader(yaml.SafeLoader):
    """Refuses what YAML lets pass in silence: a key that is given twice, of which one would win.

    What is no value of its type, such as a date of a 31st month, is refused with its line. So is a
    number that YAML 1.1 reads as nobody else does: there 010 is 8, and 1:30 is 90. And 1e-3 is a
    number, as YAML 1.2 has it; to YAML 1.1 only 1.0e-3 was one.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        plain = _PLAIN_NUMBERS.get(node.tag)
        if plain and isinstance(node, yaml.ScalarNode) and not plain.fullmatch(node.value):
            raise yaml.constructor.ConstructorError(
                problem=f"{shown(node.value)} is no plain number: write it like 10 or 0.5; if it "
                "is a text, put it in quotes",
                problem_mark=node.start_mark,
            )
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(
                problem=f"{shown(node.value)} is no value: {error}; if it is a text, put it in "
                "quotes",
                problem_mark=node.start_mark,
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key_node.value!r} is given twice",
                        problem_mark=key_node.start_mark,
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
