"""From decided rows to the public table: complete, once, the same whoever makes it."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs import layout, public_table
from ancestral.jobs.errors import CorruptObject, NotFound, RowsMissing, StoreUnavailable
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.manifest import Part, read_manifest
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs.deciding import commit, lay_down, make_job, split
from tests.jobs.published import decide_all, outputs, unpublish


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of ten rows with row groups of five."""
    monkeypatch.setattr(public_table, "PART_ROWS", 10)
    monkeypatch.setattr(public_table, "ROW_GROUP_ROWS", 5)


def test_a_job_is_published(store: Store) -> None:
    # Given a job of three units, all decided
    job = decide_all(store, make_job(8, 3), "oofroooo")
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
def test_only_failed_rows_are_errors(local_store: Store, statuses: str, state: str) -> None:
    job = decide_all(local_store, make_job(4, 2), statuses)
    assert finalise(local_store, job.job_id).state == state


@pytest.mark.parametrize("statuses", ["ffff", "rrrr"])
def test_a_job_without_an_ok_row_is_published_too(local_store: Store, statuses: str) -> None:
    # Given a job of which nothing came
    job = decide_all(local_store, make_job(4, 2), statuses)
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


def test_undecided_rows_are_named(local_store: Store) -> None:
    # Given a job of ten units of which four are decided
    decided = [Unit(20, 30), Unit(30, 40), Unit(50, 60), Unit(90, 100)]
    job = decide_all(local_store, make_job(100, 10), "o" * 100, decided)
    # When it is finalised, then the missing ranges are named and nothing is published
    with pytest.raises(RowsMissing) as caught:
        finalise(local_store, job.job_id)
    assert str(caught.value) == (
        "job digits-1 is not finished: 60 of 100 rows are undecided, "
        "ordinals [0, 20), [40, 50), [60, 90)"
    )
    assert outputs(local_store) == {}


def test_of_many_missing_ranges_the_first_are_named(local_store: Store) -> None:
    job = decide_all(
        local_store, make_job(20, 1), "o" * 20, [Unit(n, n + 1) for n in range(1, 20, 2)]
    )
    with pytest.raises(RowsMissing, match=r"\[0, 1\), .*, \[8, 9\) and 5 more$"):
        finalise(local_store, job.job_id)


def test_an_unknown_job_is_not_found(local_store: Store) -> None:
    with pytest.raises(NotFound):
        finalise(local_store, "digits-1")


def test_twice_makes_the_same(store: Store) -> None:
    job = decide_all(store, make_job(8, 3), "oofroooo")
    first = finalise(store, job.job_id)
    before = outputs(store)
    assert finalise(store, job.job_id) == first
    assert outputs(store) == before
    assert len(before) == 6


@pytest.mark.usefixtures("small_parts")
def test_what_is_gone_of_a_published_table_is_made_anew(store: Store) -> None:
    job = decide_all(store, make_job(25, 4), "oofro" * 5)
    manifest = finalise(store, job.job_id)
    before = outputs(store)
    for path in (*(part.path for part in manifest.parts), layout.packs_list_path(job.job_id)):
        store.delete(path)

        assert finalise(store, job.job_id) == manifest

        assert outputs(store) == before


def test_a_published_table_is_not_made_anew_of_other_records(store: Store) -> None:
    # Given a finished job that somebody wanted to cancel in that moment
    job = decide_all(store, make_job(12, 4), "o" * 12)
    finalise(store, job.job_id)
    declare(store, job.job_id, Wanted.CANCEL)
    before = outputs(store)

    # When one of its records is gone, and something of the table
    store.delete(layout.record_path(job.job_id, Unit(4, 8)))
    store.delete(layout.packs_list_path(job.job_id))

    # Then the rows of that record do not become cancelled ones
    with pytest.raises(CorruptObject, match="records are gone of job digits-1"):
        finalise(store, job.job_id)
    assert outputs(store) == {
        path: data for path, data in before.items() if path != layout.packs_list_path(job.job_id)
    }
    assert not store.exists(layout.cancelled_path(job.job_id))


def test_a_published_table_is_not_added_to(store: Store) -> None:
    # Given a finished job of which a record was changed since, and a part is gone
    job = decide_all(store, make_job(8, 8), "oooooooo")
    manifest = finalise(store, job.job_id)
    (unit,) = job.units()
    store.delete(layout.record_path(job.job_id, unit))
    commit(store, job, unit, "ooooooof")
    store.delete(manifest.parts[0].path)

    with pytest.raises(CorruptObject, match=r"records of job digits-1 are not those of .*manifest"):
        finalise(store, job.job_id)
    assert not any("outcome=failed" in path for path in outputs(store))


@pytest.mark.usefixtures("small_parts")
def test_two_stores_are_given_the_same_parts(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Given the same records in one store
    store = open_store(str(tmp_path_factory.mktemp("lake")))
    job = decide_all(store, make_job(47, 7), "ofrro" * 10)
    finalise(store, job.job_id)
    first = outputs(store)
    # When all that was made is taken away and made again
    unpublish(store)
    finalise(store, job.job_id)
    # Then every byte is the same
    assert outputs(store) == first


@pytest.mark.usefixtures("small_parts")
def test_finalisers_at_once_make_what_one_makes(store: Store) -> None:
    # Given what one finaliser makes
    job = decide_all(store, make_job(25, 4), "oofro" * 5)
    alone = finalise(store, job.job_id)
    expected = outputs(store)
    unpublish(store)
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
def test_a_finaliser_takes_over_wherever_another_died(local_store: Store) -> None:
    # Given what a finaliser makes that lives
    job = decide_all(local_store, make_job(25, 4), "oofro" * 5)
    whole = finalise(local_store, job.job_id)
    expected = outputs(local_store)
    for lives in range(len(expected)):
        unpublish(local_store)
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


def test_a_damaged_part_publishes_nothing(local_store: Store) -> None:
    job = decide_all(local_store, make_job(8, 3), "o" * 8)
    part = layout.attempt_path(job.job_id, Unit(3, 6), f"{3:032x}")
    local_store.put(part, local_store.read(part)[:-1])
    with pytest.raises(CorruptObject, match="attempts/000000000003-000000000006"):
        finalise(local_store, job.job_id)
    assert outputs(local_store) == {}


def test_rows_of_split_units_are_published(store: Store) -> None:
    # Given a unit that was split, and that an attempt of before the split drew whole
    job = lay_down(store, make_job(8, 8))
    split(store, job, Unit(0, 8), 3)
    commit(store, job, Unit(0, 3), "ofo")
    commit(store, job, Unit(3, 8), "ooooo")
    late = layout.pack_path(job.job_id, Unit(0, 8), "f" * 32)
    store.put(late, b"drawn for nothing")
    # When the job is published
    manifest = finalise(store, job.job_id)
    # Then its rows are those of the halves, and no pack is listed but theirs
    assert (manifest.rows_ok, manifest.rows_failed, manifest.pack_count) == (7, 1, 2)
    packs = store.read(layout.packs_list_path(job.job_id)).decode().splitlines()
    assert len(packs) == 2
    assert store.uri_of(late) not in packs
