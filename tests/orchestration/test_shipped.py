"""What the page of recipes that ship tells of them."""

from __future__ import annotations

import re

import pytest

from ancestral.orchestration.recipe import SHIPPED, find_recipe, parse_budget, shipped

ROWS = re.findall(
    r"^\| `([\w-]+)` \| (\w+) \| ([\w*]+) \| ([^|]+) \| [^|]+ \|$",
    (SHIPPED / "README.md").read_text(encoding="utf-8"),
    re.M,
)


def test_every_recipe_has_its_line() -> None:
    assert sorted(name for name, *_ in ROWS) == sorted(shipped(".yaml"))


@pytest.mark.parametrize(("name", "family", "table", "budget"), ROWS)
def test_a_line_says_what_the_recipe_does(name: str, family: str, table: str, budget: str) -> None:
    recipe = find_recipe(name)

    assert (recipe.family, recipe.data.path) == (family, table)
    seconds = recipe.training and recipe.training.budget_seconds
    assert seconds == (None if budget == "fitted at once" else parse_budget(budget))
