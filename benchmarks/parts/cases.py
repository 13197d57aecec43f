"""What is trained: the recipes that ship, with what they leave out, and the literature's yardstick.

A network is trained without what it could be asked for (a label, a speaker): the baselines know
nothing of it either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.orchestration.training.recipe import find_recipe


@dataclass(frozen=True)
class Case:
    """One network on one table: a recipe by its name, with another family, model or training."""

    name: str
    recipe: str
    family: str | None = None
    #: Merged into the recipe's; with another family it takes the place of the recipe's model.
    model: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None

    def read(self) -> Recipe:
        """Raises SpecError when there is no such recipe."""
        document = find_recipe(self.recipe).document()
        if self.family is not None:
            document |= {"family": self.family, "model": {}}
        document["model"] = {**document["model"], **(self.model or {})}
        document["data"] = {**document["data"], **(self.data or {}), "fields": {}}
        if self.training is not None:
            document["training"] = {**document.get("training", {}), **self.training}
        return read_recipe(document)


_DIGITS = {"height": 20, "width": 20, "levels": 16}
_COLOURS = {"height": 32, "width": 32, "colours": 3}
#: The recipes leave the piano as loud as it is; here all pieces are as loud as each other.
_EVENLY_LOUD = {"loudness_dbfs": -20.0}
#: For another family than the recipe's, whose own learning rate may have been chosen for Muon.
_BY_ADAMW = {"learning_rate": 4e-3, "optimizer": "adamw"}

CASES = (
    Case("darn", "digits-darn"),
    Case("made", "digits-made"),
    Case("made 16 greys", "digits-made", model={"levels": 16, "embedding": 2}),
    Case("pixelcnn", "digits-pixelcnn"),
    # Guidance is of labels, which there are none of.
    Case("gated_pixelcnn", "digits", model={"guided": False}),
    Case(
        "pixelcnn_pp digits",
        "digits",
        family="pixelcnn_pp",
        model=_DIGITS,
        training=_BY_ADAMW,
    ),
    Case("pixelcnn_pp emoji", "emoji"),
    Case("pixelcnn_pp patches", "patches"),
    Case(
        "pixelcnn emoji 32 levels",
        "emoji",
        family="pixelcnn",
        model={**_COLOURS, "levels": 32, "channels": 48, "blocks": 8, "head": 96},
        training=_BY_ADAMW,
    ),
    Case("wavenet fsdd", "spoken-digits"),
    Case("wavenet piano", "piano", data=_EVENLY_LOUD),
    Case(
        "wavenet piano 16 bits",
        "piano",
        model={"encoding": "linear", "levels": 65536, "components": 10},
        data=_EVENLY_LOUD,
    ),
    Case("linear piano 16 bits", "piano-linear", data=_EVENLY_LOUD),
    Case("video_pixel", "moving-digits"),
)
