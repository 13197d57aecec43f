"""A recipe is checked with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe, read_recipe

RECIPE: dict[str, Any] = {
    "name": "digits",
    "family": "gated_pixelcnn",
    "model": {"height": 20, "width": 20, "levels": 16},
    "data": {"path": "digits20", "fields": ["label"]},
    "training": {"budget_seconds": 90, "batch_size": 16},
}

CLIPS = {"clips": 5, "held_out_clips": 2}


def changed(section: str | None = None, **changes: Any) -> dict[str, Any]:
    if section is None:
        return {**RECIPE, **changes}
    return {**RECIPE, section: {**RECIPE[section], **changes}}


@pytest.mark.parametrize(
    "with_password",
    [
        changed("data", path="s3://me:open-sesame@lake/x.parquet"),
        changed(start="s3://me:open-sesame@lake/digits"),
    ],
)
def test_a_password_in_a_uri_is_refused_and_not_repeated(with_password: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="carries a password") as caught:
        read_recipe(with_password)
    assert "open-sesame" not in str(caught.value)
    # A traceback shows it as well.
    assert "open-sesame" not in str(caught.value.__cause__)


def test_a_recipe_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "name: digits\nfamily: gated_pixelcnn\n"
        "data: {path: digits20}\ntraining: {steps: 5, batch_size: 2}\n"
    )

    recipe = read_recipe(file)

    assert recipe.training is not None
    assert (recipe.training.steps, recipe.training.budget_seconds) == (5, None)
    assert (recipe.data.fields, recipe.model, recipe.seed) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("fields", "columns"),
    [
        (["digit", "speaker"], {"digit": "digit", "speaker": "speaker"}),
        ({"label": "category"}, {"label": "category"}),
    ],
)
def test_fields_lie_in_columns_of_the_same_name_or_another(
    fields: object, columns: dict[str, str]
) -> None:
    recipe = read_recipe(changed("data", fields=fields))

    assert recipe.data.fields == columns
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (changed(modell={}), "unknown key 'modell'; did you mean 'model'?"),
        (changed("training", bach_size=1), "unknown key 'training.bach_size'; did you mean"),
        (changed("training", steps=5), "'training' should hold exactly one of 'budget_seconds'"),
        (changed("training", budget_seconds=None), "exactly one of 'budget_seconds' and 'steps'"),
        (changed("training", precision="float16"), "'training.precision' should be"),
        (changed("training", checkpoint_seconds=0), "'training.checkpoint_seconds' should be"),
        (
            changed("training", augmentation={"shift": 2}),
            "unknown key 'training.augmentation.shift'; known are shift_pixels, turn_degrees",
        ),
        (changed("training", batch_size=0), "'training.batch_size' should be greater than or"),
        (changed("data", fields=["label", 3]), "'data.fields' should hold keys and values"),
        (changed("data", fields="label"), "'data.fields' should be a list, [label], or have a"),
        (changed("data", moving_digits={"clips": 5}), "'data.moving_digits.held_out_clips' is"),
        (
            changed("data", fields=[], moving_digits={**CLIPS, "frame": 9}),
            "unknown key 'data.moving_digits.frame'; did you mean 'frames'?",
        ),
        (changed("data", moving_digits=CLIPS), "'data' has no 'fields' for 'moving_digits'"),
        (changed("data", held_out="train"), "'data' has 'train' for 'held_out': those"),
        (changed("data", source="video"), "'data.source' should be 'audio', not 'video'"),
        (changed(name="My Digits"), "'name' should be up to 100 small letters, digits, '-', '_'"),
        (changed(name="-digits"), "beginning with a letter or a digit, not '-digits'"),
        ({"name": "digits"}, "the key 'family' is missing"),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_recipe(document)

    assert sentence in str(caught.value)
    assert str(caught.value).startswith("the recipe: ")


def test_another_budget_replaces_whatever_ended_the_training() -> None:
    by_steps = read_recipe(changed("training", budget_seconds=None, steps=7))

    training = by_steps.with_budget(30.0).training

    assert training is not None
    assert (by_steps.budget_seconds, by_steps.with_budget(30.0).budget_seconds) == (0, 30)
    assert (training.budget_seconds, training.steps, training.batch_size) == (30.0, None, 16)


def test_another_name_is_checked_as_the_first_one_was() -> None:
    recipe = read_recipe(RECIPE)

    assert recipe.called("digits-2").name == "digits-2"
    with pytest.raises(SpecError, match="'name'"):
        recipe.called("no good")


def test_what_is_fitted_at_once_has_no_budget() -> None:
    recipe = read_recipe({key: value for key, value in RECIPE.items() if key != "training"})

    assert recipe.with_budget(30.0) == recipe
    assert recipe.budget_seconds == 0
