"""Jobs that are decided and published, row by row as a test says."""

from __future__ import annotations

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
