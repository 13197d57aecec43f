"""Which values are which numbers: a bool is none, and a text is none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ancestral.jobs.numbers import (
    INTEGER_LIMIT,
    duration_seconds,
    finite,
    is_size,
    perhaps_rounded,
    whole,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        (7.0, 7),
        (-INTEGER_LIMIT, -INTEGER_LIMIT),
        (INTEGER_LIMIT, None),
        (float(INTEGER_LIMIT), None),
        (2.0**53 - 1, 2**53 - 1),
        (2.0**53, None),
        (-(2.0**53), None),
        (2**53 + 1, 2**53 + 1),
        (7.5, None),
        (float("inf"), None),
        (Decimal("7.00"), 7),
        (Decimal(2**53 + 1), 2**53 + 1),
        (Decimal("9007199254740993.0000000000000000000000"), 2**53 + 1),
        (Decimal("7.0000000000000000000000000000000000001"), None),
        (Decimal(INTEGER_LIMIT), None),
        (Decimal("1e999999"), None),
        (Decimal("sNaN"), None),
        (Decimal("-Infinity"), None),
        (True, None),
        ("7", None),
        (None, None),
    ],
)
def test_whole_numbers(value: object, number: int | None) -> None:
    found = whole(value)
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize("value", [2**53 + 1, 2.0**53 - 1, 7.5, 2.0**63, float("nan"), "7", None])
def test_what_was_not_rounded(value: object) -> None:
    assert perhaps_rounded(value) == ""


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7.0),
        (-0.5, -0.5),
        (float("nan"), None),
        (float("-inf"), None),
        (10**400, None),
        (Decimal("0.5"), 0.5),
        (Decimal("1e400"), None),
        (Decimal("sNaN"), None),
        (True, None),
        ("7", None),
    ],
)
def test_finite_numbers(value: object, number: float | None) -> None:
    assert finite(value) == number


@pytest.mark.parametrize(
    ("value", "is_one"), [(1, True), (0, False), (-1, False), (1.0, False), (True, False)]
)
def test_sizes(value: object, is_one: bool) -> None:
    assert is_size(value) is is_one


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1.5m", 90),
        ("2h", 7200),
        (" 1 d ", 86_400),
        ("90", 90),
        *((text, None) for text in ("", "0s", "-3s", "soon", "3 days", "1m30s", "1w", "h", ".5h")),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration_seconds(text) == seconds
