"""From a finished job and a table of real digits to what the judge compares."""

from __future__ import annotations

import numpy as np

from ancestral.jobs.datasets import read_table
from ancestral.jobs.results import Artifact, Results
from ancestral.orchestration.judge import Judgement, Pictures, judge_pictures
from ancestral.orchestration.tables import table_uri
from ancestral.workers.images import decode_image


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


def _generated(artifacts: list[Artifact]) -> Pictures:
    return Pictures(
        np.stack([decode_image(artifact.bytes())[0] for artifact in artifacts]),
        [artifact.row["condition_label"] for artifact in artifacts],
    )


def _real(uri: str, split: str, shape: tuple[int, ...]) -> Pictures:
    rows = list(read_table(uri, ["image", "label"], split=split))
    images = [np.frombuffer(row["image"], np.uint8).reshape(shape) for row in rows]
    return Pictures(np.stack(images), [row["label"] for row in rows])
