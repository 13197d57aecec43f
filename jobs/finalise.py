"""From the records of a job whose rows are all decided to the table that everybody reads.

    range records ──► index parts ──► artifacts/.../outcome=ok/part-00000.parquet, ...
    (and the seal)└─► packs         ──► packs.txt ──► manifest.json ──► _SUCCESS

Every output is created once and is a function of the job, its records, and, if it was cancelled,
its seal and the intent behind that. None of these ever changes: any number of finalisers, at once
or after one another's crash, make the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover
from ancestral.jobs.errors import AlreadyExists, RowsMissing
from ancestral.jobs.intents import Wanted, latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import Manifest, Part
from ancestral.jobs.public_table import Decided, encode_parts, plan_parts
from ancestral.jobs.spec import Job
from ancestral.jobs.states import final_state
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts, merge

#: Missing ranges that an error names.
_NAMED_RANGES = 5


def finalise(store: Store, job_id: str) -> Manifest:
    """Publish a job whose rows are all decided; done already, it only reads.

    A job that was cancelled is sealed: rows that are undecided now are cancelled for ever. Raises
    RowsMissing, naming the rows, while some are undecided in another job; CorruptObject when what
    was committed is not there any more.
    """
    path = layout.manifest_path(job_id)
    if not store.exists(path):
        job = Job.from_json(store.read(layout.spec_path(job_id)))
        decided = _decided(store, job)
        manifest = _manifest(store, job, decided)
        _write_parts(store, job, decided, manifest.parts)
        packs = [fact.path for record in decided.records for fact in record.packs]
        lines = "".join(f"{store.uri_of(pack)}\n" for pack in packs)
        _create(store, layout.packs_list_path(job_id), lines.encode())
        _create(store, path, manifest.to_json())
    standing = store.read(path)
    digest = hashlib.sha256(standing).hexdigest()
    _create(store, layout.success_path(job_id), f"{digest}\n".encode())
    return Manifest.from_json(standing)


def _decided(store: Store, job: Job) -> Decided:
    ledger = Ledger(store, job.job_id)
    cover = ledger.cover(job)
    # In this order: a job that nobody had cancelled yet is sealed by what was seen here, or more.
    intent = latest_intent(store, job.job_id)
    if intent.wanted is Wanted.CANCEL:
        ledger.seal(job)
        cover = ledger.cover(job)
    if not cover.complete:
        raise RowsMissing(_missing(job, cover))
    return Decided(tuple(ledger.read(cover)), cover.cancelled, intent)


def _missing(job: Job, cover: Cover) -> str:
    ranges = merge(cover.undecided)
    named = ", ".join(f"[{unit.start}, {unit.end})" for unit in ranges[:_NAMED_RANGES])
    more = f" and {len(ranges) - _NAMED_RANGES} more" if len(ranges) > _NAMED_RANGES else ""
    rows = sum(unit.rows for unit in ranges)
    return (
        f"job {job.job_id} is not finished: {rows} of {job.rows} rows are undecided, "
        f"ordinals {named}{more}"
    )


def _manifest(store: Store, job: Job, decided: Decided) -> Manifest:
    cancelled = sum(unit.rows for unit in decided.cancelled)
    counts = sum((record.counts for record in decided.records), RowCounts(cancelled=cancelled))
    assert counts.total == job.rows, f"{counts} are not the {job.rows} rows of {job.job_id}"
    state, reason = final_state(counts, decided.intent.reason)
    packs = [fact for record in decided.records for fact in record.packs]
    folder = layout.artifacts_folder(job.model.name, job.submitted_at[:10], job.job_id)
    return Manifest(
        job_id=job.job_id,
        name=job.spec.name,
        state=state,
        reason=reason,
        rows=counts.total,
        rows_ok=counts.ok,
        rows_failed=counts.failed,
        rows_rejected=counts.rejected,
        rows_cancelled=counts.cancelled,
        cancelled=decided.cancelled,
        model=job.model.name,
        model_digest=job.model.digest,
        numerics=tuple(sorted({record.numerics for record in decided.records})),
        index=store.uri_of(folder),
        parts=tuple(plan_parts(folder, decided)),
        packs=store.uri_of(layout.packs_list_path(job.job_id)),
        pack_count=len(packs),
        pack_bytes=sum(fact.bytes for fact in packs),
        sampling_seconds=sum(record.sampling_seconds for record in decided.records),
        finished_at=f"{_finished_at(decided):%Y-%m-%dT%H:%M:%SZ}",
    )


def _finished_at(decided: Decided) -> datetime:
    moments = [record.created_at for record in decided.records]
    if decided.cancelled:
        moments.append(datetime.fromisoformat(decided.intent.created_at))
    return max(moments).astimezone(UTC)


def _write_parts(store: Store, job: Job, decided: Decided, parts: Iterable[Part]) -> None:
    by_number: dict[int, list[Part]] = {}
    for part in parts:
        by_number.setdefault(part.number, []).append(part)
    for outcomes in by_number.values():
        # Another finaliser may have come this far, here or on another machine.
        if not all(store.exists(part.path) for part in outcomes):
            for part, data in encode_parts(store, job, decided, outcomes):
                _create(store, part.path, data)


def _create(store: Store, path: str, data: bytes | memoryview) -> None:
    # Whoever was faster wrote the same: all outputs are functions of what was decided.
    with contextlib.suppress(AlreadyExists):
        store.create(path, data)
