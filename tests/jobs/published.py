"""Jobs that are decided and published, row by row as a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.deciding import commit, lay_down


def decide_all(store: Store, job: Job, statuses: str, units: list[Unit] | None = None) -> Job:
    """Accept the job and decide its units, each row by its letter; attempts are always the same."""
    job = lay_down(store, job)
    for unit in job.units() if units is None else units:
        commit(store, job, unit, statuses[unit.start : unit.end], attempt=f"{unit.start:032x}")
    return job


def outputs(store: Store) -> dict[str, bytes]:
    """What finalising makes, by path."""
    paths = [
        path
        for path in store.list()
        if path.startswith("artifacts/")
        or path.endswith(("packs.txt", "manifest.json", "_SUCCESS"))
    ]
    return {path: store.read(path) for path in paths}


def unpublish(store: Store) -> None:
    """As if nobody had finalised anything yet."""
    for path in outputs(store):
        store.delete(path)


def retell(store: Store, job_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Let the public table tell something else: of each row, these columns."""
    manifest = read_manifest(store, job_id)
    assert manifest is not None
    for part in manifest.parts:
        table = pq.read_table(pa.BufferReader(store.read(part.path)))
        rows = [{**row, **change(row)} for row in table.to_pylist()]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, table.schema), sink)
        store.put(part.path, memoryview(sink.getvalue()))
