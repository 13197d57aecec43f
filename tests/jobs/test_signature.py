"""Requests against a model's signature."""

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.errors import ModelUnreadable, RequestProblem, RequestsInvalid, SpecError
from ancestral.jobs.signature import (
    check_columns,
    check_fields,
    check_request_id,
    check_seed,
    check_settings,
    check_signature,
    fields_from_text,
)
from ancestral.jobs.spec import JobSpec, load_spec
from tests.jobs.bundles import AUTOENCODER, CLIPS, DIGITS, SERIES, SPEECH, TALK


def spec_of(**given: Any) -> JobSpec:
    return load_spec({"name": "j", "model": "m", "grid": {}, "output": "o", **given})


def test_fields_come_back_complete_and_in_order() -> None:
    checked = check_fields(SPEECH, {"digit": 7, "speaker": "Jean"})
    assert checked == {"speaker": "Jean", "digit": 7, "speed": 1.0, "take": 0}
    assert list(checked) == ["speaker", "digit", "speed", "take"]


@pytest.mark.parametrize(
    ("fields", "normal"),
    [
        ({"digit": 7.0}, {"digit": 7}),
        ({"take": 3.0}, {"take": 3}),
        ({"speed": 1}, {"speed": 1.0}),
        ({"speed": None}, {"speed": 1.0}),
        ({"speed": 0.5}, {"speed": 0.5}),
        ({"speed": 2}, {"speed": 2.0}),
    ],
)
def test_values_take_the_types_of_the_signature(
    fields: dict[str, Any], normal: dict[str, Any]
) -> None:
    checked = check_fields(SPEECH, {"speaker": "Jean", "digit": 1, **fields})
    for name, value in normal.items():
        assert checked[name] == value
        assert type(checked[name]) is type(value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"digit": 12}, "'digit' should be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not 12"),
        ({"digit": "7"}, "'digit' should be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not '7'"),
        ({"digit": True}, "'digit' should be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not True"),
        ({"digit": [7]}, "'digit' should be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not [7]"),
        ({"digit": None}, "'digit' is missing"),
        (
            {"speaker": "Alison"},
            "'speaker' should be one of Allison, Jean, Maria, not 'Alison'; did you mean "
            "'Allison'?",
        ),
        ({"speed": 3}, "'speed' should lie between 0.5 and 2, not at 3"),
        ({"speed": "fast"}, "'speed' should be a finite number, not 'fast'"),
        ({"speed": float("nan")}, "'speed' should be a finite number, not nan"),
        ({"speed": float("inf")}, "'speed' should be a finite number, not inf"),
        ({"speed": True}, "'speed' should be a finite number, not True"),
        ({"speed": 10**400}, "'speed' should be a finite number, not 1000"),
        ({"take": 1.5}, "'take' should be a whole number of 64 bits, not 1.5"),
        ({"take": -1}, "'take' should lie between 0 and any, not at -1"),
        ({"take": 2**63}, "'take' should be a whole number of 64 bits, not 9223372036854775808"),
        (
            {"take": 2.0**53},
            "'take' should be a whole number of 64 bits, not 9007199254740992.0; fl",
        ),
        ({"speeker": "Jean"}, "unknown field 'speeker'; did you mean 'speaker'?"),
        ({"sped": 1, "x": 2}, "unknown fields 'sped', 'x'; known are speaker, digit, speed, take"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestProblem) as caught:
        check_fields(SPEECH, {"speaker": "Jean", "digit": 1, **fields})
    assert str(caught.value).startswith(sentence)


def test_many_allowed_values_are_shortened() -> None:
    signature = {**DIGITS, "fields": {"label": {"type": "category", "values": list(range(1000))}}}
    with pytest.raises(RequestProblem) as caught:
        check_fields(signature, {"label": 1000})
    assert "0, 1, 2" in str(caught.value)
    assert "(1000 in all)" in str(caught.value)
    assert len(str(caught.value)) < 120


def test_texts_take_the_types_of_the_signature() -> None:
    texts = {"speaker": "Jean", "digit": "7", "speed": "1.5", "take": "", "seed": "12"}
    values = fields_from_text(SPEECH, texts)
    assert values == {"speaker": "Jean", "digit": 7, "speed": 1.5, "take": None, "seed": 12}


def test_a_text_that_does_not_convert_stays_to_be_named() -> None:
    values = fields_from_text(SPEECH, {"digit": "seven", "take": "1.5"})
    assert values == {"digit": "seven", "take": "1.5"}


@given(st.sampled_from(range(10)), st.sampled_from(["Allison", "Jean"]), st.floats(0.5, 2))
def test_checked_fields_check_again_to_themselves(digit: int, speaker: str, speed: float) -> None:
    once = check_fields(SPEECH, {"digit": digit, "speaker": speaker, "speed": speed})
    assert check_fields(SPEECH, once) == once
    texts = {name: str(value) for name, value in once.items()}
    assert check_fields(SPEECH, fields_from_text(SPEECH, texts)) == once


