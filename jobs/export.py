"""What a finished job made, into a table or a dataset that others read.

    public table ──┬─► delta        a Delta table               export_delta.py
                   ├─► iceberg      an Iceberg table            export_iceberg.py
         artifacts ┼─► hf           a dataset of Hugging Face   export_hf.py
           packs ──┴─► webdataset   tars of WebDataset          export_webdataset.py

A table gets the rows of the index, which say where the artifacts lie; a dataset has the artifacts.
However often a job is exported, its rows are there once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ancestral.jobs.errors import UsageError
from ancestral.jobs.export_delta import export_delta
from ancestral.jobs.export_hf import export_hf
from ancestral.jobs.export_iceberg import export_iceberg
from ancestral.jobs.export_rows import FinishedJob, Outcome
from ancestral.jobs.export_webdataset import export_webdataset
from ancestral.jobs.manifest import finished_manifest
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import OnProgress

Format: TypeAlias = Literal["delta", "iceberg", "hf", "webdataset"]

FORMATS: tuple[Format, ...] = get_args(Format)

_WRITERS = {
    "delta": export_delta,
    "iceberg": export_iceberg,
    "hf": export_hf,
    "webdataset": export_webdataset,
}


@dataclass(frozen=True)
class Exported:
    """What an export did."""

    job_id: str
    format: Format
    #: Where the table or the dataset lies.
    uri: str
    #: Rows of the job that are in it now, and those of them that were not before.
    rows: int
    added: int


def export(
    store: Store,
    job: Job,
    to: Format,
    uri: str,
    *,
    rejected: bool = False,
    progress: OnProgress | None = None,
) -> Exported:
    """Export the rows of a job that are ok, and with `rejected` those that a gate rejected, too.

    `uri` is a path or an fsspec URI; of `iceberg`, a table `namespace.name` of the catalog that
    PyIceberg's configuration names. What is there already is not written again.

    Raises UsageError when the job is not finished or cannot be exported so, and StoreError.
    """
    manifest = finished_manifest(store, job.job_id)
    if to in ("hf", "webdataset") and job.spec.kind == "score":
        raise UsageError(
            f"job {job.job_id} has only scored, and made no artifacts: its rows can go to a table, "
            "with --to delta or iceberg"
        )
    finished = FinishedJob(store, job, manifest)
    outcomes: Sequence[Outcome] = ("ok", "rejected") if rejected else ("ok",)
    total = sum(map(finished.rows, outcomes))
    behind = 0

    def passed(rows: int) -> None:
        nonlocal behind
        behind += rows
        if progress is not None and rows:
            progress(behind, total)

    place, added = _WRITERS[to](finished, uri, outcomes, passed)
    return Exported(job.job_id, to, place, total, added)
