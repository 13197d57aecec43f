"""Jobs whose rows a test decides as it likes: what submitters and workers do, without either."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ancestral.jobs import layout
from ancestral.jobs.acceptance import upload
from ancestral.jobs.index import IndexRow, encode_part
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import FileFact, RangeRecord, RowsRecord, SplitRecord
from ancestral.jobs.request_shards import Request, write_shards
from ancestral.jobs.spec import Job, JobSpec, ModelReference
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit

SIGNATURE = {
    "medium": "image",
    "levels": 16,
    "shape": [20, 20],
    "fields": {
        "label": {"type": "category", "values": list(range(10)), "description": "the digit"},
        "style": {"type": "category", "values": ["bold", "thin"], "default": "bold"},
        "slant": {"type": "number", "minimum": -1, "maximum": 1, "default": 0.0},
        "size": {"type": "integer", "minimum": 0, "default": 3},
    },
}

STARTED = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)

STATUSES = {"f": "failed", "r": "rejected"}


def make_job(rows: int, unit_rows: int, job_id: str = "digits-1", output: str = "lake") -> Job:
    """An accepted job without requests; its spec.json is not written."""
    return Job(
        job_id=job_id,
        spec=JobSpec(name="digits", model="digits", input="requests.jsonl", output=output),
        model=ModelReference(name="digits", uri="/m", digest="d" * 64, family="pixelcnn"),
        signature=SIGNATURE,
        requests=rows,
        rows=rows,
        unit_rows=unit_rows,
        shards=(),
        inputs=(),
        submitted_at="2026-11-22T15:30:12Z",
    )


def lay_down(store: Store, job: Job) -> Job:
    """The job with its requests, which are in the store now, as is its spec.json."""
    requests = [
        Request(f"request {ordinal}", seed_of(ordinal), fields_of(ordinal))
        for ordinal in range(job.rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        shards = upload(store, job.job_id, write_shards(requests, Path(folder)), ExitStack())
    job = job.model_copy(update={"shards": shards})
    store.put(layout.spec_path(job.job_id), job.to_json())
    return job


def seed_of(ordinal: int) -> int:
    return 2**63 - 1 - ordinal


def fields_of(ordinal: int) -> dict[str, object]:
    return {"label": ordinal % 10, "style": "thin", "slant": 0.5, "size": 4}


def make_row(job: Job, ordinal: int, **given: object) -> IndexRow:
    """The index row that any attempt would write, bar what is given."""
    values: dict[str, object] = {
        "request_id": f"request {ordinal}",
        "sample": 0,
        "ordinal": ordinal,
        "job_id": job.job_id,
        "status": "ok",
        "kind": "generate",
        "model": job.model.name,
        "model_digest": job.model.digest,
        "numerics": "x86-64/reference/float32",
        "seed": seed_of(ordinal),
        "temperature": 1.0,
        "conditioning": fields_of(ordinal),
        "log_likelihood_nats": -1.5 * ordinal,
        "likelihood_kind": "exact",
        "worker": "ann",
        "device": "cpu",
        "attempt": "a" * 32,
        "created_at": STARTED,
    }
    return IndexRow(**{**values, **given})  # type: ignore[arg-type]


def decide(
    store: Store, job: Job, unit: Unit, statuses: str | None = None, attempt: str = ""
) -> RangeRecord:
    """Do what a worker does once it has drawn a unit; the record that stands."""
    statuses = statuses or "o" * unit.rows
    attempt = attempt or uuid.uuid4().hex
    pack_path = layout.pack_path(job.job_id, unit, attempt)
    pack = b""
    rows = []
    for ordinal, letter in zip(range(unit.start, unit.end), statuses, strict=True):
        if letter in STATUSES:
            troubles = {"status": STATUSES[letter], "error": "no luck"}
            rows.append(make_row(job, ordinal, attempt=attempt, **troubles))
            continue
        data = f"image {ordinal}".encode()
        rows.append(
            make_row(
                job,
                ordinal,
                attempt=attempt,
                media_type="image/png",
                uri=store.uri_of(pack_path),
                offset=len(pack),
                length=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
            )
        )
        pack += data
    ended_at = STARTED + timedelta(seconds=unit.end)
    return decide_by(store, job, unit, rows, pack, statuses, attempt, ended_at)


def decide_by(
    store: Store,
    job: Job,
    unit: Unit,
    rows: Sequence[IndexRow],
    pack: bytes | None,
    statuses: str,
    attempt: str,
    created_at: datetime,
) -> RangeRecord:
    """Decide a unit by these rows and their pack, if they have one; the record that stands."""
    part = encode_part(rows, job.signature)
    part_path = layout.attempt_path(job.job_id, unit, attempt)
    packs = []
    if pack is not None:
        packs.append(FileFact.of(layout.pack_path(job.job_id, unit, attempt), pack))
        store.put(packs[0].path, pack)
    store.put(part_path, part)
    record = RowsRecord(
        start=unit.start,
        end=unit.end,
        attempt=attempt,
        worker="ann",
        device="cpu",
        numerics="x86-64/reference/float32",
        model_digest=job.model.digest,
        code_version="0.1.0",
        statuses=statuses,
        index_part=FileFact.of(part_path, part),
        packs=tuple(packs),
        created_at=created_at,
        sampling_seconds=0.5,
    )
    return Ledger(store, job.job_id).decide(record)


def commit(
    store: Store, job: Job, unit: Unit, statuses: str | None = None, attempt: str = ""
) -> RowsRecord:
    """`decide` a unit that nobody split."""
    record = decide(store, job, unit, statuses, attempt)
    assert isinstance(record, RowsRecord)
    return record


def split(store: Store, job: Job, unit: Unit, at: int, attempt: str = "") -> RangeRecord:
    """Do what a worker does to split a unit; the record that stands."""
    record = SplitRecord(
        start=unit.start,
        end=unit.end,
        at=at,
        attempt=attempt or uuid.uuid4().hex,
        worker="ann",
        reason="share",
        created_at=STARTED,
    )
    return Ledger(store, job.job_id).decide(record)
