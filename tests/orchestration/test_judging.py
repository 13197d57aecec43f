"""Jobs of a tiny network, judged by tables that are made of what it drew."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ancestral.jobs.results import Results
from ancestral.jobs.settings import Settings
from ancestral.models import GatedPixelCNN, GatedPixelCNNConfig, save_bundle
from ancestral.orchestration.judging import judge_job
from ancestral.workers.here import run_here
from ancestral.workers.images import decode_image


def drawn(labels: tuple[int, ...], asked: list[int], folder: Path) -> Results:
    """A finished job of a network that knows these labels."""
    torch.manual_seed(0)
    config = GatedPixelCNNConfig(
        height=4, width=5, levels=4, labels=labels, embedding=4, channels=6, layers=2, head=6
    )
    save_bundle(folder / "bundle", GatedPixelCNN(config).eval(), card="A tiny one.", metrics={})
    spec = {
        "name": "tiny",
        "model": str(folder / "bundle"),
        "grid": {"label": asked},
        "output": str(folder / "lake"),
        "on_invalid": "record",
    }
    settings = Settings(folder / "home", str(folder / "home" / "state"))
    return run_here(spec, settings=settings, slots=8)


def test_images_by_label_are_judged_beside_both_splits_of_the_table(tmp_path: Path) -> None:
    # Given a table that trains on the very images that the job drew, and holds out blank ones
    results = drawn((0, 1, 2, 3), [0, 1, 2, 3], tmp_path)
    images = [decode_image(artifact.bytes())[0].tobytes() for artifact in results]
    table = {
        "image": [*images, *images, *images, bytes(20)],
        "label": [0, 1, 2, 3] * 3 + [2],
        "split": ["train"] * 12 + ["test"],
    }
    pq.write_table(pa.table(table), tmp_path / "real.parquet")

    # When
    judgement = judge_job(results, str(tmp_path / "real.parquet"))

    # Then
    assert judgement is not None
    assert (judgement.judged, judgement.held_out) == (4, 1)
    assert (judgement.accuracy, judgement.copies) == (1.0, 1.0)


def test_a_job_without_any_ok_row_is_not_judged(tmp_path: Path) -> None:
    assert judge_job(drawn((0, 1), [7], tmp_path), "digits20") is None
