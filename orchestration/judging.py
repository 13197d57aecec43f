"""From a finished job and a table of real digits to what the judges compare."""

from __future__ import annotations

import numpy as np

from ancestral.jobs.datasets import read_table
from ancestral.jobs.results import Artifact, Results
from ancestral.jobs.spec import Job
from ancestral.orchestration.events import decode_sound
from ancestral.orchestration.judge import (
    Judgement,
    Pictures,
    Recordings,
    judge_pictures,
    judge_sounds,
)
from ancestral.orchestration.tables import table_uri
from ancestral.workers.images import decode_image
from ancestral.workers.sounds import decode_audio


def judge_job(job: Job, results: Results, table: str) -> Judgement | None:
    """How recognisable the digits of a job are, beside the real ones of a table.

    `table` is the name of one that ships, or a path or URI of one with the same columns. None when
    nothing was drawn, or when it is not images by label or sounds by digit and speaker.

    Raises SpecError and DataError when the table cannot be read.
    """
    asked = (job.signature["medium"], set(job.signature["fields"]))
    artifacts = [artifact for artifact in results if artifact.ok]
    if not artifacts:
        return None
    if asked == ("image", {"label"}):
        return _judge_images(artifacts, table_uri(table))
    if asked == ("audio", {"digit", "speaker"}):
        return _judge_sounds(artifacts, table_uri(table))
    return None


def _judge_images(artifacts: list[Artifact], uri: str) -> Judgement:
    generated = Pictures(
        np.stack([decode_image(artifact.bytes())[0] for artifact in artifacts]),
        [artifact.row["condition_label"] for artifact in artifacts],
    )
    training, held_out = (
        _real_pictures(uri, split, generated.images.shape[1:]) for split in ("train", "test")
    )
    return judge_pictures(generated, training, held_out)


def _real_pictures(uri: str, split: str, shape: tuple[int, ...]) -> Pictures:
    rows = list(read_table(uri, ["image", "label"], split=split))
    images = [np.frombuffer(row["image"], np.uint8).reshape(shape) for row in rows]
    return Pictures(np.stack(images), [row["label"] for row in rows])


def _judge_sounds(artifacts: list[Artifact], uri: str) -> Judgement:
    rate = artifacts[0].row["sample_rate_hz"]
    real = list(read_table(uri, ["audio", "codec", "digit", "speaker", "language"]))
    return judge_sounds(
        Recordings(
            sounds=[decode_audio(artifact.bytes())[0] for artifact in artifacts],
            digits=[artifact.row["condition_digit"] for artifact in artifacts],
            speakers=[artifact.row["condition_speaker"] for artifact in artifacts],
            sample_rate_hz=rate,
        ),
        Recordings(
            sounds=[decode_sound(row["audio"], row["codec"]) for row in real],
            digits=[row["digit"] for row in real],
            speakers=[row["speaker"] for row in real],
            sample_rate_hz=rate,
            languages=[row["language"] for row in real],
        ),
    )