def test_columns_that_fit() -> None:
    check_columns(SPEECH, ("request_id", "seed", "digit", "speaker"), "r.csv")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (("digit",), "r.csv: the column 'speaker' is missing"),
        (("digit", "speaker", "sed"), "r.csv: has an unknown column 'sed'; did you mean 'seed'?"),
        (("digit", "speaker", "digit"), "r.csv: has two columns 'digit'"),
        ((), "r.csv: the columns 'speaker', 'digit' are missing"),
        *(
            ((column,), f"r.csv: has a single column {column!r}: CSV parts its cells by commas")
            for column in ("speaker;digit", "speaker\tdigit")
        ),
        (
            ("speaker", "digit", "uri", "uri", "sed", "length"),
            "r.csv: has two columns 'uri' (and 1 more)",
        ),
    ],
)
def test_columns_that_do_not_fit(columns: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(RequestsInvalid) as caught:
        check_columns(SPEECH, columns, "r.csv")
    assert str(caught.value) == sentence


def test_all_columns_that_do_not_fit_are_named() -> None:
    columns = ("label", "uri", "sed", "uri", *(f"condition_{number}" for number in range(30)))
    with pytest.raises(RequestsInvalid) as caught:
        check_columns(SPEECH, columns, "r.csv")
    doubled, unknown, missing = caught.value.problems
    assert caught.value.total == 3
    assert doubled == "r.csv: has two columns 'uri'"
    assert unknown.startswith("r.csv: has unknown columns 'label', 'uri', 'sed', 'condition_0', ")
    assert unknown.endswith(
        "'condition_29'; known are speaker, digit, speed, take, request_id, seed"
    )
    assert missing == "r.csv: the columns 'speaker', 'digit' are missing"


def test_request_ids() -> None:
    assert check_request_id("a/b c") == "a/b c"
    assert check_request_id(7) == "7"
    assert check_request_id(7.0) == "7"
    control = ("a\0b", "a\nb", "\x1b]0;owned\x07", "a\u2028b", "gpj\u202e", " ")
    for wrong in (None, "", "x" * 201, True, 1.5, ["a"], "half \ud800", *control):
        with pytest.raises(RequestProblem, match="'request_id' should be"):
            check_request_id(wrong)


def test_seeds() -> None:
    assert check_seed(2**63 - 1) == 2**63 - 1
    assert check_seed(0.0) == 0
    for wrong in (-1, 2**63, 1.5, "7", True, 2.0**63):
        with pytest.raises(RequestProblem, match="'seed' should be a whole number"):
            check_seed(wrong)


def test_a_float_that_may_have_been_another_number_is_refused() -> None:
    category = {"type": "category", "values": [2**53, 2**53 + 1]}
    signature = {**DIGITS, "fields": {"label": category}}
    assert check_seed(2**53 + 1) == 2**53 + 1
    assert check_fields(signature, {"label": 2**53}) == {"label": 2**53}
    for check in (
        check_seed,
        check_request_id,
        lambda value: check_fields(signature, {"label": value}),
    ):
        with pytest.raises(
            RequestProblem, match=r"rounded from 2\*\*53 on: give it as an integer$"
        ):
            check(float(2**53 + 1))


def test_top_k_and_top_p_serve_small_alphabets_only() -> None:
    large, real = {**SPEECH, "levels": 257}, {**SERIES, "levels": None}
    for sampling in ({"top_k": 5}, {"top_p": 0.9}):
        check_settings(SPEECH, spec_of(sampling=sampling))
        for signature in (large, real):
            with pytest.raises(SpecError, match=r"'sampling\.top_.' serves models of up to 256"):
                check_settings(signature, spec_of(sampling=sampling))
    check_settings(large, spec_of(sampling={"temperature": 0.5}))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"sampling": {"samples": 2}}, "'sampling.samples'"),
        ({"sampling": {"temperature": 0.9}}, "'sampling.temperature'"),
        ({"sampling": {"top_k": 3}}, "'sampling.top_k'"),
        ({"sampling": {"precision": "bfloat16"}}, "'sampling.precision'"),
        ({"gates": {"constant_image": True}}, "'gates'"),
    ],
)
def test_settings_of_drawing_mean_nothing_to_a_score_job(given: dict[str, Any], named: str) -> None:
    check_settings(DIGITS, spec_of(**given))
    check_settings(DIGITS, spec_of(kind="score", sampling={"seed": 3}))
    with pytest.raises(SpecError, match=named):
        check_settings(DIGITS, spec_of(kind="score", **given))


