"""Real ones that a report shows beside what a job drew: what a recipe's table holds out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.spec import Media
from ancestral.orchestration.report.items import Item, embedded, shown_value
from ancestral.orchestration.training.examples import Events, Example
from ancestral.orchestration.training.tables import table_uri
from ancestral.workers.encode import encode


class RealOnes:
    """A `gallery.Real`: held-out events of a recipe's table, in its order."""

    def __init__(self, recipe: Recipe, signature: Mapping[str, Any]) -> None:
        """For a model of that signature, which learnt by the recipe.

        Raises SpecError and DataError when the table cannot be read.
        """
        self._signature = signature
        self._left = list(Events(recipe, signature, held_out=True))

    def __call__(self, asked: Mapping[str, Any], count: int) -> list[Item]:
        """Up to `count` events whose fields are those asked for; none is given twice."""
        taken: list[Example] = []
        left: list[Example] = []
        for event in self._left:
            fits = all(event.fields.get(name) == value for name, value in asked.items())
            (taken if fits and len(taken) < count else left).append(event)
        self._left = left
        return [self._item(event) for event in taken]

    def _item(self, event: Example) -> Item:
        artifact = encode(self._signature, event.array, {}, Media())
        words = [f"{name} {shown_value(value)}" for name, value in event.fields.items()]
        name = f"real: {', '.join(words)}" if words else "real"
        return embedded(self._signature["medium"], vars(artifact), artifact.data, name, name)


def real_ones(recipe: Recipe, signature: Mapping[str, Any]) -> RealOnes | None:
    """Those of the recipe's table; None where the table neither ships nor is at hand.

    Raises what `RealOnes` does.
    """
    try:
        table_uri(recipe.data.path)
    except SpecError:
        return None
    return RealOnes(recipe, signature)
