"""A card's recipe is the one that trained the model."""

from __future__ import annotations

import re

import pytest
import yaml

from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.orchestration.training.card import write_card
from ancestral.orchestration.training.recipe import SHIPPED, find_recipe, shipped

METRICS = {
    "held_out_bits_per_dim": 0.5,
    "held_out_kind": "exact",
    "steps": 1000,
    "seconds": 60.0,
    "workers": 2,
    "device": "cpu",
    "parameters": 12345,
}


def complete(name: str) -> Recipe:
    """A recipe that ships, with the model that it starts from, and with such labels as the training
    rows might have."""
    recipe = find_recipe(name)
    start = find_recipe(recipe.start).model if recipe.start else {}
    labels = {"labels": [0, 1]} if "label" in recipe.data.fields else {}
    return recipe.model_copy(update={"model": {**start, **recipe.model, **labels}})


def recipe_on(card: str) -> Recipe:
    found = re.search(r"```yaml\n(.*?)```", card, re.S)
    assert found is not None
    return read_recipe(yaml.safe_load(found[1]))


@pytest.mark.parametrize("name", shipped(".yaml"))
def test_the_recipe_on_a_card_is_the_one_that_it_was_written_for(name: str) -> None:
    recipe = complete(name)

    assert recipe_on(write_card(recipe, METRICS)) == recipe


def test_a_card_says_how_far_a_network_looks_back_that_can_say_so() -> None:
    assert "| looks back | 2,050 samples |\n\n## Data" in write_card(complete("piano"), METRICS)
    assert "| 12,345 |\n\n## Data" in write_card(complete("digits"), METRICS)


@pytest.mark.parametrize("folder", sorted(each.name for each in (SHIPPED / "bundles").iterdir()))
def test_the_card_of_a_model_that_ships_says_what_it_learnt_from(folder: str) -> None:
    card = (SHIPPED / "bundles" / folder / "card.md").read_text(encoding="utf-8")

    assert recipe_on(card).data == find_recipe(folder).data
