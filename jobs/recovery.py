"""A job's queue, built from the store, and held against the store.

    recover   epochs/{n} ─► begin_rebuild ─► intents/, ranges/, splits/ ─► restore ─► end_rebuild
    audit     the same reading into the epoch that stands: units are mended, leases live on
    recount   how the rows ended that were decided before, from the records of those untold

Submitting a job, resuming it, and mending a queue that forgot it are the same steps. Any number of
processes may take them at once: the latest epoch wins, and all calls of the others are refused.
"""

from __future__ import annotations

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover
from ancestral.jobs.errors import AlreadyExists, UnknownJob
from ancestral.jobs.intents import latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.queue import Queue, QueuedJob
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, ahead

#: A rebuild of which nothing was heard for so long was given up by whoever began it.
REBUILD_SECONDS = 60.0


def recover(queue: Queue, store: Store, job: Job) -> bool:
    """Build the job's queue anew; False when somebody began to build a later one meanwhile.

    Leases are lost, and what their holders commit counts all the same. Raises StoreError and
    QueueError; the job is closed to claims then, until it is recovered.
    """
    epoch = _open_epoch(store, job.job_id)
    at = job.deadline_at
    deadline = int(at.timestamp()) if at is not None else None
    queued = QueuedJob(job.job_id, job.spec.output, job.spec.priority, job.rows, deadline)
    if not queue.begin_rebuild(queued, epoch):
        return False
    # The store is read after the queue began to listen: what is decided or wanted from here on, it
    # is told by others.
    cover = _read_into(queue, store, job)
    return _restore(queue, job, epoch, cover) and queue.end_rebuild(job.job_id, epoch)


def audit(queue: Queue, store: Store, job: Job) -> bool:
    """Mend what drifted in the job's queue; False when it has to be recovered.

    That is so when the queue does not know the job, is older than the store's last epoch or stale,
    takes rows for decided of which the store knows nothing, or is being rebuilt by nobody any more.
    No epoch is opened and no lease ends but those of decided units. Raises StoreError, QueueError.
    """
    epoch = latest_epoch(store, job.job_id)
    try:
        # Before the store is listed: whatever the queue takes for decided now, has its record.
        counts = queue.counts(job.job_id)
    except UnknownJob:
        return False
    if counts.stale or counts.epoch < epoch:
        return False
    if counts.rebuilding:
        return counts.rebuilt_seconds < REBUILD_SECONDS
    cover = _read_into(queue, store, job)
    if counts.rows_decided > sum(unit.rows for unit in (*cover.rows, *cover.cancelled)):
        return False
    return _restore(queue, job, counts.epoch, cover)


def recount(queue: Queue, store: Store, job: Job) -> None:
    """Tell the queue how the decided rows ended, if there are any of which it was not told.

    It hands out units without that, but cannot say how many rows failed. Raises StoreError and
    QueueError.
    """
    try:
        counts = queue.counts(job.job_id)
    except UnknownJob:
        return
    if counts.rows_ok + counts.rows_failed + counts.rows_rejected < counts.rows_decided:
        ledger = Ledger(store, job.job_id)
        for record in ahead(ledger.lookup, queue.untold(job.job_id)):
            if isinstance(record, RowsRecord):
                # No device is named: this is the past, and speaks against none.
                queue.complete(
                    job.job_id,
                    record.unit,
                    record.counts,
                    sampling_seconds=record.sampling_seconds,
                )


def latest_epoch(store: Store, job_id: str) -> int:
    """The number of the last time that the job's queue was built; 0 before the first."""
    return layout.last_number(store.list(layout.epochs_folder(job_id)))


def _open_epoch(store: Store, job_id: str) -> int:
    number = latest_epoch(store, job_id) + 1
    while True:
        try:
            store.create(layout.epoch_path(job_id, number), b"epoch\n")
        except AlreadyExists:
            # Another's, or our own whose answer was lost; the next one serves as well.
            number += 1
        else:
            return number


def _read_into(queue: Queue, store: Store, job: Job) -> Cover:
    """Tell the queue what is wanted of the job; what is decided of it."""
    intent = latest_intent(store, job.job_id)
    queue.want(job.job_id, intent.wanted, intent.number)
    return Ledger(store, job.job_id).cover(job)


def _restore(queue: Queue, job: Job, epoch: int, cover: Cover) -> bool:
    return queue.restore(job.job_id, epoch, cover.undecided, cover.rows, cover.split)
