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
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover
from ancestral.jobs.errors import AlreadyExists, CorruptObject, RowsMissing
from ancestral.jobs.intents import Intent, Wanted, latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import Manifest, Part, read_manifest
from ancestral.jobs.public_table import Decided, decided_by_part, encode_parts, plan_parts
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.spec import Job, accepted_job
from ancestral.jobs.states import final_state
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import RowCounts, merge

#: Missing ranges that an error names.
_NAMED_RANGES = 5


def finalise(store: Store, job_id: str) -> Manifest:
    """Publish a job whose rows are all decided; of one that is published, make anew what is gone
    of its table.

    A job that was cancelled is sealed: rows that are undecided now are cancelled for ever. Raises
    RowsMissing, naming the rows, while some are undecided in another job; CorruptObject when what
    was committed is not there any more.
    """
    *_, manifest = finalise_by_parts(store, job_id)
    assert manifest is not None
    return manifest


def finalise_by_parts(store: Store, job_id: str) -> Iterator[Manifest | None]:
    """`finalise`, one number of parts at a time: None while there are more, then the manifest."""
    path = layout.manifest_path(job_id)
    published = read_manifest(store, job_id)
    if published is None or not _is_whole(store, published):
        job = accepted_job(store, job_id)
        ledger = Ledger(store, job_id)
        cover, intent = _decided(store, job, ledger, published)
        totals = _Totals(cover, intent)
        parts: list[Part] = []
        for decided in decided_by_part(ledger, cover, intent, job.rows):
            planned = plan_parts(job.table_folder, decided)
            if published is not None and not set(planned) <= set(published.parts):
                raise CorruptObject(f"the records of job {job_id} are not those of {path}")
            _write_parts(store, job, decided, planned)
            totals.add(store, decided)
            parts += planned
            if decided.rows.end < job.rows:
                yield None
        _create(store, layout.packs_list_path(job_id), memoryview(totals.packs))
        manifest = _manifest(store, job, parts, totals)
        _create(store, path, manifest.to_json())
    standing = store.read(path)
    digest = hashlib.sha256(standing).hexdigest()
    _create(store, layout.success_path(job_id), f"{digest}\n".encode())
    yield Manifest.from_json(standing, store.uri_of(path))


def _is_whole(store: Store, published: Manifest) -> bool:
    """Whether everything is there that the manifest names."""
    paths = [layout.packs_list_path(published.job_id), *(part.path for part in published.parts)]
    return all(ahead(store.exists, paths))


class _Totals:
    """What the records of a job tell together, part by part."""

    def __init__(self, cover: Cover, intent: Intent) -> None:
        self.cancelled = cover.cancelled
        self.cancelled_for = intent.reason
        self.counts = RowCounts(cancelled=sum(unit.rows for unit in cover.cancelled))
        self.numerics: set[str] = set()
        #: The lines of packs.txt, which are as many as units.
        self.packs = bytearray()
        self.pack_count = 0
        self.pack_bytes = 0
        self.sampling_seconds = 0.0
        self.finished_at: datetime | None = None
        if cover.cancelled:
            self.finished_at = datetime.fromisoformat(intent.created_at)

    def add(self, store: Store, decided: Decided) -> None:
        """What became of the next part."""
        for record in decided.records:
            # One that reaches into several parts counts in its first.
            if record.start >= decided.rows.start:
                self._add(store, record)

    def _add(self, store: Store, record: RowsRecord) -> None:
        self.counts += record.counts
        self.numerics.add(record.numerics)
        for fact in record.packs:
            self.packs += f"{store.uri_of(fact.path)}\n".encode()
            self.pack_count += 1
            self.pack_bytes += fact.bytes
        self.sampling_seconds += record.sampling_seconds
        self.finished_at = max(self.finished_at or record.created_at, record.created_at)


def _decided(
    store: Store, job: Job, ledger: Ledger, published: Manifest | None
) -> tuple[Cover, Intent]:
    """What became of every row; for a cancelled job, by which intent. Raises RowsMissing, and
    CorruptObject where rows are missing of a job that is published."""
    cover = ledger.cover(job)
    # In this order: a job that nobody had cancelled yet is sealed by what was seen here, or more.
    intent = latest_intent(store, job.job_id)
    if intent.wanted is Wanted.CANCEL and published is None:
        ledger.seal(job)
        cover = ledger.cover(job)
    if not cover.complete and published is not None:
        raise CorruptObject(f"records are gone of job {job.job_id}, which is published")
    if not cover.complete:
        raise RowsMissing(_missing(job, cover))
    return cover, intent


def _missing(job: Job, cover: Cover) -> str:
    ranges = merge(cover.undecided)
    named = ", ".join(f"[{unit.start}, {unit.end})" for unit in ranges[:_NAMED_RANGES])
    more = f" and {len(ranges) - _NAMED_RANGES} more" if len(ranges) > _NAMED_RANGES else ""
    rows = sum(unit.rows for unit in ranges)
    return (
        f"job {job.job_id} is not finished: {rows} of {job.rows} rows are undecided, "
        f"ordinals {named}{more}"
    )


def _manifest(store: Store, job: Job, parts: Sequence[Part], totals: _Totals) -> Manifest:
    counts = totals.counts
    assert counts.total == job.rows, f"{counts} are not the {job.rows} rows of {job.job_id}"
    assert totals.finished_at is not None
    state, reason = final_state(counts, totals.cancelled_for)
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
        cancelled=totals.cancelled,
        model=job.model.name,
        model_digest=job.model.digest,
        numerics=tuple(sorted(totals.numerics)),
        index=store.uri_of(job.table_folder),
        parts=tuple(parts),
        packs=store.uri_of(layout.packs_list_path(job.job_id)),
        pack_count=totals.pack_count,
        pack_bytes=totals.pack_bytes,
        sampling_seconds=totals.sampling_seconds,
        finished_at=f"{totals.finished_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )


def _write_parts(store: Store, job: Job, decided: Decided, parts: Sequence[Part]) -> None:
    # Another finaliser may have come this far, here or on another machine.
    if not all(store.exists(part.path) for part in parts):
        for part, data in encode_parts(store, job, decided, parts):
            _create(store, part.path, data)


def _create(store: Store, path: str, data: bytes | memoryview) -> None:
    # Whoever was faster wrote the same: all outputs are functions of what was decided.
    with contextlib.suppress(AlreadyExists):
        store.create(path, data)
