"""Recipes by the names under which they ship, and budgets as people write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ancestral.jobs.errors import SpecError
from ancestral.jobs.numbers import duration_seconds
from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.jobs.wording import did_you_mean

SHIPPED = Path(__file__).parents[1] / "shipped"


def find_recipe(name_or_path: str) -> Recipe:
    """The recipe that ships under a name, or the one in a YAML file.

    Raises SpecError.
    """
    ships = shipped(".yaml")
    if name_or_path in ships:
        return read_recipe(ships[name_or_path])
    if not os.path.exists(name_or_path) and re.fullmatch(r"[\w-]+", name_or_path):
        hint = did_you_mean(name_or_path, ships)
        raise SpecError(f"no recipe is called {name_or_path!r}{hint}")
    return read_recipe(name_or_path)


def parse_budget(text: str) -> float:
    """Seconds in a text like "90s", "1.5m", "2h" or "90".

    Raises SpecError.
    """
    seconds = duration_seconds(text)
    if seconds is None:
        raise SpecError(f"{text!r} is no budget: write one like 90s, 5m or 1h")
    return seconds


def shipped(suffix: str) -> dict[str, Path]:
    """What ships with that end of its name (.yaml, .parquet), by what stands before it."""
    return {path.stem: path for path in sorted(SHIPPED.glob(f"*{suffix}"))}
