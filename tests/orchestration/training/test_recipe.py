"""Recipes by name, those that ship, and budgets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ancestral.jobs.errors import SpecError
from ancestral.jobs.registry import Registry
from ancestral.jobs.settings import SHIPPED_MODELS
from ancestral.models import DataError, darn_config, pixelcnn, pixelcnn_autoencoder, video_pixel
from ancestral.orchestration.cli import cli
from ancestral.orchestration.training.completion import complete
from ancestral.orchestration.training.examples import Events, network
from ancestral.orchestration.training.recipe import SHIPPED, find_recipe, parse_budget, shipped
from ancestral.orchestration.training.run import plan_training
from tests.orchestration.sounds import RATE_HZ, noise

SHIPPED_NAMES = sorted(shipped(".yaml"))

#: What the page of recipes that ship tells of each.
ROWS = re.findall(
    r"^\| `([\w-]+)` \| (\w+) \| ([\w*]+) \| ([^|]+) \| [^|]+ \|$",
    (SHIPPED / "README.md").read_text(encoding="utf-8"),
    re.M,
)


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder ANCESTRAL_DATA: for each table that recipes name and that does not ship, a few rows
    with its columns."""
    folder = tmp_path_factory.mktemp("tables")
    draw = np.random.default_rng(0)
    picture = {"image": draw.integers(0, 256, 32 * 32 * 3).astype(np.uint8).tobytes()}
    sound = {"audio": noise(1.5).tobytes(), "codec": "pcm_s16le", "sample_rate": RATE_HZ}
    rows: dict[str, list[dict[str, Any]]] = {
        "emoji32": [{**picture, "category": name} for name in ("Flags", "Objects")],
        "patches32": [picture],
        "fsdd": [{**sound, "text": t, "speaker": w} for t in ("no", "yes") for w in ("jo", "di")],
        "prompts_en": [{**sound, "text": "Press 1", "speaker": "jo"}],
        "prompts_ru": [{**sound, "text": "нажмите", "speaker": "di"}],
        "piano": [sound],
    }
    for name, each in rows.items():
        both = [{**row, "split": split} for split in ("train", "test") for row in each]
        pq.write_table(pa.Table.from_pylist(both), folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_a_recipe_that_ships_fits_its_data(
    name: str, stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCESTRAL_DATA", str(stand_ins))

    registry = Registry(str(tmp_path / "state"), tmp_path / "cache", SHIPPED_MODELS)
    recipe = plan_training(find_recipe(name), registry).recipe
    net = network(recipe)
    learnt, held_out = (Events(recipe, net.signature, held_out=apart) for apart in (False, True))
    items = [held_out.item(net, number, each) for number, each in enumerate(held_out)]

    assert (recipe.name, net.family) == (name, recipe.family)
    assert set(recipe.data.fields) <= set(net.signature["fields"])
    assert recipe.data.license
    assert len(learnt) >= len(held_out) == len(items) > 0


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        (darn_config.digits20(), "digits-darn"),
        (pixelcnn.digits20(), "digits-pixelcnn"),
        (pixelcnn_autoencoder.digits20(), "digit-autoencoder"),
        (video_pixel.moving_digits(), "moving-digits"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_presets_of_data_that_ships_are_what_its_recipes_train(preset: object, name: str) -> None:
    recipe = complete(find_recipe(name))
    assert network(recipe).config == preset


def test_the_help_tells_every_recipe_that_ships() -> None:
    lines = CliRunner().invoke(cli, ["train", "--help"]).output.splitlines()

    # Names are indented by four; continued descriptions of options by more.
    told = [line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "]
    assert sorted(told) == SHIPPED_NAMES


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_a_recipe_says_what_it_is(name: str) -> None:
    assert (SHIPPED / f"{name}.yaml").read_text().startswith("# ")


def test_every_recipe_has_its_line_on_the_page() -> None:
    assert sorted(name for name, *_ in ROWS) == SHIPPED_NAMES


@pytest.mark.parametrize(("name", "family", "table", "budget"), ROWS)
def test_a_line_says_what_the_recipe_does(name: str, family: str, table: str, budget: str) -> None:
    recipe = find_recipe(name)

    assert (recipe.family, recipe.data.path) == (family, table)
    seconds = recipe.training and recipe.training.budget_seconds
    assert seconds == (None if budget == "fitted at once" else parse_budget(budget))


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


def test_a_network_that_is_conditioned_otherwise_is_refused() -> None:
    # Given a network without labels, since the recipe is not completed
    recipe = find_recipe("digits-pixelcnn")
    net = network(recipe)

    events = Events(recipe, net.signature)
    with pytest.raises(DataError, match="row 0 counted from 0: the model has no field 'label'"):
        events.item(net, 0, next(iter(events)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("90", 90), (" 3 s ", 3)]
)
def test_budgets(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-3s", "soon", "3 days", "1m30s"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(SpecError, match="is no budget"):
        parse_budget(text)
