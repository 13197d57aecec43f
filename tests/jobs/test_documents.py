"""Documents: YAML read strictly, and errors of one sentence that name file and key."""

from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from ancestral.jobs.documents import read_document, validate
from ancestral.jobs.errors import SpecError


class Oven(BaseModel):
    model_config = ConfigDict(extra="forbid")

    degrees: int
    fan: bool = False


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    oven: Oven | None = None
    steps: list[Oven] = []


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_document_is_its_keys_and_values(tmp_path: Path) -> None:
    path = written(tmp_path, "title: bread\noven: {degrees: 230}\n")
    assert read_document(path) == {"title": "bread", "oven": {"degrees": 230}}


def test_numbers_are_told_from_texts_by_yaml_1_2(tmp_path: Path) -> None:
    numbers, texts = "[1e-1, -2E+3, 1.5e2, .5e0, 1.0e-1]", "['1e1', 1e, e1, .e3, 1e1x]"
    document = read_document(written(tmp_path, f"numbers: {numbers}\ntexts: {texts}\n"))
    assert document["numbers"] == [0.1, -2000.0, 150.0, 0.5, 0.1]
    assert document["texts"] == ["1e1", "1e", "e1", ".e3", "1e1x"]


@pytest.mark.parametrize("number", ["010", "1_000", "1:30", "0b1", "0x1F", "1_0.5", "1:30.5"])
def test_a_number_of_yaml_1_1_alone_is_refused(tmp_path: Path, number: str) -> None:
    path = written(tmp_path, f"title: bread\nlabels: [7, {number}]\n")
    with pytest.raises(SpecError) as caught:
        read_document(path)
    assert str(caught.value) == (
        f"{path}, line 2: is not valid YAML ({number!r} is no plain number: write it like 10 or "
        "0.5; if it is a text, put it in quotes)"
    )


def test_plain_numbers_are_themselves(tmp_path: Path) -> None:
    numbers = "[0, -7, +10, 00.5, -.inf, '010']"
    document = read_document(written(tmp_path, f"numbers: {numbers}\n"))
    assert document["numbers"] == [0, -7, 10, 0.5, float("-inf"), "010"]


def test_json_is_read_too(tmp_path: Path) -> None:
    assert read_document(written(tmp_path, '{"title": "bread"}')) == {"title": "bread"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title: [bread\noven: 1", ", line 2: is not valid YAML"),
        (
            "title: bread\ntitle: cake",
            ", line 2: is not valid YAML (the key 'title' is given twice",
        ),
        ("oven:\n  fan: true\n  fan: false", ", line 3: is not valid YAML (the key 'fan'"),
        ("- bread\n- cake", ": should hold keys and values, not ['bread', 'cake']"),
        ("", ": should hold keys and values, not nothing"),
        ("title: !!python/object:os.system {}", "could not determine a constructor"),
        (
            "oven: 1\ntitle: 2026-31-12",
            ", line 2: is not valid YAML ('2026-31-12' is no value: month must be in 1..12; if it "
            "is a text, put it in quotes)",
        ),
        ("title: " + "[" * 5000, ": is nested too deeply"),
    ],
)
def test_a_broken_document_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        read_document(path)
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)


def test_an_absent_document_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml: there is no such file"):
        read_document(tmp_path / "nowhere.yaml")


def test_a_folder_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_document(tmp_path)


def test_a_document_is_utf_8(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(b"title: \xff\xfe")
    with pytest.raises(SpecError, match="UTF-8"):
        read_document(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            {"titel": "x"},
            "r.yaml: unknown key 'titel'; did you mean 'title'?\n"
            "r.yaml: the key 'title' is missing",
        ),
        ({"title": "x", "zzz": 1}, "r.yaml: unknown key 'zzz'; known are title, oven, steps"),
        ({}, "r.yaml: the key 'title' is missing"),
        (
            {"title": "x", "oven": {"degrees": 1, "fann": True}},
            "r.yaml: unknown key 'oven.fann'; did you mean 'fan'?",
        ),
        (
            {"title": "x", "steps": [{"degres": 1}]},
            "r.yaml: unknown key 'steps.0.degres'; did you mean 'degrees'?\n"
            "r.yaml: the key 'steps.0.degrees' is missing",
        ),
        ({"title": "x", "oven": 3}, "r.yaml: 'oven' should hold keys and values, not 3"),
        (
            {"title": "x", "oven": {"degrees": "hot"}},
            "r.yaml: 'oven.degrees' should be a valid integer, unable to parse string as an "
            "integer, not 'hot'",
        ),
        ({"title": None}, "r.yaml: 'title' should be a valid string, not nothing"),
        (
            {"title": date(2026, 12, 31)},
            "r.yaml: 'title' should be a valid string, not datetime.date(2026, 12, 31): put it in "
            "quotes",
        ),
        ({"title": 7}, "r.yaml: 'title' should be a valid string, not 7: put it in quotes"),
    ],
)
def test_the_sentence_names_the_key(data: dict[str, object], sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(Recipe, data, "r.yaml")
    assert str(caught.value) == sentence


def test_five_wrong_keys_are_named_and_the_others_counted() -> None:
    wrong = {f"key-{number}": number for number in range(7)}

    with pytest.raises(SpecError) as caught:
        validate(Recipe, {"title": "x", **wrong}, "r.yaml")

    *named, last = str(caught.value).splitlines()
    assert [line.partition(";")[0] for line in named] == [
        f"r.yaml: unknown key 'key-{number}'" for number in range(5)
    ]
    assert last == "(and 2 more)"


def test_a_long_wrong_value_is_not_repeated_whole() -> None:
    with pytest.raises(SpecError) as caught:
        validate(Recipe, {"title": list(range(10_000))}, "r.yaml")
    assert len(str(caught.value)) < 200


def test_a_wrong_value_of_any_size_is_soon_repeated(tmp_path: Path) -> None:
    # Given a few lines that, written out, would be longer than any memory
    lines = ["a0: &a0 [bread, cake]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    document = read_document(written(tmp_path, "\n".join(lines)))

    with pytest.raises(SpecError) as caught:
        validate(Recipe, {"title": document["a29"]}, "recipe.yaml")

    assert "'title' should be a valid string, not [[[" in str(caught.value)
    assert len(str(caught.value)) < 150


def test_what_is_valid_is_returned() -> None:
    recipe = validate(Recipe, {"title": "bread", "oven": {"degrees": 230}}, "r.yaml")
    assert recipe == Recipe(title="bread", oven=Oven(degrees=230))
