"""A job into an Iceberg table, read back by PyIceberg, with a catalog of SQLite."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.transforms import IdentityTransform

from ancestral.jobs import export_iceberg
from ancestral.jobs.errors import StoreUnavailable, UsageError
from ancestral.jobs.export import export
from ancestral.jobs.results import Results
from ancestral.jobs.store import Store
from tests.jobs.catalogs import configure, sqlite_catalog
from tests.jobs.deciding import SIGNATURE
from tests.jobs.finished import finished

TABLE = "lake.digits"


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """What others see of the catalog."""
    sqlite_catalog(tmp_path, monkeypatch)
    with load_catalog() as catalog:
        yield catalog


def rows_of(catalog: Catalog) -> pa.Table:
    found = catalog.load_table(TABLE).scan().to_arrow()
    return found.sort_by([("job_id", "ascending"), ("ordinal", "ascending")])


def test_the_table_has_the_columns_and_rows_of_the_index(
    local_store: Store, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given rows that are appended by three
    monkeypatch.setattr(export_iceberg, "APPEND_ROWS", 3)
    job = finished(local_store, "oofooo")

    done = export(local_store, job, "iceberg", TABLE)

    index = Results(local_store, job).table()
    found = rows_of(catalog)
    assert found.column_names == index.column_names
    assert found.to_pylist() == [row for row in index.to_pylist() if row["status"] == "ok"]
    table = catalog.load_table(TABLE)
    assert done.uri == table.location()
    assert table.schema().find_field("condition_label").doc == "the digit"


def test_jobs_of_other_models_bring_columns_along(local_store: Store, catalog: Catalog) -> None:
    # Given two jobs that share a field, which their models describe in other words
    label = {"type": "category", "values": [0, 1], "description": "which of two"}
    one = finished(local_store, "oo")
    other = finished(
        local_store,
        "oo",
        job_id="digits-2",
        signature={
            **SIGNATURE,
            "fields": {"label": label, "code": {"type": "vector", "length": 2}},
        },
        conditioning=lambda ordinal: {"label": 1, "code": [0.5, ordinal]},
    )

    for job in (one, other):
        export(local_store, job, "iceberg", TABLE)

    found = rows_of(catalog)
    assert found["condition_label"].to_pylist() == [0, 1, 1, 1]
    assert found["condition_style"].to_pylist() == ["thin", "thin", None, None]
    assert found["condition_code"].to_pylist() == [None, None, [0.5, 0.0], [0.5, 1.0]]
    assert catalog.load_table(TABLE).schema().find_field("condition_label").doc == "the digit"


def test_a_column_of_another_type_is_refused(local_store: Store, catalog: Catalog) -> None:
    export(local_store, finished(local_store, "oo"), "iceberg", TABLE)
    other = finished(
        local_store,
        "oo",
        job_id="digits-2",
        signature={**SIGNATURE, "fields": {"label": {"type": "category", "values": ["one"]}}},
        conditioning=lambda ordinal: {"label": "one"},
    )

    with pytest.raises(UsageError, match="condition_label: long -> string: export the job to a"):
        export(local_store, other, "iceberg", TABLE)

    assert rows_of(catalog).num_rows == 2


def test_a_table_of_somebody_elses_may_be_partitioned(local_store: Store, catalog: Catalog) -> None:
    columns = pa.schema([("model", pa.string()), ("owner", pa.string())])
    catalog.create_namespace("lake")
    table = catalog.create_table(TABLE, columns)
    with table.update_spec() as update:
        update.add_field("model", IdentityTransform(), "model")

    export(local_store, finished(local_store, "ooo"), "iceberg", TABLE)

    assert rows_of(catalog).select(["model", "owner", "ordinal"]).to_pylist() == [
        {"model": "digits", "owner": None, "ordinal": ordinal} for ordinal in range(3)
    ]


def test_a_table_that_wants_more_than_the_job_has_is_named(
    local_store: Store, catalog: Catalog
) -> None:
    catalog.create_namespace("lake")
    catalog.create_table(TABLE, pa.schema([pa.field("owner", pa.string(), nullable=False)]))

    with pytest.raises(UsageError, match=r"lake\.digits: .*owner"):
        export(local_store, finished(local_store, "oo"), "iceberg", TABLE)


def test_of_two_who_export_the_same_job_at_once_one_fails(
    local_store: Store, catalog: Catalog
) -> None:
    # Given somebody who exports the job while we do
    job = finished(local_store, "oooo")
    others = []

    def meanwhile(behind: int, total: int) -> None:
        others.append(export(local_store, job, "iceberg", TABLE).added)

    # When we come to the end
    with pytest.raises(StoreUnavailable, match="somebody else wrote to the table at the same time"):
        export(local_store, job, "iceberg", TABLE, progress=meanwhile)

    # Then the rows are there once, as a second try finds
    assert others == [4]
    assert export(local_store, job, "iceberg", TABLE).added == 0
    assert rows_of(catalog).num_rows == 4


@pytest.mark.parametrize("name", ["digits", "lake.", ".digits", "lake..digits", "s3://lake"])
def test_a_table_is_called_by_its_namespace(local_store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="an Iceberg table is called NAMESPACE"):
        export(local_store, finished(local_store, "oo"), "iceberg", name)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, "PyIceberg's configuration: URI missing"),
        ({"type": "hive", "uri": "thrift://localhost:1"}, r"pip install 'pyiceberg\[hive\]'"),
    ],
)
def test_a_catalog_that_is_not_configured_is_wrong_use(
    local_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    properties: dict[str, str],
    words: str,
) -> None:
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    configure(monkeypatch, **properties)

    with pytest.raises(UsageError, match=words):
        export(local_store, finished(local_store, "oo"), "iceberg", TABLE)


@pytest.mark.parametrize(
    "properties",
    [
        {"type": "rest", "uri": "http://ann:sesame-41@127.0.0.1:1"},
        {"type": "sql", "uri": "sqlite:////proc/catalog.db", "warehouse": "file:///tmp/w"},
    ],
)
def test_a_catalog_that_does_not_answer_is_unavailable(
    local_store: Store, monkeypatch: pytest.MonkeyPatch, properties: dict[str, str]
) -> None:
    configure(monkeypatch, **properties)

    words = r"cannot write to the Iceberg table lake\.digits: "
    with pytest.raises(StoreUnavailable, match=words) as caught:
        export(local_store, finished(local_store, "oo"), "iceberg", TABLE)

    assert "sesame" not in str(caught.value)


def test_without_the_library_it_is_said_what_to_install(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyiceberg.catalog", None)

    with pytest.raises(UsageError, match=r"this needs pyiceberg: pip install 'ancestral\[lake\]'"):
        export(local_store, finished(local_store, "oo"), "iceberg", TABLE)
