"""Which Python values are which numbers, where people and models give them."""

from __future__ import annotations

import math
import re
import sys
from decimal import Decimal

#: Seeds and ordinals are signed 64-bit integers everywhere: in Arrow, in Parquet and in SQL.
INTEGER_LIMIT = 2**63

#: From here on a float may have been another whole number, to which it was rounded.
EXACT_LIMIT = 2.0**53

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def whole(value: object) -> int | None:
    """7 and 7.0 as 7, as a null turns a table's integers to floats; None for anything else, and for
    floats that may have been rounded. A Decimal never was."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_LIMIT:
        value = int(value)
    if isinstance(value, Decimal) and value.is_finite():
        # Before it is an int, since there are Decimals of a billion digits.
        small = -INTEGER_LIMIT <= value < INTEGER_LIMIT
        value = int(value) if small and value == int(value) else None
    return value if isinstance(value, int) and -INTEGER_LIMIT <= value < INTEGER_LIMIT else None


def perhaps_rounded(value: object) -> str:
    """What to append to a sentence about a wrong whole number, if it is one of those floats."""
    if isinstance(value, float) and EXACT_LIMIT <= abs(value) < INTEGER_LIMIT:
        return "; floats are rounded from 2**53 on: give it as an integer"
    return ""


def finite(value: object) -> float | None:
    """A finite number as a float; None for anything else."""
    if isinstance(value, Decimal):
        value = float(value) if value.is_finite() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def plain_number(value: Decimal) -> int | float | None:
    """The whole number that a Decimal is, else the float next to it; None where it is neither."""
    number = whole(value)
    return finite(value) if number is None else number


def duration_seconds(text: str) -> float | None:
    """Seconds in a text like "90s", "1.5m", "2h", "1d" or "90"; None where there are none."""
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2] or "s"] if found else 0.0
    return seconds if 0 < seconds < math.inf else None


def is_size(value: object) -> bool:
    """Whether this is the size of something: a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
