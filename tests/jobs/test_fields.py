"""The types of fields: what they take, and what the index tells of it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ancestral.jobs.errors import RequestProblem
from ancestral.jobs.fields import checked, from_text, told
from ancestral.jobs.media_values import MediaReference, MediaValue

VECTOR = {"type": "vector", "length": 3}
MAP = {"type": "map", "shape": [2, 1, 3]}
NESTED = [[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]
MEDIA = {"type": "media"}


def test_a_vector_is_so_many_floats() -> None:
    (first, *others) = checked("z", VECTOR, [1, 2.5, -3])
    assert (first, type(first), others) == (1.0, float, [2.5, -3.0])


@pytest.mark.parametrize("value", [NESTED, [[[1, 2, 3]], [[4, 5, 6]]], [1, 2, 3, 4, 5, 6]])
def test_a_map_comes_back_nested(value: object) -> None:
    assert checked("place", MAP, value) == NESTED


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (VECTOR, [1, 2], "'z' should be a list of 3 finite numbers, not [1, 2]"),
        (VECTOR, [1, 2, float("nan")], "'z' should be a list of 3 finite numbers"),
        (VECTOR, [1, 2, True], "'z' should be a list of 3 finite numbers"),
        (VECTOR, "[1, 2, 3]", "'z' should be a list of 3 finite numbers"),
        (MAP, [1, 2, 3, 4, 5], "'z' should be 2 x 1 x 3 finite numbers, nested or in a row"),
        (MAP, [[[1, 2, 3]], [[4, 5]]], "'z' should be 2 x 1 x 3 finite numbers"),
        (MAP, [[1, 2, 3], [4, 5, 6]], "'z' should be 2 x 1 x 3 finite numbers"),
        (MEDIA, 7, "'z' should be the path or URI of a file, bytes, or"),
    ],
)
def test_other_values_are_refused(field: dict[str, Any], value: object, sentence: str) -> None:
    with pytest.raises(RequestProblem) as caught:
        checked("z", field, value)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "field",
    [{"type": "category", "values": [1]}, {"type": "number"}, {"type": "integer"}, VECTOR, MAP],
)
def test_a_default_of_null_makes_a_field_optional(field: dict[str, Any]) -> None:
    assert checked("z", {**field, "default": None}, None) is None
    with pytest.raises(RequestProblem, match="'z' is missing"):
        checked("z", field, None)


def test_a_digit_in_quotes_is_told_from_the_number() -> None:
    field = {"type": "category", "values": [1, 7, "seven"]}
    for value, end in [
        ("7", "not '7'; did you mean the number 7, without quotes?"),
        ("sevn", "not 'sevn'; did you mean 'seven'?"),
        ("8", "not '8'"),
    ]:
        with pytest.raises(RequestProblem) as caught:
            checked("label", field, value)
        assert str(caught.value) == f"'label' should be one of 1, 7, seven, {end}"


def test_a_null_turns_the_whole_numbers_of_a_table_to_floats() -> None:
    category: dict[str, Any] = {"type": "category", "values": [7, "9"]}
    assert from_text({"type": "integer"}, "-3.0") == -3
    assert from_text(category, "7.0") == 7
    for field, text in [
        ({"type": "integer"}, "3.5"),
        ({"type": "integer"}, ".0"),
        (category, "7.5"),
        (category, "9.0"),
    ]:
        assert from_text(field, text) == text


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ({"type": "integer"}, "a whole number of 64 bits"),
        ({"type": "category", "values": [2**53, 7]}, "one of 9007199254740992, 7"),
        ({"type": "category", "values": [2**53 + 1, 7]}, "one of 9007199254740993, 7"),
    ],
)
def test_whole_numbers_that_a_table_may_have_rounded_are_refused(
    field: dict[str, Any], values: str
) -> None:
    # Given what pandas writes for 2**53 + 1 in a column with a null
    value = from_text(field, "9007199254740992.0")

    # Then
    with pytest.raises(RequestProblem) as caught:
        checked("n", field, value)
    assert str(caught.value) == (
        f"'n' should be {values}, not 9007199254740992.0; "
        "floats are rounded from 2**53 on: give it as an integer"
    )


def test_large_whole_numbers_of_a_table_are_themselves() -> None:
    integer: dict[str, Any] = {"type": "integer"}
    category: dict[str, Any] = {"type": "category", "values": [2**53 + 1, "9007199254740992.0"]}
    assert checked("n", integer, from_text(integer, "9007199254740991.0")) == 2**53 - 1
    assert checked("n", integer, from_text(integer, "9007199254740993")) == 2**53 + 1
    for text, value in [("9007199254740993", 2**53 + 1), ("9007199254740992.0",) * 2]:
        assert checked("n", category, from_text(category, text)) == value


@pytest.mark.parametrize(
    "text", ["1_000", "1e3", "0x10", "1_000.0", "\u0663", "\uff11\uff10", "+7", " 7 ", "7.00"]
)
def test_what_only_python_calls_a_whole_number_is_a_text(text: str) -> None:
    assert from_text({"type": "integer"}, text) == text
    assert from_text({"type": "number"}, "1_0.5") == "1_0.5"


def test_texts_of_a_table_become_values() -> None:
    assert checked("z", VECTOR, from_text(VECTOR, "[1, 2, 3]")) == [1.0, 2.0, 3.0]
    assert checked("z", MAP, from_text(MAP, "[1, 2, 3, 4, 5, 6]")) == NESTED
    assert checked("z", MEDIA, from_text(MEDIA, "7.png")) == MediaReference("7.png")
    for text in ("1 2 3", "[" * 100_000):
        assert from_text(VECTOR, text) == text


def test_the_index_tells_of_media_where_they_were_and_their_digest() -> None:
    digest = hashlib.sha256(b"sound").hexdigest()
    fields = {"prefix": MEDIA, "z": VECTOR}
    conditioning = {"prefix": MediaValue(b"sound", "/a.wav"), "z": [1.0, 2.0, 3.0]}
    assert told(fields, conditioning) == {
        "prefix": {"uri": "/a.wav", "sha256": digest},
        "z": [1.0, 2.0, 3.0],
    }
    assert told(fields, {"prefix": MediaValue(b"sound"), "z": None}) == {
        "prefix": {"uri": None, "sha256": digest},
        "z": None,
    }


@given(arrays.arrays(np.float64, (2, 1, 3), elements=st.floats(-1e9, 1e9)))
def test_the_digest_of_a_map_is_that_of_its_doubles(numbers: np.ndarray) -> None:
    value = checked("place", MAP, numbers.tolist())
    digest = hashlib.sha256(numbers.astype("<f8").tobytes()).hexdigest()
    assert told({"place": MAP}, {"place": value}) == {"place": {"sha256": digest}}
