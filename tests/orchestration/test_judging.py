"""Jobs of tiny networks, judged by tables that are made of what they drew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ancestral.jobs.client import Client
from ancestral.jobs.results import Results
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.models import (
    Autoregressive,
    GatedPixelCNN,
    GatedPixelCNNConfig,
    WaveNet,
    WaveNetConfig,
    save_bundle,
)
from ancestral.orchestration.judge import PictureJudgement, SoundJudgement
from ancestral.orchestration.judging import judge_job
from ancestral.workers.here import run_here
from ancestral.workers.images import decode_image
from ancestral.workers.sounds import decode_audio

SPEAKERS = ("ada", "bob")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Job, Results]]:
    """run(net, grid) is a finished job of every combination of the grid's values."""

    def make(net: Autoregressive, grid: Mapping[str, Any]) -> tuple[Job, Results]:
        save_bundle(tmp_path / "bundle", net, card="A tiny one.", metrics={})
        settings = Settings(tmp_path / "home", str(tmp_path / "home" / "state"))
        spec = {
            "name": "tiny",
            "model": str(tmp_path / "bundle"),
            "grid": grid,
            "output": str(tmp_path / "lake"),
            "on_invalid": "record",
        }
        results = run_here(spec, settings=settings, slots=8)
        client = Client(settings)
        return client.job(client.jobs()[0]), results

    return make


def pixelcnn(labels: tuple[int, ...]) -> Autoregressive:
    torch.manual_seed(0)
    config = GatedPixelCNNConfig(
        height=4, width=5, levels=4, labels=labels, embedding=4, channels=6, layers=2, head=6
    )
    return GatedPixelCNN(config).eval()


def wavenet(digits: tuple[int, ...], speakers: tuple[str, ...]) -> Autoregressive:
    torch.manual_seed(0)
    config = WaveNetConfig(
        levels=16,
        sample_rate_hz=8000,
        residual=4,
        skip=6,
        depth=2,
        stacks=1,
        digits=digits,
        speakers=speakers,
        seconds=((0.06,) * len(digits),) * max(1, len(speakers)),
        hop=80,
        hats=3,
        encoder=4,
    )
    return WaveNet(config).eval()


def test_images_by_label_are_judged_beside_both_splits_of_the_table(
    run: Callable[..., tuple[Job, Results]], tmp_path: Path
) -> None:
    # Given a table that trains on the very images that the job drew, and holds out blank ones
    job, results = run(pixelcnn((0, 1, 2, 3)), {"label": [0, 1, 2, 3]})
    drawn = [decode_image(artifact.bytes())[0].tobytes() for artifact in results]
    table = {
        "image": [*drawn, *drawn, *drawn, bytes(20)],
        "label": [0, 1, 2, 3] * 3 + [2],
        "split": ["train"] * 12 + ["test"],
    }
    pq.write_table(pa.table(table), tmp_path / "real.parquet")

    # When
    judgement = judge_job(job, results, str(tmp_path / "real.parquet"))

    # Then
    assert isinstance(judgement, PictureJudgement)
    assert (judgement.judged, judgement.held_out) == (4, 1)
    assert (judgement.accuracy, judgement.copies) == (1.0, 1.0)


@pytest.mark.parametrize("codec", ["flac", "pcm_s16le"])
def test_sounds_by_digit_and_speaker_are_judged_beside_the_whole_table(
    codec: str, run: Callable[..., tuple[Job, Results]], tmp_path: Path
) -> None:
    # Given a table of the very sounds that the job drew
    grid = {"digit": [1, 2], "speaker": list(SPEAKERS)}
    job, results = run(wavenet((1, 2), SPEAKERS), grid)
    rows = [
        {
            "audio": data
            if codec == "flac"
            else np.asarray(decode_audio(data)[0], "<i2").tobytes(),
            "codec": codec,
            "digit": artifact.row["condition_digit"],
            "speaker": artifact.row["condition_speaker"],
            "language": "en",
        }
        for artifact in results
        for data in [artifact.bytes()]
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "real.parquet")

    # When
    judgement = judge_job(job, results, str(tmp_path / "real.parquet"))

    # Then
    assert isinstance(judgement, SoundJudgement)
    assert judgement.judged == judgement.across_speakers_judged == 4
    assert (judgement.digit_accuracy, judgement.speaker_accuracy) == (1.0, 1.0)
    assert judgement.copies == 1.0


def test_what_no_judge_knows_is_not_judged(run: Callable[..., tuple[Job, Results]]) -> None:
    job, results = run(wavenet((1, 2), ()), {"digit": [1, 2]})

    assert judge_job(job, results, "spoken_digits") is None


def test_a_job_without_any_ok_row_is_not_judged(run: Callable[..., tuple[Job, Results]]) -> None:
    job, results = run(pixelcnn((0, 1)), {"label": [7]})

    assert judge_job(job, results, "digits20") is None
