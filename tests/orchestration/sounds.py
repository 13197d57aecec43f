"""Tables of words, and recipes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs.recipe import Recipe, read_recipe

RATE_HZ = 8000


def noise(seconds: float) -> np.ndarray:
    """A sound (T,) int16."""
    samples = round(RATE_HZ * seconds)
    return np.random.default_rng(0).integers(-3000, 3000, samples).astype(np.int16)


def words(
    rows: list[dict[str, Any]],
    folder: Path,
    fields: tuple[str, ...] = ("digit", "speaker"),
    **model: Any,
) -> Recipe:
    """A recipe for sounds in a table of these rows; what they leave out is usual."""
    usual = {
        "codec": "pcm_s16le",
        "sample_rate": RATE_HZ,
        "speaker": "ada",
        "digit": 1,
        "split": "train",
    }
    path = folder / "words.parquet"
    pq.write_table(pa.Table.from_pylist([{**usual, **row} for row in rows]), path)
    return read_recipe(
        {
            "name": "words",
            "family": "wavenet",
            "model": model,
            "data": {"path": str(path), "fields": list(fields)},
            "training": {"steps": 1, "batch_size": 1},
        }
    )
