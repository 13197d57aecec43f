"""Rows chosen by lot: spread over all that were drawn, none twice, the same for the same seed."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs import lot, public_table
from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.finalise import finalise
from ancestral.jobs.lot import choose, rows_drawn
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.store import Store
from tests.jobs.damaged import cancelled, finished
from tests.jobs.drawn import accept_job, draw

COLUMNS = ("ordinal", "status", "request_id")


def chosen(store: Store, manifest: Manifest, rows: int, seed: int = 0) -> list[dict[str, Any]]:
    return list(choose(store, manifest, rows, seed, COLUMNS))


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public table of parts of 8 rows of the job, in row groups of 3."""
    monkeypatch.setattr(public_table, "PART_ROWS", 8)
    monkeypatch.setattr(public_table, "ROW_GROUP_ROWS", 3)


@pytest.mark.usefixtures("in_parts")
def test_all_that_were_drawn_can_be_chosen_and_no_others(local_store: Store) -> None:
    # Given a job of 24 rows of which two failed and one was rejected
    job = finished(local_store)
    manifest = finalise(local_store, job.job_id)
    assert len(manifest.parts) > 4

    # When as many are chosen as were drawn
    rows = chosen(local_store, manifest, rows_drawn(manifest))

    # Then they are those, with what the table says of them
    assert rows_drawn(manifest) == 22
    assert sorted(row["ordinal"] for row in rows) == [n for n in range(24) if n not in (3, 23)]
    assert {row["ordinal"]: row["status"] for row in rows}[9] == "rejected"
    assert all(row["request_id"] == f"r{row['ordinal'] // 2}" for row in rows)


@pytest.mark.usefixtures("in_parts")
def test_a_seed_chooses_the_same_rows_each_time(local_store: Store) -> None:
    manifest = finalise(local_store, finished(local_store).job_id)

    several = [chosen(local_store, manifest, 5, seed) for seed in (0, 0, 1)]

    assert several[0] == several[1] != several[2]
    assert len(several[0]) == 5


def test_of_a_cancelled_job_only_what_was_drawn_is_chosen(local_store: Store) -> None:
    manifest = finalise(local_store, cancelled(local_store).job_id)

    rows = chosen(local_store, manifest, 8)

    assert [row["ordinal"] for row in rows] == list(range(8, 16))


def test_a_part_without_a_chosen_row_is_not_read(
    local_store: Store, in_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = finalise(local_store, finished(local_store).job_id)
    read: list[str] = []
    monkeypatch.setattr(Store, "read", _noting(read))

    (row,) = chosen(local_store, manifest, 1)

    assert len(read) == 1 and f"outcome={row['status']}" in read[0]


def _noting(read: list[str]) -> Any:
    before = Store.read

    def note(self: Store, path: str) -> bytes:
        read.append(path)
        return before(self, path)

    return note


def test_a_table_that_is_damaged_is_named(local_store: Store) -> None:
    job = accept_job(local_store)
    for unit in job.units():
        draw(local_store, job, unit)
    manifest = finalise(local_store, job.job_id)
    (part,) = manifest.parts

    local_store.put(part.path, b"no table")
    with pytest.raises(CorruptObject, match=r"part-00000.parquet is no part of the table: "):
        chosen(local_store, manifest, 3)

    table = pa.table({"ordinal": [0, 1]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    local_store.put(part.path, memoryview(sink.getvalue()))
    with pytest.raises(CorruptObject, match="does not have the 24 rows of the manifest"):
        chosen(local_store, manifest, 3)


@given(st.data())
def test_places_rise_one_in_each_stratum(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 1000))
    rows = data.draw(st.integers(1, total))

    found = list(lot.places(total, rows, data.draw(st.integers(0, 99))))

    assert len(found) == rows
    for number, place in enumerate(found):
        assert number * total // rows <= place < (number + 1) * total // rows


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_places_are_found_in_the_pieces_that_hold_them(sizes: list[int]) -> None:
    held = list(lot._located(sizes, range(sum(sizes))))

    assert held == [(number, list(range(size))) for number, size in enumerate(sizes) if size]
