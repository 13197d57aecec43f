"""Which Python values are which numbers, where people and models give them."""

from __future__ import annotations

import sys

#: Seeds and ordinals are signed 64-bit integers everywhere: in Arrow, in Parquet and in SQL.
INTEGER_LIMIT = 2**63


def whole(value: object) -> int | None:
    """7 and 7.0 as 7, as a null turns a table's integers to floats; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and -INTEGER_LIMIT <= value < INTEGER_LIMIT else None


def finite(value: object) -> float | None:
    """A finite number as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def is_size(value: object) -> bool:
    """Whether this is the size of something: a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
