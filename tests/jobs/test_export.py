"""A job into what others read: which jobs can go there, and that their rows are there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.errors import PathRefused, UsageError
from ancestral.jobs.export import FORMATS, Format, export
from ancestral.jobs.store import Store
from tests.jobs.catalogs import sqlite_catalog
from tests.jobs.deciding import lay_down, make_job
from tests.jobs.finished import finished


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Format:
    """Each format in turn, with a catalog for tables."""
    sqlite_catalog(tmp_path, monkeypatch)
    form: Format = request.param
    return form


@pytest.fixture
def uri(form: Format, tmp_path: Path) -> str:
    return "lake.digits" if form == "iceberg" else str(tmp_path / "out")


def test_rows_are_added_once_and_rejected_ones_when_they_are_asked_for(
    local_store: Store, form: Format, uri: str
) -> None:
    # Given a job of ten rows
    job = finished(local_store, "oofooroooo")
    seen: list[tuple[int, int]] = []

    # When it is exported twice, and then with what was rejected, twice
    done = [
        export(
            local_store,
            job,
            form,
            uri,
            rejected=rejected,
            progress=lambda behind, total: seen.append((behind, total)),
        )
        for rejected in (False, False, True, True)
    ]

    # Then each row was added once
    assert [(each.rows, each.added) for each in done] == [(8, 8), (8, 0), (9, 1), (9, 0)]
    assert {(each.job_id, each.format) for each in done} == {(job.job_id, form)}
    assert len({each.uri for each in done}) == 1 and done[0].uri.startswith(("/", "file:///"))
    assert (seen[0], seen[-1]) == ((8, 8), (9, 9))


def test_a_job_that_is_not_finished_is_not_exported(
    local_store: Store, form: Format, uri: str, tmp_path: Path
) -> None:
    job = lay_down(local_store, make_job(8, 4))

    with pytest.raises(UsageError, match=r"digits-1 is not finished: .*--resume digits-1`"):
        export(local_store, job, form, uri)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["delta", "hf", "webdataset"])
def test_nothing_is_exported_to_what_can_only_be_read(local_store: Store, form: Format) -> None:
    job = finished(local_store, "oo")

    with pytest.raises(PathRefused, match=r"^http://127\.0\.0\.1:1/out: web servers are only read"):
        export(local_store, job, form, "http://127.0.0.1:1/out")


def test_scores_can_go_to_a_table_alone(local_store: Store, form: Format, uri: str) -> None:
    job = finished(local_store, "oofo", kind="score")

    if form in ("delta", "iceberg"):
        assert export(local_store, job, form, uri).added == 3
    else:
        with pytest.raises(UsageError, match=r"digits-1 has only scored.*--to delta or iceberg"):
            export(local_store, job, form, uri)


def test_a_job_without_a_row_that_is_ok_adds_nothing(
    local_store: Store, form: Format, uri: str
) -> None:
    job = finished(local_store, "ffff")

    assert export(local_store, job, form, uri).added == 0


def test_a_client_exports_a_job_by_its_id(client: Client, form: Format, uri: str) -> None:
    spec = {"name": "n", "model": "digits", "grid": {"label": [1]}, "output": "memory://exported"}
    job_id = client.submit(spec).job_id

    with pytest.raises(UsageError, match=f"{job_id} is not finished"):
        client.export(job_id, form, uri)
