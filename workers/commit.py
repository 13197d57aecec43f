"""The last stations of the trip: from ended rows to a unit that is decided.

    outcome_of    a row's symbols → media → artifact → gate; of a score job, its likelihood alone
    commit        a unit's outcomes → pack → index part → range record → complete
    adopt         the unit was decided by another, as rows or as a split: his record stands

The order is what makes it safe: everything that a record names is in the store before the record
is, and the queue hears of it last. An attempt that dies in between leaves objects that no record
names, and nobody reads.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from ancestral.jobs import layout
from ancestral.jobs.fields import told
from ancestral.jobs.index import NOTHING, IndexRow, encode_part
from ancestral.jobs.records import STATUS_LETTERS, FileFact, RangeRecord, RowsRecord
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job
from ancestral.workers.encode import encode
from ancestral.workers.errors import EncodeError, UnitIncomplete
from ancestral.workers.events import UnitAdopted, UnitCommitted, UnitLost
from ancestral.workers.gates import check
from ancestral.workers.held import Hold
from ancestral.workers.lane import Ended
from ancestral.workers.metadata import canonical_json
from ancestral.workers.pack import Member, PackWriter
from ancestral.workers.work import Outcome, Work
from ancestral.workers.workplace import Workplace

CODE_VERSION = version("ancestral")


def outcome_of(ended: Ended) -> Outcome:
    """Encode and gate one row. What cannot be encoded is a failed row; its unit goes on.

    Of the media that the row gave nothing is kept but what is told of them.
    """
    work, drawn, now = ended.work, ended.drawn, datetime.now(UTC)
    fields = told(work.opened.job.signature["fields"], ended.row.fields)
    row = replace(ended.row, fields=fields)
    if drawn is None or work.model is None or ended.error is not None:
        return Outcome(row, "failed", now, ended.error)
    job = work.opened.job
    outcome = Outcome(
        row,
        "ok",
        now,
        symbols_sha256=_symbols_sha256(drawn.symbols),
        log_likelihood_nats=drawn.log_likelihood_nats,
        bits_per_dim=-drawn.log_likelihood_nats / (math.log(2) * drawn.drawn),
        sampling_seconds=drawn.seconds,
    )
    if job.spec.kind == "score":
        return outcome
    media = work.model.to_media(drawn.symbols)
    try:
        artifact = encode(job.signature, media, _metadata(job, row), job.spec.media)
    except EncodeError as error:
        return Outcome(row, "failed", now, str(error))
    reason = check(job.signature, media, job.spec.gates)
    status = "ok" if reason is None else "rejected"
    return replace(outcome, status=status, error=reason, artifact=artifact)


def commit(place: Workplace, work: Work) -> None:
    """Decide a unit by its outcomes, or adopt what was decided meanwhile; then tell the queue.

    Raises UnitIncomplete when the outcomes are not those of the unit's rows, and StoreError.
    """
    unit, job, store = work.hold.lease.unit, work.opened.job, work.opened.store
    outcomes = [work.outcomes[ordinal] for ordinal in sorted(work.outcomes)]
    if [outcome.row.ordinal for outcome in outcomes] != list(range(unit.start, unit.end)):
        raise UnitIncomplete(f"{len(outcomes)} outcomes do not fit the rows of unit {unit.name}")
    retry, name = place.patience.retry, work.hold.name

    pack, members = _pack(job, outcomes)
    packs = []
    if members:
        pack_path = layout.pack_path(job.job_id, unit, work.attempt)
        retry(f"writing the pack of {name}", lambda: store.put(pack_path, pack))
        packs.append(FileFact.of(pack_path, pack))
    rows = [_index_row(place, work, each, members.get(each.row.ordinal)) for each in outcomes]
    part = encode_part(rows, job.signature)
    part_path = layout.attempt_path(job.job_id, unit, work.attempt)
    retry(f"writing the index of {name}", lambda: store.put(part_path, part))

    record = RowsRecord(
        start=unit.start,
        end=unit.end,
        attempt=work.attempt,
        worker=place.worker,
        device=_device(place, work),
        numerics=_numerics(work),
        model_digest=job.model.digest,
        code_version=CODE_VERSION,
        statuses="".join(STATUS_LETTERS[outcome.status] for outcome in outcomes),
        index_part=FileFact.of(part_path, part),
        packs=tuple(packs),
        created_at=datetime.now(UTC),
        sampling_seconds=math.fsum(outcome.sampling_seconds or 0.0 for outcome in outcomes),
    )
    standing = retry(f"deciding {name}", lambda: work.opened.ledger.decide(record))
    if standing.attempt != work.attempt:
        adopt(place, work.hold, standing)
        return
    place.held.settle(work.hold, record)
    written = sum(fact.bytes for fact in packs)
    place.listener(UnitCommitted(place.worker, job.job_id, unit, record.counts, written))


def adopt(place: Workplace, hold: Hold, record: RangeRecord) -> None:
    """The unit is decided by another attempt: tell the queue, and leave what we made unread."""
    job_id, unit = hold.lease.job_id, hold.lease.unit
    if isinstance(record, RowsRecord):
        place.held.settle(hold, record)
        place.listener(UnitAdopted(place.worker, job_id, unit, record.counts))
    else:
        place.held.split(hold, record, keep=False)
        place.listener(UnitLost(place.worker, job_id, unit))


def _pack(job: Job, outcomes: Sequence[Outcome]) -> tuple[memoryview, dict[int, Member]]:
    """The pack of the rows that have an artifact, and where it lies, by ordinal."""
    writer = PackWriter()
    members = {
        outcome.row.ordinal: writer.add(
            outcome.row.ordinal, outcome.artifact, _description(job, outcome)
        )
        for outcome in outcomes
        if outcome.artifact is not None
    }
    return writer.close(), members


def _description(job: Job, outcome: Outcome) -> dict[str, Any]:
    """What a pack tells of an artifact beside it."""
    return {
        "request_id": outcome.row.request_id,
        "sample": outcome.row.sample,
        "seed": outcome.row.seed,
        "fields": outcome.row.fields,
        "status": outcome.status,
        "log_likelihood_nats": outcome.log_likelihood_nats,
        "bits_per_dim": outcome.bits_per_dim,
    }


def _index_row(place: Workplace, work: Work, outcome: Outcome, member: Member | None) -> IndexRow:
    job, row, artifact = work.opened.job, outcome.row, outcome.artifact
    sampling = job.spec.sampling
    index_row = IndexRow(
        request_id=row.request_id,
        sample=row.sample,
        ordinal=row.ordinal,
        job_id=job.job_id,
        status=outcome.status,
        error=outcome.error,
        kind=job.spec.kind,
        model=job.model.name,
        model_digest=job.model.digest,
        numerics=_numerics(work),
        seed=row.seed,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        conditioning=row.fields,
        worker=place.worker,
        device=_device(place, work),
        attempt=work.attempt,
        created_at=outcome.ended_at,
    )
    if outcome.log_likelihood_nats is not None:
        index_row = replace(
            index_row,
            symbols_sha256=outcome.symbols_sha256,
            log_likelihood_nats=outcome.log_likelihood_nats,
            likelihood_kind=_likelihood_kind(job),
            bits_per_dim=outcome.bits_per_dim,
            sampling_seconds=outcome.sampling_seconds,
        )
    if artifact is None or member is None:
        return index_row
    pack_path = layout.pack_path(job.job_id, work.hold.lease.unit, work.attempt)
    return replace(
        index_row,
        media_type=artifact.media_type,
        uri=work.opened.store.uri_of(pack_path),
        offset=member.offset,
        length=member.length,
        sha256=hashlib.sha256(artifact.data).hexdigest(),
        width=artifact.width,
        height=artifact.height,
        channels=artifact.channels,
        frames=artifact.frames,
        sample_rate_hz=artifact.sample_rate_hz,
        duration_seconds=artifact.duration_seconds,
    )


def _likelihood_kind(job: Job) -> str:
    """What the likelihoods of a job are; of hidden symbols that were not drawn, only a bound."""
    kind: str = job.signature.get("likelihood_kind", "exact")
    return "bound" if kind == "joint" and job.spec.kind == "score" else kind


def _metadata(job: Job, row: Row) -> dict[str, str]:
    """What an artifact tells of itself: all that it is a function of but its conditioning."""
    sampling = job.spec.sampling
    settings = sampling.model_dump(mode="json", include={"temperature", "top_k", "top_p"})
    return {
        "model": job.model.digest,
        "seed": str(row.seed),
        "sample": str(row.sample),
        "settings": canonical_json(settings),
    }


def _symbols_sha256(symbols: np.ndarray) -> str:
    """Of the symbols in raster order, as 16-bit integers, or doubles for real ones, lowest byte
    first, whatever type holds them."""
    stored = "<f8" if symbols.dtype.kind == "f" else "<u2"
    return hashlib.sha256(np.ascontiguousarray(symbols, dtype=stored).tobytes()).hexdigest()


def _device(place: Workplace, work: Work) -> str:
    return NOTHING if work.model is None else place.device


def _numerics(work: Work) -> str:
    return NOTHING if work.model is None else work.model.numerics
