"""The card of a trained model: what it is, what it was made from, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ancestral.jobs.bundles import HELD_OUT
from ancestral.jobs.recipe import Recipe
from ancestral.models.families import find_family, read_config

_CARD = """\
# {name}

A {family} model, trained by the recipe below.

| | |
| --- | --- |
| held-out bits per dimension | {held_out:.4f} ({kind}) |
| steps | {steps:,} |
| seconds of training | {seconds:,} |
| data-parallel workers | {workers} ({device}) |
| parameters | {parameters:,} |
{reach}
## Data

`{data}`{fields}. Licence: {licence}

## Recipe

```yaml
{recipe}```
"""


def write_card(recipe: Recipe, metrics: Mapping[str, Any]) -> str:
    """The card of a model that was trained by `recipe` (a complete one), in Markdown."""
    fields = " and ".join(recipe.data.fields)
    config = read_config(find_family(recipe.family).config, recipe.model)
    # Of a family that can say so.
    reach = getattr(config, "receptive_field", None)
    return _CARD.format(
        name=recipe.name,
        family=recipe.family,
        held_out=metrics[HELD_OUT],
        kind=metrics["held_out_kind"],
        steps=metrics["steps"],
        seconds=metrics["seconds"],
        workers=metrics["workers"],
        device=metrics["device"],
        parameters=metrics["parameters"],
        reach=f"| looks back | {reach:,} samples |\n" if isinstance(reach, int) else "",
        data=recipe.data.path,
        fields=f", conditioned on {fields}" if fields else "",
        licence=recipe.data.license or "not stated in the recipe",
        recipe=yaml.safe_dump(
            recipe.document(), sort_keys=False, default_flow_style=None, width=100
        ),
    )
