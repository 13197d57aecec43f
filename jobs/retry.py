"""Rows of a finished job drawn again, as a job of their own: its child.

    parent   r0/0 ok   r0/1 failed   r1/0 ok   r1/1 failed      request / sample
    child              r0/1                    r1/1             the same ids, samples, seeds

What succeeds in the child has the bytes that it would have had in the parent. A parent has one
child for each status, made once: asked again, it is the same. What fails in the child is retried as
a child of the child.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Literal, TypeAlias

from ancestral.jobs.acceptance import create, read_job, upload
from ancestral.jobs.errors import UsageError
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import finished_manifest
from ancestral.jobs.public_table import CANCELLED_ROWS
from ancestral.jobs.records import STATUS_LETTERS, RowsRecord
from ancestral.jobs.request_shards import (
    Request,
    Row,
    read_rows,
    request_bytes,
    write_shards,
)
from ancestral.jobs.scratch import staging
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import default_unit_rows

#: Which rows can be drawn again.
Retried: TypeAlias = Literal["failed", "cancelled"]

#: How the id of the child with these rows ends.
_ENDINGS: dict[Retried, str] = {"failed": "retry", "cancelled": "rest"}


def retry(store: Store, parent: Job, status: Retried = "failed") -> Job:
    """The accepted child of a finished job, with its rows of that status.

    Rows whose requests were wrong when the job was submitted are left out: they would fail again.
    Raises UsageError when the parent is not finished or has no row to draw again, and StoreError.
    """
    child_id = f"{parent.job_id}-{_ENDINGS[status]}"
    child = read_job(store, child_id)
    if child is not None:
        return child
    manifest = finished_manifest(store, parent.job_id)
    with staging() as folder, contextlib.ExitStack() as undo:
        requests = map(_request, _rows(store, parent, status))
        local = list(write_shards(requests, folder))
        rows = sum(shard.requests for shard in local)
        if not rows:
            ended = manifest.rows_failed if status == "failed" else manifest.rows_cancelled
            why = "; their requests were wrong: mend these and submit them as a new job"
            raise UsageError(
                f"job {parent.job_id} has no {status} row"
                + (f" to draw again{why}" if ended else "")
            )
        child = parent.model_copy(
            update={
                "job_id": child_id,
                "parent": parent.job_id,
                "requests": rows,
                "rows": rows,
                "unit_rows": parent.spec.unit.rows or default_unit_rows(rows, request_bytes(local)),
                "shards": upload(store, child_id, local, undo),
                "submitted_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
        )
        return create(store, child, undo)


def _rows(store: Store, job: Job, status: Retried) -> Iterator[Row]:
    """The rows of that status, in order, but for those whose request was wrong at submission."""
    ledger = Ledger(store, job.job_id)
    chosen: Iterator[list[Row]]
    if status == "cancelled":
        chunks = (chunk for unit in ledger.cancelled() for chunk in unit.cut(CANCELLED_ROWS))
        chosen = (read_rows(store, job, chunk) for chunk in chunks)
    else:
        chosen = ahead(partial(_rows_of, store, job, STATUS_LETTERS[status]), ledger.records(job))
    return (row for rows in chosen for row in rows if row.error is None)


def _rows_of(store: Store, job: Job, letter: str, record: RowsRecord) -> list[Row]:
    if letter not in record.statuses:
        return []
    rows = read_rows(store, job, record.unit)
    return [row for row, each in zip(rows, record.statuses, strict=True) if each == letter]


def _request(row: Row) -> Request:
    return Request(row.request_id, row.seed, row.fields, sample=row.sample)
