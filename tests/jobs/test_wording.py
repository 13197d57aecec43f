"""What errors repeat of a value is short, and what was probably meant is named."""

from __future__ import annotations

from decimal import Decimal

from ancestral.jobs.wording import (
    SHOWN_CHARACTERS,
    did_you_mean,
    headline,
    in_utf8,
    nearest,
    shortened,
    shown,
)


def test_hints() -> None:
    assert did_you_mean("labl", ["label", "seed"]) == "; did you mean 'label'?"
    assert did_you_mean("x", ["label", "seed"]) == "; known are label, seed"
    assert did_you_mean("x", []) == "; there are none"
    assert nearest("x", ["label"]) == ""


def test_long_lists_are_shortened() -> None:
    assert shortened(range(3), most=3) == "0, 1, 2"
    assert shortened(range(100), most=3) == "0, 1, 2, ... (100 in all)"


def test_a_wrong_value_is_shown_as_far_as_a_sentence_can_hold_it() -> None:
    assert shown(None) == "nothing"
    assert shown("a\n") == "'a\\n'"
    assert shown("a" * 10**6) == f"'{'a' * (SHOWN_CHARACTERS - 1)}..."
    assert shown([Decimal("0.50")]) == "[0.50]"
    assert shown(10**10_000) == "a number too long to be written"


def test_half_a_character_is_a_question_mark() -> None:
    assert in_utf8("größe \ud800") == "größe ?"


def test_the_headline_of_an_error() -> None:
    assert headline("too dark") == "too dark"
    assert headline("too dark\nby far") == "too dark"
    assert headline('Traceback:\n  File "a.py"\n    f()\nValueError: no\nmore') == "ValueError: no"
    assert headline("cut off\n    f()") == "    f()"
    assert headline("") == ""
