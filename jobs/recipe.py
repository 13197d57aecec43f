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
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ancestral.jobs.documents import Document, read_document, validate
from ancestral.jobs.numbers import INTEGER_LIMIT
from ancestral.jobs.spec import without_password
from ancestral.jobs.wording import shown


def _model_name(name: str) -> str:
    """What a model can be called in the registry."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
        raise ValueError(
            "should be up to 100 small letters, digits, '-', '_' and '.', beginning with a letter "
            f"or a digit, not {shown(name)}"
        )
    return name


def _columns(fields: object) -> object:
    """A list of fields as a mapping: their columns are called as they are."""
    if isinstance(fields, str):
        raise ValueError(f"should be a list, [{fields}], or have a column for each field")
    if isinstance(fields, list | tuple) and all(isinstance(name, str) for name in fields):
        return {name: name for name in fields}
    return fields


class MovingDigits(Document):
    """Clips that are made: digits of a table of grey square images, moving about on a canvas."""

    #: How many are made, of training digits and of held-out ones.
    clips: int = Field(ge=1)
    held_out_clips: int = Field(ge=1)
    #: Of each clip.
    frames: int = Field(default=20, ge=1)
    #: Pixels along each side of a frame.
    canvas: int = Field(default=32, ge=1)
    #: Digits in each clip.
    digits: int = Field(default=2, ge=1)
    #: Decides which digits, where they start and how fast they are.
    seed: int = Field(default=0, ge=0, lt=INTEGER_LIMIT)


class TrainingData(Document):
    """A Parquet table with a column `split` and one that is called as what the model makes.

    image     uint8 bytes in C order; the model says the shape
    video     the same, frame after frame
    audio     bytes, of which the column `codec` says whether they are pcm_s16le or flac, and
              `sample_rate` (Hz) how fast they are played
    series    a list of numbers
    """

    #: The name of a table that ships or of one in ANCESTRAL_DATA, or the path or URI of a Parquet
    #: file, or a glob of them.
    path: Annotated[str, Field(min_length=1), AfterValidator(without_password)]
    #: What the model can be asked for, each with the column that holds it; a list where columns are
    #: called like fields. None: it is not conditioned, or on the event itself.
    fields: Annotated[dict[str, str], BeforeValidator(_columns)] = Field(default={})
    #: What the column `split` holds in rows that are held out; in those to learn from, it is train.
    held_out: str = "test"
    #: The bytes of an image are bits, the most significant first: 1 is white.
    packed: bool = False
    #: A model of series learns from sounds: from their 16-bit amplitudes as they are counted.
    source: Literal["audio"] | None = None
    #: Sounds are brought to this loudness (root mean square, decibels of full scale). Null: they
    #: stay as they are.
    loudness_dbfs: float | None = Field(default=-20.0, le=0)
    #: The table holds single digits, and clips are made from them.
    moving_digits: MovingDigits | None = None
    #: Whose the data is and what may be done with it; it goes into the model's card.
    license: str | None = None

    @model_validator(mode="after")
    def _other_rows_are_held_out(self) -> TrainingData:
        if self.held_out == "train":
            raise ValueError("has 'train' for 'held_out': those are the rows to learn from")
        return self

    @model_validator(mode="after")
    def _made_clips_show_no_fields(self) -> TrainingData:
        if self.moving_digits is not None and self.fields:
            raise ValueError("has no 'fields' for 'moving_digits': a clip shows several")
        return self


class Augmentation(Document):
    """Training images are a little different each time; those held out stay as they are."""

    #: Whole pixels up, down, left and right, at most; the pixels of the border go on.
    shift_pixels: int = Field(default=0, ge=0)
    #: Each way, at most, about the centre.
    turn_degrees: float = Field(default=0.0, ge=0, le=180)
    #: Larger or smaller, at most: height and width each by its own.
    scale_percent: float = Field(default=0.0, ge=0, lt=100)
    #: Columns to the side, at most, in hundredths of the rows below the centre.
    slant_percent: float = Field(default=0.0, ge=0, lt=100)
    #: Of the images, how many are turned, scaled and slanted; the others are only shifted.
    share: float = Field(default=1.0, ge=0, le=1)


class Training(Document):
    """How long and how. What is None is left to the trainer, which knows good values."""

    #: Give one of these two: a time, or a number of steps that ends alike on any machine.
    budget_seconds: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    #: Events (or pieces of them) in one step, of all workers together.
    batch_size: int = Field(ge=1)
    #: Long sounds and series are cut into pieces of so many samples, between two columns of aligned
    #: features where there are any.
    crop_samples: int | None = Field(default=None, ge=1)
    #: So many parts make a step, one after the other, where memory does not hold a whole batch.
    accumulate: int | None = None
    #: Of products: of bfloat16 there is less memory to move, and on GPUs much more speed.
    precision: Literal["float32", "bfloat16"] | None = None
    #: Of images.
    augmentation: Augmentation | None = None
    #: Muon moves kernels of convolutions, and needs fewer steps; all else is AdamW's.
    optimizer: Literal["adamw", "muon"] | None = None
    learning_rate: float | None = None
    warmup_steps: int | None = None
    weight_decay: float | None = None
    gradient_clip: float | None = None
    ema_decay: float | None = None
    #: How often the held-out rows are scored on the way.
    validations: int | None = None
    #: Training ends after so many validations without a better figure.
    patience: int | None = None
    #: Between two checkpoints, besides those at validations: at most this much is done again.
    checkpoint_seconds: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _one_end(self) -> Training:
        if (self.budget_seconds is None) == (self.steps is None):
            raise ValueError("should hold exactly one of 'budget_seconds' and 'steps'")
        return self


class Recipe(Document):
    """A training run as people write it."""

    #: What the model is called in the registry: small letters, digits, "-", "_" and ".".
    name: Annotated[str, AfterValidator(_model_name)]
    #: The family of networks, like gated_pixelcnn or wavenet.
    family: str
    #: The family's configuration. What lists the values of a field may be left out: the data has
    #: them.
    model: dict[str, Any] = Field(default={})
    #: The model whose weights training starts from: `name`, `name@digest`, or the path or URI of a
    #: bundle. It is of the same family, and `model` need say no more than what differs, which can
    #: be nothing that weights depend on. None: weights are random.
    start: Annotated[str, Field(min_length=1), AfterValidator(without_password)] | None = None
    data: TrainingData
    #: None: the family is fitted in closed form, which takes no steps.
    training: Training | None = None
    seed: int = Field(default=0, ge=0, lt=INTEGER_LIMIT)

    @property
    def budget_seconds(self) -> float:
        """How long it is trained by the clock; 0 when steps or a closed form end it."""
        return (self.training.budget_seconds or 0.0) if self.training is not None else 0.0

    def document(self) -> dict[str, Any]:
        """What people would write, and `read_recipe` reads: without keys that say nothing."""
        document = self.model_dump(mode="json", exclude_none=True)
        if self.data.loudness_dbfs is None:
            # Left out, it would say something else.
            document["data"]["loudness_dbfs"] = None
        return document

    def called(self, name: str) -> Recipe:
        """The same recipe for a model of another name. Raises SpecError."""
        return validate(Recipe, {**self.model_dump(), "name": name}, "the recipe")

    def with_budget(self, seconds: float) -> Recipe:
        """The same recipe, to be trained for another time; a closed form takes what it takes."""
        if self.training is None:
            return self
        training = self.training.model_copy(update={"budget_seconds": seconds, "steps": None})
        return self.model_copy(update={"training": training})


def read_recipe(source: str | os.PathLike[str] | Mapping[str, Any]) -> Recipe:
    """The recipe in a YAML file or a dict.

    Raises SpecError, which names the file and each wrong key.
    """
    if isinstance(source, Mapping):
        return validate(Recipe, source, "the recipe")
    return validate(Recipe, read_document(source), os.fspath(source))
