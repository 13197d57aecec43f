"""A training run that takes a moment: striped images, whose label says how bright they are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.orchestration.rank import Trained
from ancestral.orchestration.training import TrainingRun, plan_training


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
    return plan_training(recipe(folder, **training), str(folder / "state"))


def digest(trained: Trained) -> str:
    """What stands for all that decides what the network draws."""
    return hashlib.sha256(trained.files["config.json"]).hexdigest()
