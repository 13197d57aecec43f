"""Which Python values are which numbers, where people and models give them."""

from __future__ import annotations

import sys

#: Seeds and ordinals are signed 64-bit integers everywhere: in Arrow, in Parquet and in SQL.
INTEGER_LIMIT = 2**63

#: From here on a float may have been another whole number, to which it was rounded.
EXACT_LIMIT = 2.0**53


def whole(value: object) -> int | None:
    """7 and 7.0 as 7, as a null turns a table's integers to floats; None for anything else, and for
    floats that may have been rounded."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_LIMIT:
        value = int(value)
    return value if isinstance(value, int) and -INTEGER_LIMIT <= value < INTEGER_LIMIT else None


def perhaps_rounded(value: object) -> str:
    """What to append to a sentence about a wrong whole number, if it is one of those floats."""
    if isinstance(value, float) and EXACT_LIMIT <= abs(value) < INTEGER_LIMIT:
        return "; floats are rounded from 2**53 on: give it as an integer"
    return ""


def finite(value: object) -> float | None:
    """A finite number as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def is_size(value: object) -> bool:
    """Whether this is the size of something: a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
