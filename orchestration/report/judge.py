"""How recognisable generated digits are, measured against real ones.

Pictures are named by their three nearest real training pictures, on slightly blurred pixels. The
judge names real held-out ones as well, so that its own errors are in sight, and looks for copies of
the training data.

It says whether a digit is closer to its own kind than to any other, which is less than being read.

Shapes: N pictures, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.jobs.datasets import read_table
from ancestral.jobs.results import Artifact, Results
from ancestral.orchestration.training.tables import table_uri
from ancestral.workers.images import decode_image

Floats = NDArray[np.floating[Any]]

#: How many of the nearest training pictures vote for a label.
NEIGHBOURS = 3
#: Root mean square difference, as a share of the full range, up to which a picture is a copy.
#: Real held-out digits are all further than this from their nearest training digit.
PICTURE_COPY_DIFFERENCE = 0.03

#: Shares of pictures named as asked from which they count as recognisable, and as partly so.
RECOGNISABLE = 0.75
PARTLY_RECOGNISABLE = 0.5


@dataclass(frozen=True)
class Pictures:
    """Pictures of digits: `images` (N, H, W) uint8 and the digit that each shows or should show."""

    images: NDArray[np.uint8]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Judgement:
    """What the judge found; every share is between 0 and 1."""

    judged: int
    accuracy: float
    held_out: int
    held_out_accuracy: float
    copies: float
    held_out_copies: float

    @property
    def verdict(self) -> str:
        """`recognisable`, `partly recognisable` or `not recognisable`."""
        if self.accuracy >= RECOGNISABLE:
            return "recognisable"
        return "partly recognisable" if self.accuracy >= PARTLY_RECOGNISABLE else "not recognisable"

    def headline(self) -> str:
        """The verdict in a sentence."""
        return f"The pictures are {self.verdict}."

    def details(self) -> str:
        """What was measured, in plain words."""
        return (
            f"The nearest real training digits give the asked label to {self.accuracy:.1%} of "
            f"{self.judged:,} generated digits, and the true label to {self.held_out_accuracy:.1%} "
            f"of {self.held_out:,} real digits that were held out. Copies of a training digit: "
            f"{self.copies:.1%} of the generated, {self.held_out_copies:.1%} of the held-out ones."
        )

    def sentence(self) -> str:
        """Headline and details."""
        return f"{self.headline()} {self.details()}"


def judge_job(results: Results, table: str) -> Judgement | None:
    """How recognisable the digits of a job are, grey images by label, beside those of a table.

    `table` is the name of one that ships, or a path or URI of one with the same columns. None when
    nothing was drawn. Raises SpecError when the table cannot be read.
    """
    artifacts = [artifact for artifact in results if artifact.ok]
    if not artifacts:
        return None
    generated = _generated(artifacts)
    training, held_out = (
        _real(table_uri(table), split, generated.images.shape[1:]) for split in ("train", "test")
    )
    return judge_pictures(generated, training, held_out)


def judge_pictures(generated: Pictures, training: Pictures, held_out: Pictures) -> Judgement:
    """Compare `generated` with real `training` pictures, beside real `held_out` ones.

    Raises ValueError when there is nothing to judge or fewer than three training pictures.
    """
    if not len(generated) or not len(held_out) or len(training) < NEIGHBOURS:
        raise ValueError("judging pictures takes generated, held-out and three training pictures")
    accuracy, copies = _named_by_neighbours(generated, training)
    held_out_accuracy, held_out_copies = _named_by_neighbours(held_out, training)
    return Judgement(
        judged=len(generated),
        accuracy=accuracy,
        held_out=len(held_out),
        held_out_accuracy=held_out_accuracy,
        copies=copies,
        held_out_copies=held_out_copies,
    )


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Squared Euclidean distances between the rows of `a` (N, D) and of `b` (K, D): (N, K)."""
    squared: Floats = (a**2).sum(-1)[:, None] + (b**2).sum(-1)[None, :] - 2 * a @ b.T
    return np.maximum(squared, 0)  # rounding can leave a distance of zero a little below it


def _generated(artifacts: list[Artifact]) -> Pictures:
    return Pictures(
        np.stack([decode_image(artifact.bytes())[0] for artifact in artifacts]),
        [artifact.row["condition_label"] for artifact in artifacts],
    )


def _real(uri: str, split: str, shape: tuple[int, ...]) -> Pictures:
    rows = list(read_table(uri, ["image", "label"], split=split))
    images = [np.frombuffer(row["image"], np.uint8).reshape(shape) for row in rows]
    return Pictures(np.stack(images), [row["label"] for row in rows])


def _named_by_neighbours(pictures: Pictures, training: Pictures) -> tuple[float, float]:
    """The share of `pictures` named by their neighbours as they should be, and that of copies."""
    blurred, training_blurred = _blur(pictures.images), _blur(training.images)
    nearest = np.argsort(squared_distances(blurred, training_blurred), axis=1)[:, :NEIGHBOURS]
    votes_NK = np.asarray(training.labels)[nearest]
    counts_NKK = votes_NK[:, :, None] == votes_NK[:, None, :]
    # argmax takes the first of equals, which is the vote of the nearest.
    named = votes_NK[np.arange(len(votes_NK)), counts_NKK.sum(2).argmax(1)]
    plain, training_plain = _flat(pictures.images), _flat(training.images)
    closest = squared_distances(plain, training_plain).min(1) / plain.shape[1]
    return (
        float((named == np.asarray(pictures.labels)).mean()),
        float((np.sqrt(closest) <= PICTURE_COPY_DIFFERENCE).mean()),
    )


def _flat(images: NDArray[np.uint8]) -> Floats:
    """Images (N, H, W) as vectors (N, H·W) between 0 and 1."""
    return images.reshape(len(images), -1).astype(np.float64) / 255


def _blur(images: NDArray[np.uint8]) -> Floats:
    """Images (N, H, W) under the kernel (1 2 1)/4 both ways, as vectors (N, H·W)."""
    padded = np.pad(images.astype(np.float64) / 255, ((0, 0), (1, 1), (1, 1)))
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    both = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
    return both.reshape(len(images), -1)
