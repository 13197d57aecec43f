"""Do generated digits show what they were asked for, and are they new?"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ancestral.jobs.datasets import read_table
from ancestral.jobs.errors import SpecError
from ancestral.orchestration.training.tables import table_uri
from parts.asked import Asked
from parts.classifiers import Shape, warped
from parts.judgements import Fidelity, Labelled, Task
from parts.nearness import nearness, pixel_distances

TABLE = "digits20"
DIGITS = range(10)

#: Of generated images, the share that the classifier has to name as asked.
TARGET = 0.97

#: 20 by 20 pixels, halved twice.
SHAPE = Shape(widths=(24, 48, 96, 96), poolings=2, places=5 * 5)


def digit_fidelity(asked: Asked, each: int, epochs: int) -> Fidelity:
    """Draw so many images of each label. Raises SpecError when the bundle makes no such images."""
    wanted = [digit for digit in DIGITS for _ in range(each)]
    drawn, seconds = asked.draw([asked.fields({"label": digit}) for digit in wanted])
    samples = _labelled(drawn, wanted)
    training, held_out = (_real(asked, split) for split in ("train", "test"))
    print(f"{TABLE}: a classifier of the label learns", file=sys.stderr)
    task = Task(
        condition="label",
        classes=[str(digit) for digit in DIGITS],
        training=training,
        shape=SHAPE,
        augment=warped,
        epochs=epochs,
        target=TARGET,
    )
    distances = [
        pixel_distances(some.examples.numpy(), training.examples.numpy())
        for some in (samples, held_out)
    ]
    return Fidelity(
        case="digits",
        model=asked.model,
        digest=asked.bundle.digest,
        temperature=asked.temperature,
        top_p=asked.top_p,
        guidance=asked.guidance,
        samples=len(samples),
        drawing_seconds=seconds,
        judgements=[task.judge(samples, held_out)],
        nearness=[nearness("pixels", *distances)],
    )


def _real(asked: Asked, split: str) -> Labelled:
    """Real images as the bundle could draw them."""
    shape = asked.signature["shape"]
    rows = list(read_table(table_uri(TABLE), ["image", "label"], split=split))
    if any(len(row["image"]) != math.prod(shape) for row in rows):
        raise SpecError(f"{asked.model} makes no images of the size that {TABLE} has")
    images = [np.frombuffer(row["image"], np.uint8).reshape(shape) for row in rows]
    return _labelled([asked.heard(image) for image in images], [row["label"] for row in rows])


def _labelled(pictures: Sequence[NDArray[Any]], labels: Sequence[int]) -> Labelled:
    """Pictures between 0 and 1."""
    return Labelled(torch.from_numpy(np.stack(pictures) / 255).float(), torch.tensor(labels))
