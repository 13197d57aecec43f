"""Training runs that take a moment: striped images, whose label says how bright they are; the same
in motion; and series."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.jobs.registry import Registry
from ancestral.orchestration.training.rank import Trained
from ancestral.orchestration.training.run import TrainingRun, plan_training


def table_of_stripes(folder: Path) -> str:
    """60 images of 4 x 4 pixels, 12 of them held out: the label says how bright they are."""
    draw = np.random.default_rng(0)
    rows = [
        {
            "image": (draw.integers(0, 2, (4, 4)) * 60 + 60 * (n % 3)).astype(np.uint8).tobytes(),
            "label": n % 3,
            "split": "test" if n % 5 == 0 else "train",
        }
        for n in range(60)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "stripes.parquet")
    return str(folder / "stripes.parquet")


def recipe(folder: Path, **training: Any) -> Recipe:
    usual = {"steps": 40, "batch_size": 8, "learning_rate": 0.03, "warmup_steps": 5}
    model = {"height": 4, "width": 4, "levels": 4, "embedding": 4, "channels": 6, "layers": 2}
    return read_recipe(
        {
            "name": "stripes",
            "family": "gated_pixelcnn",
            "model": {**model, "first_reach": 1, "head": 8},
            "data": {"path": table_of_stripes(folder), "fields": ["label"], "license": "CC0"},
            "training": {**usual, **training},
            "seed": 3,
        }
    )


def plan(folder: Path, **training: Any) -> TrainingRun:
    return plan_training(recipe(folder, **training), registry_in(folder))


def registry_in(folder: Path) -> Registry:
    return Registry(str(folder / "state"), folder / "cache")


def moving_stripes(folder: Path) -> Recipe:
    """Clips of three frames of 6 x 6 pixels, in which one of the stripes moves about."""
    model = {"height": 6, "width": 6, "levels": 2, "frames": 3, "embedding": 4, "channels": 6}
    encoder = {"encoder_channels": 6, "encoder_layers": 1}
    made = {"clips": 8, "held_out_clips": 2, "frames": 3, "canvas": 6, "digits": 1}
    return read_recipe(
        {
            "name": "moving-stripes",
            "family": "video_pixel",
            "model": {**model, **encoder, "layers": 1, "first_reach": 1, "head": 8},
            "data": {"path": table_of_stripes(folder), "moving_digits": made},
            "training": {"steps": 8, "batch_size": 4, "learning_rate": 0.03},
        }
    )


def waves(folder: Path) -> Recipe:
    """Series of 3,000 values: each is 3/4 of the one before it, and noise of unit variance."""
    draw = np.random.default_rng(0)
    rows = []
    for split in ("train", "train", "test"):
        series = [0.0]
        for noise in draw.normal(size=3000):
            series.append(0.75 * series[-1] + noise)
        rows.append({"series": series, "split": split})
    pq.write_table(pa.Table.from_pylist(rows), folder / "waves.parquet")
    return read_recipe(
        {
            "name": "waves",
            "family": "linear",
            "model": {"order": 1},
            "data": {"path": str(folder / "waves.parquet")},
        }
    )


def digest(trained: Trained) -> str:
    """What stands for all that decides what the network draws."""
    return hashlib.sha256(trained.files["config.json"]).hexdigest()
