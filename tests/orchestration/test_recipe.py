"""Recipes by name, and what they make of the rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.models.errors import DataError
from ancestral.orchestration.examples import (
    complete,
    items_of,
    network,
    read_examples,
)
from ancestral.orchestration.recipe import SHIPPED, find_recipe, parse_budget
from ancestral.workers.encode import encode_audio

SHIPPED_NAMES = [path.stem for path in sorted(SHIPPED.glob("*.yaml"))]


def words(rows: list[dict[str, Any]], path: Path) -> Recipe:
    """A recipe for sounds in a table of these rows; what they leave out is usual."""
    usual = {
        "codec": "pcm_s16le",
        "sample_rate": 8000,
        "speaker": "ada",
        "digit": 1,
        "split": "train",
    }
    pq.write_table(pa.Table.from_pylist([{**usual, **row} for row in rows]), path)
    return read_recipe(
        {
            "name": "words",
            "family": "wavenet",
            "data": {"path": str(path), "fields": ["digit", "speaker"]},
            "training": {"steps": 1, "batch_size": 1},
        }
    )


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).integers(-3000, 3000, round(8000 * seconds)).astype(np.int16)


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_a_recipe_that_ships_fits_the_data_that_ships(name: str) -> None:
    recipe = find_recipe(name)

    examples, held_out = (read_examples(recipe, split) for split in ("train", "test"))
    net = network(complete(recipe, examples))

    assert recipe.name == name
    assert sorted(net.signature["fields"]) == sorted(recipe.data.fields)
    assert len(items_of(net, held_out)) == len(held_out) > 0
    assert len(examples) > len(held_out)


def test_the_data_that_ships_is_small() -> None:
    tables = list(SHIPPED.glob("*.parquet"))

    assert [path.stem for path in sorted(tables)] == ["digits20", "spoken_digits"]
    assert sum(path.stat().st_size for path in tables) < 1_200_000


def test_every_row_of_speech_that_ships_has_its_licence() -> None:
    table = pq.read_table(SHIPPED / "spoken_digits.parquet").to_pylist()
    readme = (SHIPPED / "README.md").read_text()

    assert len(table) == 50
    assert {row["kind"] for row in table} == {"digit"}
    assert all(row["license"] for row in table)
    assert all(f"`{row['speaker']}`" in readme for row in table)


def test_an_unknown_recipe_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(SpecError, match="no recipe is called 'digit'; did you mean 'digits'"):
        find_recipe("digit")
    with pytest.raises(SpecError, match=r"mine\.yaml: there is no such file"):
        find_recipe("mine.yaml")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("90", 90), (" 3 s ", 3)]
)
def test_budgets(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-3s", "soon", "3 days", "1m30s"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(SpecError, match="is no budget"):
        parse_budget(text)


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
    recipe = words(rows, tmp_path / "words.parquet")

    # When
    model = complete(recipe, read_examples(recipe, "train")).model

    # Then what bob was not heard to say takes as long as what he was
    assert (model["digits"], model["speakers"]) == ([1, 2], ["ada", "bob"])
    assert model["seconds"] == [[0.6, 0.2], [0.4, 0.4]]


def test_what_a_recipe_says_of_its_model_stands(tmp_path: Path) -> None:
    recipe = words([{"audio": noise(0.5).tobytes()}], tmp_path / "words.parquet")
    recipe = recipe.model_copy(update={"model": {"digits": [1, 9], "seconds": [[0.5, 0.5]]}})

    model = complete(recipe, read_examples(recipe, "train")).model

    assert (model["digits"], model["seconds"]) == ([1, 9], [[0.5, 0.5]])


def test_flac_and_pcm_are_the_same_sound(tmp_path: Path) -> None:
    sound = noise(0.3)
    rows = [
        {"audio": sound.tobytes()},
        {"audio": encode_audio(sound, 8000, {}), "codec": "flac"},
    ]
    recipe = words(rows, tmp_path / "words.parquet")

    first, second = read_examples(recipe, "train").arrays

    assert np.array_equal(first, second)
    loudness = 20 * np.log10(np.sqrt(np.mean(first.astype(float) ** 2)) / 32767)
    assert loudness == pytest.approx(recipe.data.loudness_dbfs, abs=0.1)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"audio": b"123"}, "row 1 of split 'train': these 3 bytes of audio"),
        ({"audio": b"1234", "codec": "flac"}, "row 1 of split 'train': these 4 bytes"),
        ({"audio": b"1234", "codec": "mp3"}, "are no 'mp3' that we can read"),
        ({"audio": b"1234", "sample_rate": 16000}, "16000 samples a second, not 8000"),
        ({"audio": b"1234", "speaker": None}, "the column 'speaker' holds nothing"),
    ],
)
def test_a_row_that_cannot_be_learnt_from_is_named(
    row: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    recipe = words([{"audio": noise(0.1).tobytes()}, row], tmp_path / "words.parquet")

    with pytest.raises(DataError) as caught:
        read_examples(recipe, "train")

    assert problem in str(caught.value)


def test_an_image_of_another_size_is_named() -> None:
    recipe = find_recipe("digits")
    recipe = recipe.model_copy(update={"model": {**recipe.model, "width": 21}})

    with pytest.raises(DataError, match="row 0 of split 'train': the image has 400 bytes"):
        read_examples(recipe, "train")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    recipe = words([{"audio": noise(0.1).tobytes()}], tmp_path / "words.parquet")
    data = recipe.data.model_copy(update={"fields": ("digit", "voice")})

    with pytest.raises(SpecError, match="no column 'voice'"):
        read_examples(recipe.model_copy(update={"data": data}), "train")


def test_a_network_that_is_conditioned_otherwise_is_refused() -> None:
    recipe = find_recipe("digits")

    with pytest.raises(SpecError, match=r"'data.fields' are \['label'\], but .* on \[\]"):
        network(recipe)


def test_an_unknown_family_is_named() -> None:
    recipe = find_recipe("digits").model_copy(update={"family": "wavenets"})

    with pytest.raises(SpecError, match="no family 'wavenets' can be trained; did you mean"):
        read_examples(recipe, "train")
