"""Jobs whose units are drawn by a stand-in for a model: what it draws is a function of the row."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ancestral.jobs import layout
from ancestral.jobs.acceptance import upload
from ancestral.jobs.index import IndexRow
from ancestral.jobs.records import RangeRecord
from ancestral.jobs.request_shards import Request, Row, read_rows, write_shards
from ancestral.jobs.spec import Job, JobSpec, ModelReference, Sampling
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs import deciding
from tests.jobs.bundles import DIGITS
from tests.jobs.deciding import STARTED, decide_by

#: Letters of statuses, as in records.
STATUSES = {"o": "ok", "f": "failed", "r": "rejected"}


def accept_job(
    store: Store,
    requests: Sequence[Request] | int = 12,
    *,
    samples: int = 2,
    unit_rows: int = 8,
    job_id: str = "digits-1",
) -> Job:
    """An accepted job; a number of requests stands for sound ones."""
    if isinstance(requests, int):
        requests = [Request(f"r{n}", 7 * n, {"label": n % 10}) for n in range(requests)]
    with TemporaryDirectory() as folder, contextlib.ExitStack() as undo:
        shards = upload(store, job_id, write_shards(requests, Path(folder), 5), undo)
        undo.pop_all()
    job = Job(
        job_id=job_id,
        spec=JobSpec(
            name="digits",
            model="digits",
            input="requests.jsonl",
            output=store.uri,
            sampling=Sampling(samples=samples),
        ),
        model=ModelReference(name="digits", uri="/m", digest="d" * 64, family="pixelcnn"),
        signature=DIGITS,
        requests=len(requests),
        rows=len(requests) * samples,
        unit_rows=unit_rows,
        shards=shards,
        inputs=(),
        submitted_at="2026-11-22T15:30:12Z",
    )
    store.create(layout.spec_path(job_id), job.to_json())
    return job


def draw(
    store: Store,
    job: Job,
    unit: Unit,
    statuses: str = "",
    more: dict[str, Any] | None = None,
    taste: str = "sweet",
) -> RangeRecord:
    """Draw a unit as a worker does, each row ending by its letter; the record that stands.

    `more` are columns of the index that tell something else than they should; rows of another
    `taste` have other bytes.
    """
    attempt = uuid.uuid4().hex
    pack_path = layout.pack_path(job.job_id, unit, attempt)
    pack = b"header"
    rows = []
    letters = statuses or "o" * unit.rows
    for row, letter in zip(read_rows(store, job, unit), letters, strict=True):
        values = {**_values(job, row, attempt, STATUSES[letter]), **(more or {})}
        if letter != "f":
            data = artifact_of(row, taste)
            values |= {
                "media_type": "image/png",
                "uri": store.uri_of(pack_path),
                "offset": len(pack),
                "length": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "symbols_sha256": hashlib.sha256(b"symbols of " + data).hexdigest(),
                "log_likelihood_nats": -1.5 * row.seed,
                "likelihood_kind": "exact",
            }
            pack += data + b"padding"
        rows.append(IndexRow(**values))
    return decide_by(store, job, unit, rows, pack, letters, attempt, STARTED)


def split(store: Store, job: Job, unit: Unit, at: int) -> tuple[Unit, Unit]:
    """Split a unit as a worker does; its halves."""
    deciding.split(store, job, unit, at)
    return unit.split(at)


def artifact_of(row: Row, taste: str = "sweet") -> bytes:
    """What the stand-in draws for a row."""
    return f"{taste} image of {row.request_id} sample {row.sample} seed {row.seed}".encode()


def _values(job: Job, row: Row, attempt: str, status: str) -> dict[str, Any]:
    return {
        "request_id": row.request_id,
        "sample": row.sample,
        "ordinal": row.ordinal,
        "job_id": job.job_id,
        "status": status,
        "error": None if status == "ok" else "no luck",
        "kind": "generate",
        "model": job.model.name,
        "model_digest": job.model.digest,
        "numerics": "x86-64/reference/float32",
        "seed": row.seed,
        "temperature": 1.0,
        "conditioning": row.fields,
        "worker": "ann",
        "device": "cpu",
        "attempt": attempt,
        "created_at": STARTED,
    }
