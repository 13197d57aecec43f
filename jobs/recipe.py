"""How a model is trained: the document that `ancestral train` reads.

    name: digits
    family: gated_pixelcnn
    model: {height: 20, width: 20, levels: 16, layers: 6}
    data: {path: digits20, fields: [label]}
    training: {budget_seconds: 90, batch_size: 16, learning_rate: 6.0e-3}
    seed: 1

It holds no code. Whether `model` makes a network is the family's to say, and whether the table has
the columns is found out when it is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ancestral.jobs.documents import read_document, validate
from ancestral.jobs.spec import INTEGER_LIMIT, without_password


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TrainingData(_Document):
    """A Parquet table with a column `image` or `audio`, and a column `split`: train or test."""

    #: The name of a table that ships, or the path or URI of a Parquet file, or a glob of them.
    path: Annotated[str, Field(min_length=1), AfterValidator(without_password)]
    #: The columns that the model can be asked for. None: it is not conditioned.
    fields: tuple[str, ...] = ()
    #: Sounds are brought to this loudness (root mean square, decibels of full scale).
    loudness_dbfs: float = Field(default=-20.0, le=0)
    #: Whose the data is and what may be done with it; it goes into the model's card.
    license: str | None = None


class Training(_Document):
    """How long and how. What is None is left to the trainer, which knows good values."""

    #: Give one of these two: a time, or a number of steps that ends alike on any machine.
    budget_seconds: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    #: Events (or pieces of them) in one step, of all workers together.
    batch_size: int = Field(ge=1)
    #: Long sounds are cut into pieces of so many columns of aligned features.
    crop_columns: int | None = Field(default=None, ge=1)
    learning_rate: float | None = None
    warmup_steps: int | None = None
    gradient_clip: float | None = None
    ema_decay: float | None = None

    @model_validator(mode="after")
    def _one_end(self) -> Training:
        if (self.budget_seconds is None) == (self.steps is None):
            raise ValueError("give exactly one of 'budget_seconds' and 'steps'")
        return self


class Recipe(_Document):
    """A training run as people write it."""

    #: What the model is called in the registry: small letters, digits, "-", "_" and ".".
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    #: The family of networks, like gated_pixelcnn or wavenet.
    family: str
    #: The family's configuration. What lists the values of a field may be left out: the data has
    #: them.
    model: dict[str, Any] = {}
    data: TrainingData
    training: Training
    seed: int = Field(default=0, ge=0, lt=INTEGER_LIMIT)

    def called(self, name: str) -> Recipe:
        """The same recipe for a model of another name. Raises SpecError."""
        return validate(Recipe, {**self.model_dump(), "name": name}, "the recipe")

    def with_budget(self, seconds: float) -> Recipe:
        """The same recipe, to be trained for another time."""
        training = self.training.model_copy(update={"budget_seconds": seconds, "steps": None})
        return self.model_copy(update={"training": training})


def read_recipe(source: str | os.PathLike[str] | Mapping[str, Any]) -> Recipe:
    """The recipe in a YAML file or a dict.

    Raises SpecError with one sentence that names the file and the key.
    """
    if isinstance(source, Mapping):
        return validate(Recipe, source, "the recipe")
    return validate(Recipe, read_document(source), os.fspath(source))
