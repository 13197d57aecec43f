"""From a request's checked fields to what networks compute with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

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
            raise ConditionError(f"the model has no field {name!r}")


def category(fields: Mapping[str, Any], name: str, values: Sequence[int | str]) -> int:
    """The index of a field's value among its categories.

    Raises ConditionError when it is none of them.
    """
    value = fields[name]
    if isinstance(value, bool) or value not in values:
        allowed = ", ".join(str(value) for value in values)
        raise ConditionError(f"{name} cannot be {value!r}: it is one of {allowed}")
    return values.index(value)


def as_batch(index: int) -> Tensor:
    """A category as a batch of one, (1,) int64."""
    return torch.tensor([index], dtype=torch.int64)
