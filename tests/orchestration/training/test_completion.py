"""What the training rows tell of a model."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.models.errors import DataError
from ancestral.orchestration.training.completion import complete, listed_fields
from ancestral.orchestration.training.examples import Events, network
from tests.orchestration.sounds import noise, words


def pictures(folder: Path, rows: list[dict[str, Any]], **fields: str) -> Recipe:
    pq.write_table(pa.Table.from_pylist(rows), folder / "pictures.parquet")
    return read_recipe(
        {
            "name": "pictures",
            "family": "gated_pixelcnn",
            "data": {"path": str(folder / "pictures.parquet"), "fields": fields},
            "training": {"steps": 1, "batch_size": 1},
        }
    )


def test_speakers_digits_and_durations_are_those_of_the_training_rows(tmp_path: Path) -> None:
    # Given two takes of "one" by ada, one of "two" by ada, one of "one" by bob; bob's "two" is held
    # out
    rows = [
        {"audio": noise(0.5).tobytes()},
        {"audio": noise(0.7).tobytes()},
        {"audio": noise(0.2).tobytes(), "digit": 2},
        {"audio": noise(0.4).tobytes(), "speaker": "bob"},
        {"audio": noise(0.9).tobytes(), "speaker": "bob", "digit": 2, "split": "test"},
    ]

    model = complete(words(rows, tmp_path)).model

    # Then what bob was not heard to say takes as long as what he was
    assert (model["digits"], model["speakers"]) == ([1, 2], ["ada", "bob"])
    assert model["seconds"] == [[0.6, 0.2], [0.4, 0.4]]


def test_values_come_from_the_column_that_holds_the_field(tmp_path: Path) -> None:
    rows = [{"category": name, "label": 3, "split": "train"} for name in ("sun", "cat", "sun")]

    model = complete(pictures(tmp_path, rows, label="category")).model

    assert model == {"labels": ["cat", "sun"]}


@pytest.mark.parametrize("kind", [float, Decimal])
def test_whole_numbers_that_a_null_turned_to_floats_are_values(tmp_path: Path, kind: type) -> None:
    # Given labels as pandas writes them when one of another split is missing, or as decimals
    rows = [
        {"image": bytes(4), "label": label, "split": split}
        for label, split in ((kind("7.0"), "train"), (kind("0.0"), "train"), (None, "test"))
    ]
    recipe = pictures(tmp_path, rows, label="label")
    sizes = {"height": 2, "width": 2, "levels": 2, "layers": 1, "channels": 4, "head": 4}
    recipe = recipe.model_copy(update={"model": sizes})

    model = complete(recipe).model

    # Then they are the labels of the model and of what it learns from
    assert (repr(model["labels"]), model["height"]) == ("[0, 7]", 2)
    net = network(recipe.model_copy(update={"model": model}))
    events = Events(recipe, net.signature)
    assert repr([each.fields for each in events]) == "[{'label': 7}, {'label': 0}]"
    assert all(events.item(net, number, each) for number, each in enumerate(events))


def test_a_decimal_is_the_number_that_it_is(tmp_path: Path) -> None:
    latent = [Decimal("0.5"), Decimal("2.0")]
    rows = [{"image": bytes(4), "guidance": Decimal("0.50"), "latent": latent, "split": "train"}]
    recipe = pictures(tmp_path, rows, guidance="guidance", latent="latent")

    (event,) = Events(recipe, {"medium": "image", "shape": [2, 2], "levels": 2, "fields": {}})

    assert repr(event.fields) == "{'guidance': 0.5, 'latent': [0.5, 2]}"


def test_a_value_that_is_not_whole_is_named(tmp_path: Path) -> None:
    rows = [{"category": 0.5, "split": "train"}]

    with pytest.raises(DataError, match=r"row 0 .*the column 'category' holds 0\.5, .* 'label'"):
        complete(pictures(tmp_path, rows, label="category"))


def test_letters_are_those_of_the_training_texts(tmp_path: Path) -> None:
    texts = [("Say, one!", "train"), ("Été", "train"), ("xyz", "test")]
    rows = [{"text": text, "audio": noise(0.5).tobytes(), "split": split} for text, split in texts]

    model = complete(words(rows, tmp_path, fields=("text", "speaker"))).model

    assert model == {"characters": " aenostyé", "speakers": ["ada"]}


def test_a_text_that_is_none_is_named(tmp_path: Path) -> None:
    rows = [{"text": 7, "audio": noise(0.5).tobytes(), "split": "train"}]
    with pytest.raises(DataError, match="'text' holds 7, which is no text"):
        complete(words(rows, tmp_path, fields=("text",)))


def test_what_a_recipe_says_of_its_model_stands(tmp_path: Path) -> None:
    recipe = words([{"audio": noise(0.5).tobytes()}], tmp_path, digits=[1, 9], seconds=[[0.5, 0.5]])

    model = complete(recipe).model

    assert (model["digits"], model["seconds"]) == ([1, 9], [[0.5, 0.5]])
    assert model["speakers"] == ["ada"]


def test_without_fields_no_table_is_needed() -> None:
    recipe = read_recipe(
        {
            "name": "pictures",
            "family": "gated_pixelcnn",
            "data": {"path": "none.parquet"},
            "training": {"steps": 1, "batch_size": 1},
        }
    )

    assert complete(recipe) == recipe


def test_a_row_that_lacks_its_field_is_named(tmp_path: Path) -> None:
    rows = [{"audio": noise(0.1).tobytes(), "speaker": speaker} for speaker in ("ada", None)]

    with pytest.raises(DataError, match="row 1 counted from 0: the column 'speaker' holds"):
        complete(words(rows, tmp_path))


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}], ids=str)
def test_a_field_of_several_values_is_named(tmp_path: Path, value: object) -> None:
    rows = [{"category": value, "split": "train"}]

    with pytest.raises(DataError, match=r"row 0 .*the column 'category' holds .* no single value"):
        complete(pictures(tmp_path, rows, label="category"))


def test_fields_of_a_family_are_known_whatever_its_types_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a configuration of which a type is there for a type checker alone
    config = dataclasses.make_dataclass(
        "Config", [("forms", "tuple[str, ...]"), ("sizes", "tuple[Size, ...]"), ("layers", "int")]
    )
    family = Mock(config=config)
    monkeypatch.setattr(
        "ancestral.orchestration.training.completion.find_family", lambda name: family
    )

    assert listed_fields("theirs") == {"form": "forms"}


def test_an_unknown_family_is_named(tmp_path: Path) -> None:
    recipe = words([{"audio": b""}], tmp_path).model_copy(update={"family": "wavenets"})

    with pytest.raises(
        SpecError, match=r"no family 'wavenets': there are .*; did you mean 'wavenet'"
    ):
        complete(recipe)
