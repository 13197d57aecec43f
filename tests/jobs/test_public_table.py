"""The public table: the rows of a job by outcome, for everybody's readers."""

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs import public_table
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Intent, Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs.deciding import fields_of, make_job, seed_of
from tests.jobs.published import decide_all, outputs


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of ten rows with row groups of five; requests of cancelled rows are read by three."""
    monkeypatch.setattr(public_table, "PART_ROWS", 10)
    monkeypatch.setattr(public_table, "ROW_GROUP_ROWS", 5)
    monkeypatch.setattr(public_table, "CANCELLED_ROWS", 3)


@pytest.mark.usefixtures("small_parts")
def test_parts_cover_fixed_ordinals(local_store: Store) -> None:
    # Given units that do not fit into parts of ten rows
    job = make_job(25, 7)
    statuses = "ooooooooof" + "oooorooooo" + "ooooo"
    decide_all(local_store, job, statuses)
    # When the job is finalised
    manifest = finalise(local_store, job.job_id)
    # Then a part has the rows of its ten ordinals that ended in its way
    letters = {"ok": "o", "failed": "f", "rejected": "r"}
    seen = {}
    for part in manifest.parts:
        file = pq.ParquetFile(local_store.uri_of(part.path))
        assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [
            count
            for first in (part.number * 10, part.number * 10 + 5)
            if (count := statuses[first : first + 5].count(letters[part.outcome]))
        ]
        seen[part.outcome, part.number] = file.read()["ordinal"].to_pylist()
    assert seen == {
        ("ok", 0): list(range(9)),
        ("failed", 0): [9],
        ("ok", 1): [10, 11, 12, 13, 15, 16, 17, 18, 19],
        ("rejected", 1): [14],
        ("ok", 2): list(range(20, 25)),
    }


@pytest.mark.usefixtures("small_parts")
def test_part_files_do_not_depend_on_how_a_job_was_cut(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # Given the same rows, bar what names the pack, committed in units of 4 and of 25 rows
    made = []
    for unit_rows in (4, 25):
        store = open_store(str(tmp_path_factory.mktemp("lake")))
        job = decide_all(store, make_job(25, unit_rows), "oofro" * 5)
        finalise(store, job.job_id)
        tables = [
            pq.read_table(pa.BufferReader(data)).drop_columns(["uri", "offset", "attempt"])
            for path, data in outputs(store).items()
            if path.endswith(".parquet")
        ]
        made.append(tables)
    # Then the tables are the same, file by file
    assert made[0] == made[1]
    assert len(made[0]) == 9


@pytest.mark.usefixtures("small_parts")
def test_cancelled_rows_are_in_the_table_as_they_were_asked_for(local_store: Store) -> None:
    # Given a job that was cancelled when two of its units were decided
    job = decide_all(local_store, make_job(25, 5), "ofr" * 9, [Unit(5, 10), Unit(15, 20)])
    declare(local_store, job.job_id, Wanted.CANCEL, "a typo")
    # When it is published
    manifest = finalise(local_store, job.job_id)
    # Then its table has every row once, and those that were cancelled tell what was asked for
    rows = pq.read_table(manifest.index).sort_by("ordinal").to_pylist()
    assert [row["ordinal"] for row in rows] == list(range(25))
    assert (
        "".join(row["status"][0] for row in rows) == "ccccc" + "rofro" + "ccccc" + "ofrof" + "ccccc"
    )
    first, last = rows[0], rows[24]
    assert (first["request_id"], last["request_id"]) == ("request 0", "request 24")
    assert last["error"] == "the job was cancelled: a typo"
    assert (last["seed"], last["sample"]) == (seed_of(24), 0)
    assert last["condition_label"] == fields_of(24)["label"]
    assert last["created_at"].strftime("%Y-%m-%dT%H:%M:%SZ") == manifest.finished_at
    for column in ("uri", "sha256", "symbols_sha256", "log_likelihood_nats", "sampling_seconds"):
        assert last[column] is None
    for column in ("worker", "device", "attempt", "numerics"):
        assert last[column] == "none"
    # And they lie in parts of their own
    cancelled = {part.number: part.rows for part in manifest.parts if part.outcome == "cancelled"}
    assert cancelled == {0: 5, 1: 5, 2: 5}


@pytest.mark.usefixtures("small_parts")
def test_a_part_takes_no_records_but_those_that_have_rows_of_it(local_store: Store) -> None:
    # Given units that do not fit into parts of ten rows, two of which were cancelled
    units = [Unit(0, 7), Unit(14, 21), Unit(35, 38)]
    job = decide_all(local_store, make_job(38, 7), "o" * 38, units)
    ledger = Ledger(local_store, job.job_id)
    ledger.seal(job)
    # When
    parts = public_table.decided_by_part(ledger, ledger.cover(job), Intent(), job.rows)
    # Then
    made = [
        ([record.unit for record in part.records], list(part.cancelled), part.rows)
        for part in parts
    ]
    assert made == [
        ([Unit(0, 7)], [Unit(7, 10)], Unit(0, 10)),
        ([Unit(14, 21)], [Unit(10, 14)], Unit(10, 20)),
        ([Unit(14, 21)], [Unit(21, 30)], Unit(20, 30)),
        ([Unit(35, 38)], [Unit(30, 35)], Unit(30, 38)),
    ]


@given(
    st.lists(st.integers(0, 9), max_size=20).map(
        lambda sizes: [pa.table({"ordinal": list(range(size))}) for size in sizes]
    ),
    st.integers(1, 12),
)
def test_windows_keep_every_row_in_order(tables: list[pa.Table], size: int) -> None:
    windows = list(public_table.windows(iter(tables), size))
    rows = [row for table in tables for row in table["ordinal"].to_pylist()]
    assert [row for window in windows for row in window["ordinal"].to_pylist()] == rows
    assert all(window.num_rows == size for window in windows[:-1])
    assert all(0 < window.num_rows <= size for window in windows)


@pytest.mark.usefixtures("small_parts")
def test_pandas_pyarrow_and_duckdb_read_the_index(local_store: Store) -> None:
    # Given a finished job of several parts, and some rows that were cancelled
    job = decide_all(
        local_store, make_job(30, 5), "oofro" * 5, [Unit(n, n + 5) for n in range(0, 25, 5)]
    )
    declare(local_store, job.job_id, Wanted.CANCEL)
    index = finalise(local_store, job.job_id).index
    # When each reads the index by its own means
    query = f"SELECT ordinal, status, condition_label FROM read_parquet('{index}')"
    tables = [
        pd.read_parquet(index),
        pq.read_table(index).to_pandas(),
        ds.dataset(index, partitioning="hive").to_table().to_pandas(),
        duckdb.sql(query).df(),
    ]
    # Then each has every row once
    for table in tables:
        table = table.sort_values("ordinal")
        assert table["ordinal"].tolist() == list(range(30))
        assert table["condition_label"].tolist() == [n % 10 for n in range(30)]
        assert (table["status"] == "ok").sum() == 15
        assert (table["status"] == "cancelled").sum() == 5
    # And from the top the keys of the path are columns beside the table's own
    keys = duckdb.sql(
        f"SELECT DISTINCT model_name, CAST(day AS VARCHAR), job, outcome, status "
        f"FROM read_parquet('{local_store.uri}/artifacts/**/*.parquet') ORDER BY outcome"
    ).fetchall()
    assert keys == [
        ("digits", "2026-11-22", "digits-1", outcome, outcome)
        for outcome in ("cancelled", "failed", "ok", "rejected")
    ]


@pytest.mark.s3
def test_pandas_and_pyarrow_read_the_index_on_s3(s3_server: str) -> None:
    store = open_store("s3://ancestral-tests/readers")
    job = decide_all(store, make_job(8, 3), "oofroooo")
    index = finalise(store, job.job_id).index
    assert len(pd.read_parquet(index)) == 8
    assert pq.read_table(index).num_rows == 8
