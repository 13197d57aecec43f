"""A job into a folder of Parquet that has its artifacts, as Hugging Face `datasets` reads it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from ancestral.jobs import export_hf
from ancestral.jobs.errors import CorruptObject, UsageError
from ancestral.jobs.export import export
from ancestral.jobs.results import Results
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from tests.jobs.bundles import CLIPS, SERIES, SPEECH, write_bundle
from tests.jobs.finished import finished, image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def features_of(file: Path) -> dict[str, Any]:
    metadata = pq.read_schema(file).metadata
    features: dict[str, Any] = json.loads(metadata[b"huggingface"])["info"]["features"]
    return features


def test_rows_have_the_index_and_their_artifacts(local_store: Store, folder: Path) -> None:
    # Given a job with rows that failed and were rejected
    job = finished(local_store, "oofroo")

    # When all that has artifacts is exported
    export(local_store, job, "hf", str(folder), rejected=True)

    # Then each kind of rows is a split, with the columns of the index and the artifacts' bytes
    index = Results(local_store, job).table()
    rows = {}
    for split in ("train", "rejected"):
        table = pq.read_table(folder / "data" / f"{split}-00000-of-00001.parquet")
        assert table.column_names == [*index.column_names, "image"]
        rows[split] = table.to_pylist()
    assert [row["ordinal"] for row in rows["train"]] == [0, 1, 4, 5]
    (rejected,) = rows["rejected"]
    assert rejected.pop("image") == {"bytes": image(3), "path": "request%203-0.png"}
    assert rejected == index.to_pylist()[3]


def test_files_have_so_many_bytes_and_row_groups_too(
    local_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given packs of about 2,300 bytes a row
    job = finished(local_store, "o" * 11)
    monkeypatch.setattr(export_hf, "SHARD_BYTES", 10_000)
    monkeypatch.setattr(export_hf, "GROUP_BYTES", 6_000)

    export(local_store, job, "hf", str(folder))

    files = sorted((folder / "data").iterdir())
    assert [file.name for file in files] == [
        f"train-0000{number}-of-00003.parquet" for number in range(3)
    ]
    groups = []
    for file in files:
        metadata = pq.ParquetFile(file).metadata
        groups.append([metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)])
    assert groups == [[2, 2], [2, 2], [2, 1]]
    found = pq.read_table(folder / "data")["image"].to_pylist()
    assert [each["bytes"] for each in found] == [image(ordinal) for ordinal in range(11)]


def test_an_export_that_was_interrupted_goes_on(
    local_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an export of which one file is missing
    job = finished(local_store, "o" * 8)
    monkeypatch.setattr(export_hf, "SHARD_BYTES", 6_000)
    export(local_store, job, "hf", str(folder))
    files = {file: file.read_bytes() for file in folder.rglob("*.*")}
    missing = folder / "data" / "train-00001-of-00004.parquet"
    missing.unlink()

    # When it is done again, where what is there already could not be read any more
    path = Results(local_store, job).table()["uri"][4].as_py()
    Path(path).write_bytes(b"damaged")
    assert export(local_store, job, "hf", str(folder)).added == 2

    # Then the files are what they were
    assert {file: file.read_bytes() for file in folder.rglob("*.*")} == files


def test_damaged_artifacts_are_not_exported(local_store: Store, folder: Path) -> None:
    job = finished(local_store, "oo")
    pack = Path(Results(local_store, job).table()["uri"][0].as_py())
    pack.write_bytes(pack.read_bytes().replace(image(1), b"IMAGE 01"))

    with pytest.raises(CorruptObject, match=r"row 1 \('request 1'\) is not what was written"):
        export(local_store, job, "hf", str(folder))

    assert [file.name for file in folder.rglob("*.*")] == ["README.md"]


def test_a_folder_is_of_one_job(local_store: Store, folder: Path) -> None:
    job, other = (finished(local_store, "oo", job_id=name) for name in ("digits-1", "digits-2"))
    export(local_store, job, "hf", str(folder))

    with pytest.raises(UsageError, match=r"README\.md is of another dataset than of job digits-2"):
        export(local_store, other, "hf", str(folder))


def test_the_card_may_be_edited(local_store: Store, folder: Path) -> None:
    job = finished(local_store, "oo")
    export(local_store, job, "hf", str(folder))
    card = folder / "README.md"
    card.write_text(card.read_text().replace("# digits", "# Our digits"))

    assert export(local_store, job, "hf", str(folder)).added == 0
    assert "# Our digits" in card.read_text()


def told_by_the_card(store: Store, job: Job, folder: Path) -> str:
    export(store, job, "hf", str(folder))
    return (folder / "README.md").read_text()


def test_the_card_tells_the_facts_of_the_job(local_store: Store, folder: Path) -> None:
    card = told_by_the_card(local_store, finished(local_store, "oofr"), folder)

    assert card.startswith(
        "---\npretty_name: digits\ntags:\n- synthetic\n- image\n---\n\n# digits\n"
    )
    assert "Artifacts (image) that the model `digits` (pixelcnn) drew." in card
    assert f"| model | `digits`, sha256 `{'d' * 64}` |" in card
    assert "| sampling | seed 0, temperature 1.0 |" in card
    assert "| rows | 2 ok, 1 rejected by a gate |" in card
    assert "| licence of what the model learnt from | not stated |" in card


def test_the_card_tells_the_licence_that_the_models_card_tells(
    local_store: Store, folder: Path, tmp_path: Path
) -> None:
    # Given a model whose card names one
    write_bundle(tmp_path / "model")
    (tmp_path / "model" / "card.md").write_text("## Data\n\n`d20`. Licence: BSD-3-Clause; ours\n")
    job = finished(local_store, "o")
    model = job.model.model_copy(update={"uri": str(tmp_path / "model")})

    card = told_by_the_card(local_store, job.model_copy(update={"model": model}), folder)

    assert "| licence of what the model learnt from | BSD-3-Clause; ours |" in card


def npy(ordinal: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(3) + ordinal / 2)
    return file.getvalue()


@pytest.mark.parametrize(
    ("signature", "media_type", "media", "feature"),
    [
        (SPEECH, "audio/flac", {}, {"_type": "Audio", "sampling_rate": 8000}),
        (CLIPS, "image/webp", {}, {"_type": "Image"}),
        (CLIPS, "video/mp4", {"video": "mp4"}, {"_type": "Video"}),
    ],
)
def test_media_are_what_datasets_calls_them(
    local_store: Store,
    folder: Path,
    signature: dict[str, Any],
    media_type: str,
    media: dict[str, str],
    feature: dict[str, Any],
) -> None:
    job = finished(
        local_store,
        "o",
        signature=signature,
        conditioning=lambda ordinal: {},
        media_type=media_type,
        media=media,
    )

    export(local_store, job, "hf", str(folder))

    file = folder / "data" / "train-00000-of-00001.parquet"
    medium = signature["medium"]
    assert features_of(file)[medium] == feature
    (artifact,) = pq.read_table(file)[medium].to_pylist()
    assert artifact["bytes"] == image(0)
    assert artifact["path"].endswith(media_type.partition("/")[2])


def test_series_are_numbers(local_store: Store, folder: Path) -> None:
    job = finished(
        local_store,
        "oo",
        signature=SERIES,
        conditioning=lambda ordinal: {"length": 3, "initial": [0.5, 0.5, ordinal]},
        media_type="application/x-npy",
        artifact=npy,
    )

    export(local_store, job, "hf", str(folder))

    file = folder / "data" / "train-00000-of-00001.parquet"
    assert pq.read_table(file)["series"].to_pylist() == [[0.0, 1.0, 2.0], [0.5, 1.5, 2.5]]
    numbers = {"_type": "List", "feature": {"_type": "Value", "dtype": "float64"}}
    assert features_of(file)["series"] == features_of(file)["condition_initial"] == numbers


def test_datasets_opens_the_folder(
    local_store: Store, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given images of a job, of which one was rejected
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset
    from PIL import Image

    def picture(ordinal: int) -> bytes:
        file = io.BytesIO()
        Image.new("L", (3 + ordinal, 2)).save(file, "png")
        return file.getvalue()

    job = finished(local_store, "oro", artifact=picture)
    export(local_store, job, "hf", str(folder), rejected=True)

    # When it is loaded by its folder, and as Parquet
    dataset = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    cache = str(tmp_path / "more")
    plain = load_dataset("parquet", data_dir=str(folder), split="train", cache_dir=cache)

    # Then the splits have what was made, decoded
    assert {name: split["ordinal"][:] for name, split in dataset.items()} == {
        "train": [0, 2],
        "rejected": [1],
    }
    assert [row["image"].size for row in dataset["train"]] == [(3, 2), (5, 2)]
    assert [row["image"].size for row in plain] == [(3, 2), (5, 2)]
    assert plain[1]["created_at"] == Results(local_store, job).table()["created_at"][2].as_py()
