"""From texts to characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.errors import RequestProblem
from ancestral.jobs.fields import checked
from ancestral.models.errors import ConditionError
from ancestral.models.speech.spelling import alphabet, spell

CHARACTERS = " abcdeéж"


def letters(text: str, characters: str = CHARACTERS) -> str:
    return "".join(characters[index] for index in spell(text, characters))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("abc", " abc "),
        ("ABC", " abc "),
        ("  a \t b\n", " a b "),
        ("a, b... c!", " a b c "),
        ("dé", " dé "),
        ("de\N{COMBINING ACUTE ACCENT}", " dé "),
        ("dàç", " dac "),
        ("Ж", " ж "),
    ],
)
def test_a_text_is_spelled_between_silences(text: str, spelled: str) -> None:
    assert letters(text) == spelled


@pytest.mark.parametrize("text", ["", "  ", "...", "\N{COMBINING ACUTE ACCENT}"])
def test_a_text_without_letters_cannot_be_said(text: str) -> None:
    with pytest.raises(ConditionError, match="needs a letter"):
        spell(text, CHARACTERS)


@pytest.mark.parametrize("text", ["xa", "a7", "aя"])
def test_an_unknown_letter_is_named(text: str) -> None:
    with pytest.raises(ConditionError, match=r"knows no '[x7я]': write the text with abcdeéж"):
        spell(text, CHARACTERS)


def test_of_a_text_an_alphabet_knows_the_letters_alone() -> None:
    # Given the text with which the module begins, and voices that do and do not know its accent
    for known in ("plaît", "plait"):
        characters = alphabet(["Sept, s'il vous", known])
        assert letters("Sept, s'il vous plaît!", characters) == f" sept s il vous {known} "


def test_an_alphabet_holds_what_is_spoken_and_silence() -> None:
    assert alphabet(["Press 1, please!", "«Été»"]) == " 1aelprsté"


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_what_an_alphabet_is_from_can_be_spelled_with_it(texts: list[str]) -> None:
    known = alphabet(texts)
    for text in texts:
        if letters_of(text):
            assert letters(text, known)[0] == letters(text, known)[-1] == " "


def letters_of(text: str) -> str:
    return alphabet([text]).strip()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_a_request_that_is_accepted_can_be_spelled_and_no_other(text: str) -> None:
    # Given the field as signatures declare it, which is checked when a job is submitted
    field = {"type": "text", "longest": 2000, "characters": CHARACTERS}
    try:
        checked("text", field, text)
        accepted = True
    except RequestProblem:
        accepted = False

    # When the model reads it, then they agree
    try:
        spell(text, CHARACTERS)
        spelled = True
    except ConditionError:
        spelled = False
    assert accepted == spelled
