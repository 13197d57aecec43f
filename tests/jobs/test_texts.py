"""Texts of requests, and how a model reads them."""

from __future__ import annotations

import string
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ancestral.jobs.client import Client
from ancestral.jobs.errors import RequestProblem, RequestsInvalid
from ancestral.jobs.fields import checked, field_problem, from_text, told
from ancestral.jobs.index import schema
from ancestral.jobs.request_shards import read_rows
from ancestral.jobs.texts import in_one_case, spelled
from ancestral.jobs.units import Unit
from tests.jobs.bundles import TALK, write_bundle

LETTERS = string.ascii_lowercase
ANY = {"type": "text", "longest": 12}
ENGLISH = {"type": "text", "longest": 40, "characters": LETTERS + " '"}
FRENCH = {"type": "text", "longest": 40, "characters": LETTERS + "é"}
#: And yet no vowel signs.
HINDI = {"type": "text", "longest": 40, "characters": "कख"}
THAI = {"type": "text", "longest": 40, "characters": "ป"}
KANA = {"type": "text", "longest": 40, "characters": "か"}


@pytest.mark.parametrize(
    ("field", "written", "read"),
    [
        (ENGLISH, "seven", "seven"),
        (ENGLISH, "Seven!", "seven "),
        (ENGLISH, "don't", "don't"),
        (FRENCH, "l'été,\tNoël…", "l été  noel "),
        (FRENCH, "e\u0301te\u0301", "été"),
        (ENGLISH, "été", "ete"),
        (ENGLISH, "Straße", "strasse"),
        (ENGLISH, "q\u030c İ ﬁn", "q i fin"),
        (ENGLISH, "a€ b\u00a0c", "a  b c"),
        (ENGLISH, "a\u00adb\u200bc\u200dd\u2060\ufeff", "abcd"),
        (ENGLISH, "a❤\ufe0fb", "a b"),
        (HINDI, "क\u200d\u0301ख", "कख"),
    ],
)
def test_a_text_is_kept_as_written_and_read_in_known_characters(
    field: dict[str, Any], written: str, read: str
) -> None:
    assert checked("text", field, written) == written
    assert spelled("text", written, field["characters"]) == read


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (ANY, "", "'text' should be a text of 1 to 12 characters that is not blank, not ''"),
        (ANY, " \n", "'text' should be a text of 1 to 12 characters that is not blank, not ' "),
        (ANY, "thirteen char", "'text' should be a text of 1 to 12 characters"),
        (ANY, 7, "'text' should be a text of 1 to 12 characters that is not blank, not 7"),
        (ANY, True, "'text' should be a text"),
        (ANY, ["seven"], "'text' should be a text"),
        (ANY, "half \ud800", "'text' should be a text of 1 to 12 characters"),
        (
            ENGLISH,
            "room 7",
            "'text' has '7' in it, which the model cannot read: write it in words of a, b, c, d, "
            "e, f, g, h, i, j, k, l, ... (27 in all)",
        ),
        (ENGLISH, "²", "'text' has '²' in it, which the model cannot read: write it in words"),
        (ENGLISH, "семь", "'text' has 'с' in it, which the model cannot read: spell it with a, b"),
        (ENGLISH, "й", "'text' has 'й' in it"),
        (HINDI, "कि", "'text' has 'ि' in it, which the model cannot read: spell it with क, ख"),
        (HINDI, "क़", "'text' has '\N{DEVANAGARI SIGN NUKTA}' in it, which the model cannot read"),
        (HINDI, "क्ख", "'text' has '\N{DEVANAGARI SIGN VIRAMA}' in it, which the model cannot"),
        (THAI, "ปุ", "'text' has 'ุ' in it, which the model cannot read: spell it with ป"),
        (KANA, "が", "'text' has 'が' in it, which the model cannot read: spell it with か"),
        (ENGLISH, "\u200b", "'text' should have some of a, b, c"),
        (ENGLISH, "?!", "'text' should have some of a, b, c, d, e, f, g, h, i, j, k, l, ... "),
        (ENGLISH, "\u0301", "'text' should have some of a, b, c"),
        (ANY, None, "'text' is missing"),
    ],
)
def test_other_values_are_refused(field: dict[str, Any], value: object, sentence: str) -> None:
    with pytest.raises(RequestProblem) as caught:
        checked("text", field, value)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_text_can_have_a_default() -> None:
    assert checked("text", {**ENGLISH, "default": "Seven"}, None) == "Seven"
    assert checked("text", {**ENGLISH, "default": None}, None) is None


