"""Real ones of small tables."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.orchestration.report.items import Item
from ancestral.orchestration.report.real import RealOnes, real_ones
from ancestral.workers.images import decode_image
from ancestral.workers.sounds import decode_audio
from tests.orchestration.sounds import RATE_HZ, noise, words

IMAGES = {"medium": "image", "shape": [2, 3], "levels": 256, "fields": {}}
SOUNDS = {"medium": "audio", "shape": [None], "sample_rate_hz": RATE_HZ, "fields": {}}


def pictures(folder: Path, rows: list[tuple[int, str, str]]) -> Recipe:
    """A recipe for images of one grey each in a table of such greys, kinds and splits."""
    columns: dict[str, Any] = {
        "image": [bytes([grey] * 6) for grey, _, _ in rows],
        "kind": [kind for _, kind, _ in rows],
        "split": [split for _, _, split in rows],
    }
    pq.write_table(pa.table(columns), folder / "pictures.parquet")
    return read_recipe(
        {
            "name": "pictures",
            "family": "pixelcnn",
            "data": {"path": str(folder / "pictures.parquet"), "fields": {"label": "kind"}},
            "training": {"steps": 1, "batch_size": 1},
        }
    )


def bytes_of(item: Item) -> bytes:
    return base64.b64decode(item.data.partition(",")[2])


def greys(items: list[Item]) -> list[int]:
    return [int(decode_image(bytes_of(item))[0][0, 0]) for item in items]


def test_held_out_pictures_of_what_was_asked_for_are_given_once(tmp_path: Path) -> None:
    rows = [(1, "a", "test"), (2, "b", "test"), (3, "a", "train"), (4, "a", "test")]
    real = RealOnes(pictures(tmp_path, [*rows, (5, "a", "test")]), IMAGES)

    first, second, third = real({"label": "a"}, 2), real({"label": "a"}, 2), real({}, 5)

    assert [greys(items) for items in (first, second, third)] == [[1, 4], [5], [2]]
    assert [item.name for item in first] == ["real: label a"] * 2
    assert decode_image(bytes_of(first[0]))[0].shape == (2, 3)


def test_sounds_are_as_loud_as_those_that_were_learnt_from(tmp_path: Path) -> None:
    # Given a quiet sound, and a recipe that has sounds at -20 dBFS, as it does by default
    sound = (noise(0.1) / 10).astype("<i2")
    recipe = words([{"audio": sound.tobytes(), "split": "test"}], tmp_path)

    (item,) = RealOnes(recipe, SOUNDS)({"digit": 1, "speaker": "ada"}, 1)

    given = decode_audio(bytes_of(item))[0].astype(np.float64) / 32768
    assert 10 * np.log10((given**2).mean()) == pytest.approx(-20, abs=0.5)
    assert (item.length, bool(item.spectrogram)) == ("0.10 s", True)


def test_without_the_table_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANCESTRAL_DATA", raising=False)
    recipe = pictures(tmp_path, [(1, "a", "test")])
    missing = recipe.model_copy(update={"data": recipe.data.model_copy(update={"path": "piano"})})

    assert real_ones(missing, IMAGES) is None
    assert real_ones(recipe, IMAGES) is not None
