"""From a request's checked fields to what networks compute with."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, cast

import torch
from torch import Tensor

from ancestral.models.errors import ConditionError


def check_names(fields: Mapping[str, Any], names: Collection[str]) -> None:
    """Raises ConditionError unless `fields` are exactly `names`."""
    for name in names:
        if name not in fields:
            raise ConditionError(f"the model needs the field {name!r}")
    for name in fields:
        if name not in names:
            has = ", ".join(names) or "none"
            raise ConditionError(f"the model has no field {name!r}: it has {has}")


def category(fields: Mapping[str, Any], name: str, values: Sequence[int | str]) -> int:
    """The index of a field's value among its categories.

    Raises ConditionError when it is none of them.
    """
    value = fields[name]
    if not (is_whole(value) or isinstance(value, str)) or value not in values:
        allowed = ", ".join(str(value) for value in values)
        raise ConditionError(f"{name} cannot be {value!r}: it is one of {allowed}")
    return values.index(value)


def number(fields: Mapping[str, Any], name: str, least: float, most: float) -> Tensor:
    """A field's number as a batch of one, (1,) float32.

    Raises ConditionError when it is none, or out of range.
    """
    value = fields[name]
    if not _is_finite_number(value) or not least <= value <= most:
        raise ConditionError(f"{name} must be a number from {least:g} to {most:g}, not {value!r}")
    return torch.tensor([value], dtype=torch.float32)


def vector(fields: Mapping[str, Any], name: str, length: int) -> Tensor:
    """A field's numbers as a batch of one, (1, length) float32.

    Raises ConditionError when it is not a list of that many finite numbers.
    """
    value = fields[name]
    fits = isinstance(value, list | tuple) and len(value) == length
    if not fits or not all(_is_finite_number(number) for number in value):
        raise ConditionError(f"{name} must be a list of {length} finite numbers")
    return torch.tensor([value], dtype=torch.float32)


def number_map(fields: Mapping[str, Any], name: str, shape: Sequence[int]) -> Tensor:
    """A field's numbers as a batch of one, (1, *shape) float32: nested lists, or one flat list.

    Raises ConditionError when they are not that many finite numbers.
    """
    value = fields[name]
    if isinstance(value, list | tuple) and any(isinstance(part, list | tuple) for part in value):
        value = _in_a_row(value, shape)
        if value is None:
            sizes = " x ".join(map(str, shape))
            raise ConditionError(f"{name} must be {sizes} finite numbers, nested or in a row")
    return vector({name: value}, name, math.prod(shape)).view(1, *shape)


def as_batch(index: int) -> Tensor:
    """A category as a batch of one, (1,) int64."""
    return torch.tensor([index], dtype=torch.int64)


def is_whole(value: object) -> bool:
    """Whether this is a whole number, be it one of numpy's: True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(fields: Mapping[str, Any], name: str) -> int:
    """A field's whole number. Raises ConditionError when it is none."""
    value = fields[name]
    if not is_whole(value):
        raise ConditionError(f"{name} must be a whole number, not {value!r}")
    return int(cast(int, value))


def _in_a_row(value: object, shape: Sequence[int]) -> list[object] | None:
    """What lists nested as `shape` says hold; None for other lists."""
    if not shape:
        return [value]
    if not isinstance(value, list | tuple) or len(value) != shape[0]:
        return None
    row: list[object] = []
    for part in value:
        held = _in_a_row(part, shape[1:])
        if held is None:
            return None
        row += held
    return row


def _is_finite_number(value: object) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and math.isfinite(cast(float, value))
