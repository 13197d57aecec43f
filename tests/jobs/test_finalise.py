"""From decided rows to the public table: complete, once, the same whoever makes it."""

import hashlib
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject, NotFound, RowsMissing, StoreUnavailable
from ancestral.jobs.finalise import Manifest, Part, finalise, read_manifest
from ancestral.jobs.ledger import RangeRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit

#: The module, which the function of the same name hides.
finalise_module = importlib.import_module("ancestral.jobs.finalise")

Commit = Callable[..., RangeRecord]
MakeJob = Callable[..., Job]


def decide(
    store: Store, job: Job, commit: Commit, statuses: str, units: list[Unit] | None = None
) -> None:
    """Accept the job and decide its units, each row by its letter; attempts are always the same."""
    store.put(layout.spec_path(job.job_id), job.to_json())
    for unit in job.units() if units is None else units:
        commit(store, job, unit, statuses[unit.start : unit.end], attempt=f"{unit.start:032x}")


def outputs(store: Store) -> dict[str, bytes]:
    """What finalising makes, by path."""
    paths = [
        path
        for path in store.list()
        if path.startswith("artifacts/")
        or path.endswith(("packs.txt", "manifest.json", "_SUCCESS"))
    ]
    return {path: store.read(path) for path in paths}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of ten rows with row groups of five."""
    monkeypatch.setattr(finalise_module, "PART_ROWS", 10)
    monkeypatch.setattr(finalise_module, "ROW_GROUP_ROWS", 5)


def test_a_job_is_published(store: Store, make_job: MakeJob, commit: Commit) -> None:
    # Given a job of three units, all decided
    job = make_job(8, 3)
    decide(store, job, commit, "oofroooo")
    # When it is finalised
    manifest = finalise(store, job.job_id)
    # Then the manifest says what became of it
    folder = "artifacts/model_name=digits/day=2026-11-22/job=digits-1"
    assert manifest == read_manifest(store, job.job_id)
    assert (manifest.state, manifest.rows) == ("done_with_errors", 8)
    assert (manifest.rows_ok, manifest.rows_failed, manifest.rows_rejected) == (6, 1, 1)
    assert manifest.index == store.uri_of(folder)
    assert manifest.parts == (
        Part(f"{folder}/outcome=failed/part-00000.parquet", 0, "failed", 1),
        Part(f"{folder}/outcome=ok/part-00000.parquet", 0, "ok", 6),
        Part(f"{folder}/outcome=rejected/part-00000.parquet", 0, "rejected", 1),
    )
    assert manifest.numerics == ("x86-64/reference/float32",)
    assert manifest.finished_at == "2026-11-22T15:30:08Z"
    assert manifest.sampling_seconds == 1.5
    # And the packs are listed with their absolute names
    packs = store.read(layout.packs_list_path(job.job_id)).decode().splitlines()
    assert manifest.packs == store.uri_of(layout.packs_list_path(job.job_id))
    assert packs == [
        store.uri_of(layout.pack_path(job.job_id, unit, f"{unit.start:032x}"))
        for unit in job.units()
    ]
    assert manifest.pack_count == 3
    assert manifest.pack_bytes == 6 * len("image 0")
    # And _SUCCESS seals the manifest
    sealed = hashlib.sha256(store.read(layout.manifest_path(job.job_id))).hexdigest()
    assert store.read(layout.success_path(job.job_id)).decode() == f"{sealed}\n"
    # And each outcome has its rows, sorted
    for part in manifest.parts:
        table = pq.read_table(pa.BufferReader(store.read(part.path)))
        assert set(table["status"].to_pylist()) == {part.outcome}
        assert table["ordinal"].to_pylist() == sorted(table["ordinal"].to_pylist())


@pytest.mark.parametrize(
    ("statuses", "state"),
    [("oooo", "done"), ("oror", "done"), ("ooof", "done_with_errors")],
)
def test_only_failed_rows_are_errors(
    local_store: Store, make_job: MakeJob, commit: Commit, statuses: str, state: str
) -> None:
    job = make_job(4, 2)
    decide(local_store, job, commit, statuses)
    assert finalise(local_store, job.job_id).state == state


@pytest.mark.parametrize("statuses", ["ffff", "rrrr"])
def test_a_job_without_an_ok_row_is_published_too(
    local_store: Store, make_job: MakeJob, commit: Commit, statuses: str
) -> None:
    # Given a job of which nothing came
    job = make_job(4, 2)
    decide(local_store, job, commit, statuses)
    # When it is finalised
    manifest = finalise(local_store, job.job_id)
    # Then the table of ok rows is there, and empty, and the whole table has its rows
    assert manifest.rows_ok == 0
    [ok] = [part for part in manifest.parts if part.outcome == "ok"]
    empty = pd.read_parquet(local_store.uri_of(ok.path))
    assert len(empty) == 0
    assert "condition_label" in empty.columns
    assert len(pd.read_parquet(manifest.index)) == 4
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{manifest.index}')").fetchall() == [(4,)]


def test_undecided_rows_are_named(local_store: Store, make_job: MakeJob, commit: Commit) -> None:
    # Given a job of ten units of which four are decided
    job = make_job(100, 10)
    decided = [Unit(20, 30), Unit(30, 40), Unit(50, 60), Unit(90, 100)]
    decide(local_store, job, commit, "o" * 100, decided)
    # When it is finalised, then the missing ranges are named and nothing is published
    with pytest.raises(RowsMissing) as caught:
        finalise(local_store, job.job_id)
    assert str(caught.value) == (
        "job digits-1 is not finished: 60 of 100 rows are undecided, "
        "ordinals [0, 20), [40, 50), [60, 90)"
    )
    assert outputs(local_store) == {}


def test_of_many_missing_ranges_the_first_are_named(
    local_store: Store, make_job: MakeJob, commit: Commit
) -> None:
    job = make_job(20, 1)
    decide(local_store, job, commit, "o" * 20, [Unit(n, n + 1) for n in range(1, 20, 2)])
    with pytest.raises(RowsMissing, match=r"\[0, 1\), .*, \[8, 9\) and 5 more$"):
        finalise(local_store, job.job_id)


def test_an_unknown_job_is_not_found(local_store: Store) -> None:
    with pytest.raises(NotFound):
        finalise(local_store, "digits-1")


def test_twice_makes_the_same(store: Store, make_job: MakeJob, commit: Commit) -> None:
    job = make_job(8, 3)
    decide(store, job, commit, "oofroooo")
    first = finalise(store, job.job_id)
    before = outputs(store)
    assert finalise(store, job.job_id) == first
    assert outputs(store) == before
    assert len(before) == 6


@pytest.mark.usefixtures("small_parts")
def test_two_stores_are_given_the_same_parts(
    tmp_path_factory: pytest.TempPathFactory, make_job: MakeJob, commit: Commit
) -> None:
    # Given the same records in one store
    store = open_store(str(tmp_path_factory.mktemp("lake")))
    job = make_job(47, 7)
    decide(store, job, commit, "ofrro" * 10)
    finalise(store, job.job_id)
    first = outputs(store)
    # When all that was made is taken away and made again
    for path in first:
        store.delete(path)
    finalise(store, job.job_id)
    # Then every byte is the same
    assert outputs(store) == first


@pytest.mark.usefixtures("small_parts")
def test_finalisers_at_once_make_what_one_makes(
    store: Store, make_job: MakeJob, commit: Commit
) -> None:
    # Given what one finaliser makes
    job = make_job(25, 4)
    decide(store, job, commit, "oofro" * 5)
    alone = finalise(store, job.job_id)
    expected = outputs(store)
    for path in expected:
        store.delete(path)
    # When four work at once
    with ThreadPoolExecutor(4) as pool:
        manifests = list(pool.map(lambda _: finalise(store, job.job_id), range(4)))
    # Then all of them have the same manifest, and every byte is what one makes
    assert manifests == [alone] * 4
    assert outputs(store) == expected


class MortalStore(Store):
    """A store whose client dies after a number of creations."""

    lives: int

    def create(self, path: str, data: bytes | memoryview) -> None:
        if self.lives == 0:
            raise StoreUnavailable("the finaliser was killed")
        self.lives -= 1
        super().create(path, data)


@pytest.mark.usefixtures("small_parts")
def test_a_finaliser_takes_over_wherever_another_died(
    local_store: Store, make_job: MakeJob, commit: Commit
) -> None:
    # Given what a finaliser makes that lives
    job = make_job(25, 4)
    decide(local_store, job, commit, "oofro" * 5)
    whole = finalise(local_store, job.job_id)
    expected = outputs(local_store)
    for lives in range(len(expected)):
        for path in expected:
            local_store.delete(path)
        # When one dies after that many outputs
        mortal = MortalStore(local_store.uri)
        mortal.lives = lives
        with pytest.raises(StoreUnavailable):
            finalise(mortal, job.job_id)
        assert len(outputs(local_store)) == lives
        # Then _SUCCESS is not there, and another makes the rest
        assert not local_store.exists(layout.success_path(job.job_id))
        assert finalise(local_store, job.job_id) == whole
        assert outputs(local_store) == expected


@pytest.mark.usefixtures("small_parts")
def test_parts_cover_fixed_ordinals(local_store: Store, make_job: MakeJob, commit: Commit) -> None:
    # Given units that do not fit into parts of ten rows
    job = make_job(25, 7)
    statuses = "ooooooooof" + "oooorooooo" + "ooooo"
    decide(local_store, job, commit, statuses)
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
    tmp_path_factory: pytest.TempPathFactory, make_job: MakeJob, commit: Commit
) -> None:
    # Given the same rows, bar what names the pack, committed in units of 4 and of 25 rows
    made = []
    for unit_rows in (4, 25):
        store = open_store(str(tmp_path_factory.mktemp("lake")))
        job = make_job(25, unit_rows)
        decide(store, job, commit, "oofro" * 5)
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


@given(
    st.lists(st.integers(0, 9), max_size=20).map(
        lambda sizes: [pa.table({"ordinal": list(range(size))}) for size in sizes]
    ),
    st.integers(1, 12),
)
def test_windows_keep_every_row_in_order(tables: list[pa.Table], size: int) -> None:
    windows = list(finalise_module._windows(iter(tables), size))
    rows = [row for table in tables for row in table["ordinal"].to_pylist()]
    assert [row for window in windows for row in window["ordinal"].to_pylist()] == rows
    assert all(window.num_rows == size for window in windows[:-1])
    assert all(0 < window.num_rows <= size for window in windows)


def test_a_damaged_part_publishes_nothing(
    local_store: Store, make_job: MakeJob, commit: Commit
) -> None:
    job = make_job(8, 3)
    decide(local_store, job, commit, "o" * 8)
    part = layout.attempt_path(job.job_id, Unit(3, 6), f"{3:032x}")
    local_store.put(part, local_store.read(part)[:-1])
    with pytest.raises(CorruptObject, match="attempts/000000000003-000000000006"):
        finalise(local_store, job.job_id)
    assert outputs(local_store) == {}


def test_what_is_no_manifest_is_corrupt(local_store: Store) -> None:
    assert read_manifest(local_store, "digits-1") is None
    for data in (b"", b"{}", b"[]", b'{"parts": 3}'):
        local_store.put(layout.manifest_path("digits-1"), data)
        with pytest.raises(CorruptObject):
            read_manifest(local_store, "digits-1")


def test_a_manifest_survives_its_json(
    local_store: Store, make_job: MakeJob, commit: Commit
) -> None:
    job = make_job(8, 3)
    decide(local_store, job, commit, "oofroooo")
    manifest = finalise(local_store, job.job_id)
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.usefixtures("small_parts")
def test_pandas_pyarrow_and_duckdb_read_the_index(
    local_store: Store, make_job: MakeJob, commit: Commit
) -> None:
    # Given a finished job of several parts
    job = make_job(25, 7)
    decide(local_store, job, commit, "oofro" * 5)
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
        assert table["ordinal"].tolist() == list(range(25))
        assert table["condition_label"].tolist() == [n % 10 for n in range(25)]
        assert (table["status"] == "ok").sum() == 15
    # And from the top the keys of the path are columns beside the table's own
    keys = duckdb.sql(
        f"SELECT DISTINCT model_name, CAST(day AS VARCHAR), job, outcome, status "
        f"FROM read_parquet('{local_store.uri}/artifacts/**/*.parquet') ORDER BY outcome"
    ).fetchall()
    assert keys == [
        ("digits", "2026-11-22", "digits-1", outcome, outcome)
        for outcome in ("failed", "ok", "rejected")
    ]


@pytest.mark.s3
def test_pandas_and_pyarrow_read_the_index_on_s3(
    s3_server: str, make_job: MakeJob, commit: Commit
) -> None:
    store = open_store("s3://ancestral-tests/readers")
    job = make_job(8, 3)
    decide(store, job, commit, "oofroooo")
    index = finalise(store, job.job_id).index
    assert len(pd.read_parquet(index)) == 8
    assert pq.read_table(index).num_rows == 8