def test_a_cell_and_the_index_have_the_text_itself() -> None:
    column = schema({"fields": {"text": ENGLISH}}).field("condition_text")
    assert column.type == pa.string()
    for text in ("[1, 2]", "7", "null", ' "Seven!"'):
        assert from_text(ANY, text) == text
        assert checked("text", ANY, text) == text
        assert told({"text": ANY}, {"text": text}) == {"text": text}


def test_a_table_of_texts_is_accepted_or_the_place_is_named(
    client: Client, spec: dict[str, Any], tmp_path: Path
) -> None:
    del spec["grid"]
    write_bundle(tmp_path / "talk", TALK)
    spec |= {"model": str(tmp_path / "talk"), "input": str(tmp_path / "r.csv")}
    (tmp_path / "r.csv").write_text('speaker,text\ntheo,"Seven, eight!"\n')
    job = client.submit(spec)
    rows = read_rows(client.store(job.job_id), job, Unit(0, job.rows))
    assert {row.fields["text"] for row in rows} == {"Seven, eight!"}
    (tmp_path / "r.csv").write_text("speaker,text\ntheo,seven\ntheo,7\ntheo,\n")
    with pytest.raises(RequestsInvalid) as caught:
        client.submit(spec)
    assert "line 3: 'text' has '7' in it, which the model cannot read" in caught.value.problems[0]
    assert "line 4: 'text' is missing" in caught.value.problems[1]


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({}, "gives the text 'text' no 'longest', a number of characters"),
        ({"longest": 0}, "gives the text 'text' no 'longest'"),
        ({"longest": True}, "gives the text 'text' no 'longest'"),
        ({"longest": 9, "characters": ["a"]}, "'characters' that are no text"),
        ({"longest": 9, "characters": " "}, "'characters' that are no text"),
        ({"longest": 9, "characters": "abßC"}, "that no text has in lower case: ß, C"),
        ({"longest": 9, "characters": "ab", "default": "c"}, "has a wrong default: 'text' has 'c'"),
        ({"longest": 3, "default": "four"}, "has a wrong default: 'text' should be a text of 1"),
        ({"longest": 9, "decides": "colour"}, "lets 'text' decide 'colour'"),
    ],
)
def test_a_declaration_that_is_not_understood(field: dict[str, Any], problem: str) -> None:
    assert problem in field_problem("text", {"type": "text", **field})


def test_sound_declarations() -> None:
    for field in (ANY, ENGLISH, FRENCH, {**ENGLISH, "decides": "length", "default": "Seven"}):
        assert field_problem("text", field) == ""


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXTS, st.text(st.sampled_from("aeoßéбй한' "), max_size=6))
@example("é", "e")
def test_what_is_read_is_in_known_characters_or_the_problem_names_one(
    text: str, characters: str
) -> None:
    try:
        read = spelled("text", text, characters)
    except RequestProblem:
        unread = [each for each in in_one_case(text) if each not in characters]
        assert any(unicodedata.category(each)[0] not in "PSZ" for each in unread)
    else:
        assert set(read) <= {*characters, " "}
        assert spelled("text", read, characters + " ") == read


@given(TEXTS)
def test_a_model_that_knows_all_characters_reads_the_text_in_one_case(text: str) -> None:
    assert spelled("text", text, in_one_case(text)) == in_one_case(text)


@given(st.text(st.sampled_from(LETTERS + "éüñ!,.;-? "), min_size=1, max_size=40))
def test_case_and_accents_and_punctuation_are_no_hindrance(text: str) -> None:
    read = spelled("text", text, LETTERS)
    assert len(read) == len(text)
    assert spelled("text", text.upper(), LETTERS) == read
    assert spelled("text", unicodedata.normalize("NFD", text), LETTERS) == read
