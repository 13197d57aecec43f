"""The last stations of the trip: from outcomes (outcomes.py) to a unit that is decided.

    commit    a unit's outcomes → pack → index part → range record → complete
    adopt     the unit was decided by another, as rows or as a split: the other's record stands

The order is what makes it safe: everything that a record names is in the store before the record
is, and the queue hears of it last. An attempt that dies in between leaves objects that no record
names, and nobody reads.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ancestral.jobs import layout
from ancestral.jobs.index import NOTHING, IndexRow, asked, encode_part
from ancestral.jobs.records import STATUS_LETTERS, FileFact, RangeRecord, RowsRecord
from ancestral.jobs.spec import Job
from ancestral.workers.encode import Encoded
from ancestral.workers.errors import UnitIncomplete
from ancestral.workers.events import UnitAdopted, UnitCommitted, UnitLost
from ancestral.workers.held import Hold
from ancestral.workers.pack import Member, PackWriter
from ancestral.workers.work import Outcome, Work
from ancestral.workers.workplace import Workplace

CODE_VERSION = version("ancestral")


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
    pack_path, packs = layout.pack_path(job.job_id, unit, work.attempt), []
    if members:
        retry(f"writing the pack of {name}", lambda: store.put(pack_path, pack))
        packs.append(FileFact.of(pack_path, pack))
    uri = store.uri_of(pack_path)
    rows = [_index_row(place, work, each, members.get(each.row.ordinal), uri) for each in outcomes]
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


def _index_row(
    place: Workplace, work: Work, outcome: Outcome, member: Member | None, pack_uri: str
) -> IndexRow:
    return IndexRow(
        **asked(work.opened.job, outcome.row),
        **_likelihood(work.opened.job, outcome),
        **_whereabouts(outcome.artifact, member, pack_uri),
        status=outcome.status,
        error=outcome.error,
        numerics=_numerics(work),
        worker=place.worker,
        device=_device(place, work),
        attempt=work.attempt,
        created_at=outcome.ended_at,
    )


def _likelihood(job: Job, outcome: Outcome) -> dict[str, Any]:
    """What the index tells of what was drawn, if anything was."""
    if outcome.log_likelihood_nats is None:
        return {}
    return {
        "symbols_sha256": outcome.symbols_sha256,
        "log_likelihood_nats": outcome.log_likelihood_nats,
        "likelihood_kind": _likelihood_kind(job),
        "bits_per_dim": outcome.bits_per_dim,
        "sampling_seconds": outcome.sampling_seconds,
    }


def _whereabouts(artifact: Encoded | None, member: Member | None, uri: str) -> dict[str, Any]:
    """What the index tells of an artifact, if there is one, and where it lies."""
    if artifact is None or member is None:
        return {}
    return {
        "media_type": artifact.media_type,
        "uri": uri,
        "offset": member.offset,
        "length": member.length,
        "sha256": hashlib.sha256(artifact.data).hexdigest(),
        "width": artifact.width,
        "height": artifact.height,
        "channels": artifact.channels,
        "frames": artifact.frames,
        "sample_rate_hz": artifact.sample_rate_hz,
        "duration_seconds": artifact.duration_seconds,
    }


def _likelihood_kind(job: Job) -> str:
    """What the likelihoods of a job are; of hidden symbols that were not drawn, only a bound."""
    kind: str = job.signature.get("likelihood_kind", "exact")
    return "bound" if kind == "joint" and job.spec.kind == "score" else kind


def _device(place: Workplace, work: Work) -> str:
    return NOTHING if work.model is None else place.device


def _numerics(work: Work) -> str:
    return NOTHING if work.model is None else work.model.numerics
