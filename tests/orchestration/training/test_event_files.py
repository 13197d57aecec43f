"""TensorBoard gets curves and pictures, without what was done twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ancestral.jobs.errors import StoreDenied
from ancestral.models import TrainProgress
from ancestral.orchestration.training.event_files import EventFiles
from ancestral.orchestration.training.news import Began, Picture, Said
from ancestral.workers.images import encode_image
from tests.orchestration.training.event_curves import read_curve, read_events


def progress(step: int, bits: float, held_out: float | None = None) -> TrainProgress:
    return TrainProgress(step, step / 100, 0.004, bits, 0.5, 8.0, 20.0, 1.0, 0.2, held_out)


def test_curves_are_written_and_held_out_figures_where_there_are_some(tmp_path: Path) -> None:
    with EventFiles(tmp_path) as files:
        for news in (Began(0), progress(10, 2.5), Said("half"), progress(20, 1.5, 1.75)):
            files(news)

    assert read_curve(tmp_path, "bits_per_dim/train") == {10: 2.5, 20: 1.5}
    assert read_curve(tmp_path, "bits_per_dim/held_out") == {20: 1.75}
    assert read_curve(tmp_path, "learning_rate") == pytest.approx({10: 0.004, 20: 0.004})
    assert read_curve(tmp_path, "gradient_norm") == {10: 0.5, 20: 0.5}
    assert read_curve(tmp_path, "steps_per_second") == {10: 8.0, 20: 8.0}
    assert read_curve(tmp_path, "waiting/batches") == pytest.approx({10: 0.05, 20: 0.05})
    assert read_curve(tmp_path, "waiting/checkpoints") == pytest.approx({10: 0.01, 20: 0.01})


def test_what_is_done_again_counts_once(tmp_path: Path) -> None:
    # Given a run that broke after step 30, and went on from a checkpoint of step 15
    with EventFiles(tmp_path) as files:
        for news in (Began(0), progress(10, 3.0), progress(20, 2.0), progress(30, 1.0)):
            files(news)
        for news in (Began(15), progress(25, 1.5)):
            files(news)

    assert read_curve(tmp_path, "bits_per_dim/train") == {10: 3.0, 25: 1.5}


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_pictures_are_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    png = encode_image(np.zeros(shape, np.uint8), {})
    with EventFiles(tmp_path) as files:
        files(Began(0))
        files(Picture(7, png))

    images = [
        (event.step, value.image.height, value.image.width)
        for event in read_events(tmp_path)
        for value in event.summary.value
        if value.HasField("image")
    ]
    assert images == [(7, 4, 6)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")

    with pytest.raises(StoreDenied, match="runs"), EventFiles(tmp_path / "runs") as files:
        files(Began(0))
