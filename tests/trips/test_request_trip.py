"""A request's whole trip, as a user makes it, and its results read by other people's tools."""

from __future__ import annotations

import gc
import io
import warnings
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import webdataset
from PIL import Image

from ancestral.workers.here import run_here
from tests.orchestration.shell import Shell
from tests.orchestration.tiny import LABELS, tiny_spec

pytestmark = [pytest.mark.ray, pytest.mark.redis]

#: What `run`, `submit` and `status` tell of every job.
PROMISED = {
    "job_id",
    "state",
    "rows",
    "rows_ok",
    "rows_failed",
    "rows_rejected",
    "output",
    "index",
}


def test_a_job_from_its_file_to_everybodys_readers(shell: Shell, tmp_path: Path) -> None:
    # Given
    lake = tmp_path / "lake"
    file = shell.write("job.yaml", tiny_spec(lake, samples=4, unit={"rows": 7}))

    # When
    job = shell.run_json("run", file, "--slots", "3")

    # Then the command tells what it promises
    assert job.keys() >= PROMISED
    assert (job["state"], job["rows"], job["rows_ok"]) == ("done", 40, 40)
    assert shell.run_json("status", job["job_id"]).items() <= job.items()
    assert "<html" in Path(job["report"]).read_text()

    # And pandas reads the index, in which every row is there once
    table = pd.read_parquet(job["index"])
    assert sorted(table["ordinal"]) == list(range(40))
    assert table["condition_label"].value_counts().to_dict() == dict.fromkeys(LABELS, 4)

    # And DuckDB reads it by SQL, the partitions of its path included
    query = f"select outcome, count(distinct sha256) from '{job['index']}/**/*.parquet' group by 1"
    outcomes = duckdb.sql(query).fetchall()
    assert [outcome for outcome, _ in outcomes] == ["ok"]
    assert outcomes[0][1] > 35

    # And webdataset streams the packs that count
    packs = (lake / "packs" / job["job_id"] / "packs.txt").read_text().split()
    with warnings.catch_warnings():
        # It leaves the files that it read to the garbage collector to close.
        warnings.simplefilter("ignore", ResourceWarning)
        samples = list(webdataset.WebDataset(packs, shardshuffle=False))
        gc.collect()
    assert sorted(int(sample["__key__"]) for sample in samples) == list(range(40))
    assert {Image.open(io.BytesIO(sample["png"])).size for sample in samples} == {(6, 5)}

    # And an artifact can be had by its byte range alone
    row = table.iloc[17]
    with open(row["uri"], "rb") as pack:
        pack.seek(row["offset"])
        image = Image.open(io.BytesIO(pack.read(row["length"])))
    assert image.size == (row["width"], row["height"])

    # And it can be downloaded
    told = shell.run_json("results", job["job_id"], "--to", "files")
    assert told["files"] == 40
    assert len(list((tmp_path / "files").glob("*.png"))) == 40

    # When it is drawn again, cut otherwise and by a single worker
    spec = tiny_spec(lake, samples=4, unit={"rows": 40})
    other = run_here(spec, settings=shell.settings, slots=64).table().to_pandas()

    # Then it is another job with the very same artifacts
    assert set(other["job_id"]).isdisjoint(table["job_id"])
    by_ordinal = [each.sort_values("ordinal")["sha256"].tolist() for each in (table, other)]
    assert by_ordinal[0] == by_ordinal[1]