@pytest.mark.parametrize(
    ("signature", "gates", "sentence"),
    [
        (DIGITS, {"silence_dbfs": -60}, "'gates.silence_dbfs' is for sounds, and .* images"),
        (DIGITS, {"clipped_share": 0}, "'gates.clipped_share' is for sounds, and .* images"),
        (CLIPS, {"shortest_seconds": 1}, "'gates.shortest_seconds' is for sounds, and .* clips"),
        (SERIES, {"longest_seconds": 1}, "'gates.longest_seconds' is for sounds, and .* series"),
        (SPEECH, {"constant_image": True}, "'gates.constant_image' is for images, and .* sounds"),
        (SERIES, {"constant_image": True}, "'gates.constant_image' is for images, and .* series"),
    ],
)
def test_a_gate_looks_at_its_own_medium(
    signature: dict[str, Any], gates: dict[str, Any], sentence: str
) -> None:
    check_settings(signature, spec_of(gates={"silence_dbfs": None, "constant_image": False}))
    with pytest.raises(SpecError, match=sentence):
        check_settings(signature, spec_of(gates=gates))
    other = DIGITS if "constant_image" in gates else SPEECH
    check_settings(other, spec_of(gates=gates))


PAGE = Path(__file__).parents[2] / "docs" / "signature.md"
DOCUMENTED = [
    json.loads(block) for block in re.findall("```json\n(.+?)```", PAGE.read_text(), re.S)
]


@pytest.mark.parametrize(
    "signature", [DIGITS, SPEECH, TALK, CLIPS, SERIES, AUTOENCODER, *DOCUMENTED]
)
def test_sound_signatures(signature: dict[str, Any]) -> None:
    check_signature(signature, "a model")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"medium": "smell"}, "makes 'smell', and known media are image, audio, video, series"),
        ({"medium": []}, "makes [], and known media are image"),
        ({"levels": "many"}, "should have 'levels'"),
        ({"levels": None}, "should have 'levels', a whole number, or null for a series"),
        ({"fields": None}, "should have 'fields'"),
        ({"shape": None}, "should have the 'shape' of its image"),
        ({"shape": [20]}, "should have the 'shape' of its image"),
        ({"shape": [20, 0]}, "has sizes in its 'shape' that are not positive"),
        ({"shape": [20, None]}, "has sizes in its 'shape' that are not positive"),
        ({"medium": "audio", "shape": [None]}, "should have 'sample_rate_hz'"),
        ({"medium": "video", "shape": [4, 4, 4]}, "should have 'frames_per_second'"),
        (
            {"medium": "video", "shape": [4, 4, 4], "frames_per_second": math.inf},
            "should have 'frames_per_second'",
        ),
        ({"likelihood_kind": "roughly"}, "a 'likelihood_kind' of exact, joint, bound, density"),
        ({"kinds": []}, "should have 'kinds' among generate, complete, reconstruct, score"),
        ({"kinds": ["generate", "dream"]}, "should have 'kinds' among generate"),
        ({"kinds": ["reconstruct"]}, "says that it can reconstruct, but has no vector 'latent'"),
        ({"hidden": -1}, "should have 'hidden', a whole number of symbols"),
        ({"hidden": 4}, "says that it can complete, but what is hidden is drawn before"),
        ({"fields": {"seed": {"type": "integer"}}}, "calls a field 'seed'"),
        ({"fields": {"prefix": {"type": "integer"}}}, "calls a field 'prefix', a name that kinds"),
        ({"fields": {"fraction": {"type": "number"}}}, "calls a field 'fraction'"),
        ({"fields": {"picture": {"type": "media"}}}, "gives 'picture' no type of category"),
        ({"fields": {"z": {"type": "vector"}}}, "gives the vector 'z' no 'length'"),
        ({"fields": {"z": {"type": "map", "shape": [2, 3]}}}, "gives the map 'z' no 'shape'"),
        (
            {"fields": {"size": {"type": "number", "decides": "colour"}}},
            "lets 'size' decide 'colour', and a field can decide the 'length'",
        ),
        ({"fields": {"label": {"type": "colour"}}}, "gives 'label' no type of"),
        ({"fields": {"\x1b[2J": {"type": "integer"}}}, "calls a field '\\x1b[2J', which cannot"),
        ({"fields": {" ": {"type": "integer"}}}, "calls a field ' ', which cannot be read"),
        (
            {"fields": {"take": {"type": "integer", "description": 1}}},
            "gives 'take' a 'description' that is no text",
        ),
        (
            {"fields": {"take": {"type": "integer", "minimum": "a", "default": 1}}},
            "gives 'take' a 'minimum' that is no finite number",
        ),
        (
            {"fields": {"size": {"type": "number", "maximum": math.inf}}},
            "gives 'size' a 'maximum' that is no finite number",
        ),
        ({"fields": {"label": {"type": "category"}}}, "gives the category 'label' no values"),
        (
            {"fields": {"label": {"type": "category", "values": [0.5]}}},
            "other than texts and whole",
        ),
        (
            {"fields": {"size": {"type": "number", "maximum": 1, "default": 2}}},
            "has a wrong default: 'size' should lie between any and 1",
        ),
    ],
)
def test_a_signature_that_is_not_understood(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelUnreadable) as caught:
        check_signature({**copy.deepcopy(DIGITS), **change}, "models/digits")
    assert str(caught.value).startswith("models/digits: the model's signature ")
    assert sentence in str(caught.value)
