"""A job into a Delta table, read back by the library itself."""

from __future__ import annotations

import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from ancestral.jobs import export_delta
from ancestral.jobs.errors import CorruptObject, StoreDenied, StoreUnavailable, UsageError
from ancestral.jobs.export import export
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.results import Results
from ancestral.jobs.store import Store, open_store
from tests.jobs.deciding import SIGNATURE
from tests.jobs.finished import finished
from tests.seaweed import READER

#: Of a model that is asked for something else, and calls the label otherwise.
OTHER = {
    **SIGNATURE,
    "fields": {
        "label": {"type": "category", "values": [0, 1], "description": "which of two"},
        "code": {"type": "vector", "length": 2},
    },
}


def rows_of(table: str) -> pa.Table:
    return (
        deltalake.DeltaTable(table)
        .to_pyarrow_table()
        .sort_by([("job_id", "ascending"), ("ordinal", "ascending")])
    )


@pytest.fixture
def table(tmp_path: Path) -> str:
    return str(tmp_path / "table")


def test_the_table_has_the_columns_and_rows_of_the_index(local_store: Store, table: str) -> None:
    job = finished(local_store, "oofooo")

    export(local_store, job, "delta", table)

    index = Results(local_store, job).table()
    found = rows_of(table)
    assert found.column_names == index.column_names
    assert found.to_pylist() == [row for row in index.to_pylist() if row["status"] == "ok"]
    about = {field.name: field.metadata for field in deltalake.DeltaTable(table).schema().fields}
    assert about["condition_label"] == {"comment": "the digit"}


def test_jobs_of_other_models_bring_columns_along(local_store: Store, table: str) -> None:
    # Given two jobs that share one of their fields
    one = finished(local_store, "oo")
    other = finished(
        local_store,
        "oo",
        job_id="digits-2",
        signature=OTHER,
        conditioning=lambda ordinal: {"label": 1, "code": [0.5, ordinal]},
    )

    # When both are exported
    for job in (one, other):
        export(local_store, job, "delta", table)

    # Then each has what it was asked for, and the table describes the label as it did
    found = rows_of(table)
    assert found["condition_label"].to_pylist() == [0, 1, 1, 1]
    assert found["condition_style"].to_pylist() == ["thin", "thin", None, None]
    assert found["condition_code"].to_pylist() == [None, None, [0.5, 0.0], [0.5, 1.0]]
    about = {field.name: field.metadata for field in deltalake.DeltaTable(table).schema().fields}
    assert about["condition_label"] == {"comment": "the digit"}
    assert about["condition_code"] == {"comment": "the request's code"}


def test_a_column_of_another_type_is_refused(local_store: Store, table: str) -> None:
    # Given a table with whole numbers in a column, and a job with others
    export(local_store, finished(local_store, "oo"), "delta", table)
    field = {"type": "number", "minimum": 0, "maximum": 9}
    other = finished(
        local_store,
        "oo",
        job_id="digits-2",
        signature={**SIGNATURE, "fields": {"label": field}},
        conditioning=lambda ordinal: {"label": 1.5},
    )

    with pytest.raises(UsageError, match="'condition_label' as long, and the job as double"):
        export(local_store, other, "delta", table)

    assert rows_of(table).num_rows == 2


def test_a_job_of_another_state_may_have_the_same_id(tmp_path: Path, table: str) -> None:
    stores = [open_store(str(tmp_path / name)) for name in ("here", "there")]
    here, there = (finished(store, "oo") for store in stores)
    there = there.model_copy(update={"submitted_at": "2026-11-23T00:00:00Z"})

    done = [export(*pair, "delta", table) for pair in zip(stores, (here, there), strict=True)]

    assert [each.added for each in done] == [2, 2]


def just_before_we_append(monkeypatch: pytest.MonkeyPatch, others: Callable[[], object]) -> None:
    """Has others do something once, after we have looked at the table. From within our appending
    they could not: on one processor the library has a single thread for both."""
    append = export_delta._append

    def late(*given: Any) -> None:
        monkeypatch.setattr(export_delta, "_append", append)
        others()
        append(*given)

    monkeypatch.setattr(export_delta, "_append", late)


def test_of_two_who_export_the_same_job_at_once_one_fails(
    local_store: Store, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given somebody who exports the job while we do
    job = finished(local_store, "oooo")
    others = []
    just_before_we_append(
        monkeypatch, lambda: others.append(export(local_store, job, "delta", table).added)
    )

    # When we come to the end
    with pytest.raises(StoreUnavailable, match="somebody else wrote to the table at the same time"):
        export(local_store, job, "delta", table)

    # Then the rows are there once, as a second try finds
    assert others == [4]
    assert export(local_store, job, "delta", table).added == 0
    assert rows_of(table).num_rows == 4


def test_others_may_append_their_jobs_meanwhile(
    local_store: Store, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, other = (finished(local_store, "oooo", job_id=name) for name in ("digits-1", "digits-2"))
    just_before_we_append(monkeypatch, lambda: export(local_store, other, "delta", table))

    export(local_store, job, "delta", table)

    assert rows_of(table)["job_id"].to_pylist() == ["digits-1"] * 4 + ["digits-2"] * 4


def test_a_damaged_part_of_the_index_is_named_and_nothing_appended(
    local_store: Store, table: str
) -> None:
    job = finished(local_store, "oooo")
    manifest = read_manifest(local_store, job.job_id)
    assert manifest is not None
    local_store.put(manifest.parts[0].path, b"damaged")

    with pytest.raises(CorruptObject, match=r"part-00000\.parquet is no part of the table"):
        export(local_store, job, "delta", table)

    assert rows_of(table).num_rows == 0


def test_who_presses_ctrl_c_is_heard_and_nothing_is_appended(
    local_store: Store, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given rows that are handed over one by one, of which all would take 20 s
    monkeypatch.setattr(export_delta, "BATCH_ROWS", 1)
    job = finished(local_store, "o" * 40)
    main = threading.main_thread().ident
    assert main is not None

    def press(behind: int, total: int) -> None:
        if behind == 1:
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.5)

    with pytest.raises(KeyboardInterrupt):
        export(local_store, job, "delta", table, progress=press)

    assert rows_of(table).num_rows == 0


def test_what_is_in_the_way_is_said(local_store: Store, tmp_path: Path) -> None:
    job = finished(local_store, "oo")
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreDenied, match=r"cannot write to the Delta table .*/file: \w"):
        export(local_store, job, "delta", str(tmp_path / "file"))


def test_without_the_library_it_is_said_what_to_install(
    local_store: Store, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)

    with pytest.raises(UsageError, match=r"this needs deltalake: pip install 'ancestral\[lake\]'"):
        export(local_store, finished(local_store, "oo"), "delta", table)


@pytest.mark.s3
def test_a_table_in_a_bucket(
    local_store: Store, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job that is in a bucket's table
    table = f"s3://ancestral-tests/{uuid.uuid4().hex}"
    job, other = (finished(local_store, "ooo", job_id=name) for name in ("digits-1", "digits-2"))
    for added in (3, 0):
        assert export(local_store, job, "delta", table).added == added
    options = {"allow_http": "true"}
    assert deltalake.DeltaTable(table, storage_options=options).to_pyarrow_table().num_rows == 3

    # When somebody who may only read it exports another
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER[1])
    with pytest.raises(StoreDenied, match="lacked the necessary privileges") as caught:
        export(local_store, other, "delta", table)

    # Then no secret is told
    assert READER[1] not in str(caught.value) and "<" not in str(caught.value)
