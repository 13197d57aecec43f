"""Where a job stands, told from what the store and the queue say of it at the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ancestral.jobs import layout
from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.intents import Wanted, latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.queue import Queue, QueueCounts
from ancestral.jobs.spec import Job
from ancestral.jobs.states import Facts, State, state_of
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands. Of its rows, those are counted that are decided."""

    job_id: str
    name: str
    state: State
    #: Why it is in that state; None when it is running, and that is all.
    reason: str | None
    rows: int
    rows_ok: int
    rows_failed: int
    rows_rejected: int
    rows_cancelled: int
    #: The root of the job's store, absolute.
    output: str
    #: The folder of Parquet files that describe the artifacts; None until the job is finished.
    index: str | None
    #: When all rows should be drawn, like 2026-11-22T15:30:12Z; None: at any time.
    deadline: str | None
    #: Whether they were drawn later, or will be, as things go now; None while that is not known,
    #: and of rows that are never drawn.
    late: bool | None

    @property
    def finished(self) -> bool:
        return self.state.finished


def status_of(
    job: Job,
    store: Store,
    queue: Queue | None,
    no_queue: str = "no queue is at hand to say who works on it",
) -> JobStatus:
    """The status of a job. Raises StoreError and QueueError.

    Without a queue that knows how many rows are decided, all records are read; `no_queue` says why
    there is none.
    """
    manifest = read_manifest(store, job.job_id)
    if manifest is not None:
        at, ended = job.deadline_at, datetime.fromisoformat(manifest.finished_at)
        late = None if at is None or manifest.rows_cancelled else ended > at
        return _status(job, manifest.state, manifest.reason, manifest.counts, manifest.index, late)
    intent = latest_intent(store, job.job_id)
    queued = _queue_counts(queue, job.job_id)
    if queued is None or queued.stale or queued.rebuilding:
        records = Ledger(store, job.job_id).records(job)
        counts = sum((record.counts for record in records), RowCounts())
        decided = counts.total
    else:
        counts = RowCounts(queued.rows_ok, queued.rows_failed, queued.rows_rejected)
        decided = queued.rows_decided
    if intent.wanted is Wanted.CANCEL and store.exists(layout.cancelled_path(job.job_id)):
        decided = job.rows
    state, reason = state_of(
        Facts(
            rows=job.rows,
            decided=decided,
            wanted=intent.wanted,
            wanted_reason=intent.reason,
            leased=queued.leased if queued else 0,
            ready=queued.ready if queued else 0,
            queued=queued is not None,
            obstacle=_obstacle(job.job_id, queue, queued, no_queue),
            declined=queued.declined if queued else "",
        )
    )
    # Of a job that is cancelled the rest is never drawn.
    rows_left = 0 if intent.wanted is Wanted.CANCEL else job.rows - decided
    trusted = None if queued is None or queued.stale or queued.rebuilding else queued
    return _status(job, state, reason, counts, None, _late(job, rows_left, trusted))


def _status(
    job: Job,
    state: State,
    reason: str | None,
    counts: RowCounts,
    index: str | None,
    late: bool | None,
) -> JobStatus:
    at = job.deadline_at
    return JobStatus(
        job_id=job.job_id,
        name=job.spec.name,
        state=state,
        reason=reason,
        rows=job.rows,
        rows_ok=counts.ok,
        rows_failed=counts.failed,
        rows_rejected=counts.rejected,
        rows_cancelled=counts.cancelled,
        output=job.spec.output,
        index=index,
        deadline=f"{at:%Y-%m-%dT%H:%M:%SZ}" if at is not None else None,
        late=late,
    )


def _late(job: Job, rows_left: int, queued: QueueCounts | None) -> bool | None:
    """Whether a job that is not finished has missed its deadline, or would at the pace of now."""
    at = job.deadline_at
    if at is None or not rows_left:
        # When the last row was drawn is known once the job is finished.
        return None
    seconds_left = (at - datetime.now(UTC)).total_seconds()
    if seconds_left <= 0:
        return True
    if queued is None or queued.pace is None or not queued.leased:
        return None
    # Units are held side by side, each of them at that pace.
    return rows_left * queued.pace / queued.leased > seconds_left


def _queue_counts(queue: Queue | None, job_id: str) -> QueueCounts | None:
    try:
        return queue.counts(job_id) if queue is not None else None
    except UnknownJob:
        return None


def _obstacle(
    job_id: str, queue: Queue | None, queued: QueueCounts | None, no_queue: str
) -> str | None:
    """What keeps workers from its units."""
    if queue is None:
        return no_queue
    if queued is None:
        return f"it is not in the queue: `ancestral recover {job_id}` puts it there"
    if queued.stale or queued.rebuilding:
        return "the queue is being built anew from the store"
    return None
