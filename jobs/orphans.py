"""Garbage collection: what attempts left behind that lost, died, or came too late.

    of a range that was cancelled    a record that came later, first, then its marker
    packs/{job}, attempts            what no range record names
    submits                          shards that spec.json does not name
    .tmp-*, an hour old              what a writer that died was writing to a folder

Only of a finished job: in it everything is decided, so that nothing that is unnamed now can be
named ever after. Whoever still writes (a worker that does not know yet) makes new garbage at worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ancestral.jobs import layout
from ancestral.jobs.cover import within
from ancestral.jobs.errors import NotFound, UsageError
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.spec import Job, accepted_job
from ancestral.jobs.store import Store, ahead


@dataclass(frozen=True)
class Collected:
    """What was garbage, or is, of a dry run: the number of objects and the bytes in them."""

    objects: int
    bytes: int


def collect(store: Store, job_id: str, dry_run: bool = False) -> Collected:
    """Deletes the garbage of a finished job; safe at any time, by anybody, again and again.

    Raises UsageError when the job is not finished, and StoreError; what is gone by then stays so.
    """
    if read_manifest(store, job_id) is None:
        raise UsageError(
            f"job {job_id} is not finished: what it does not need is known only once it is"
        )
    job = accepted_job(store, job_id)
    late = sorted(_late(store, job))
    named = _named(store, job, set(late))
    unnamed = (path for path in _candidates(store, job) if path not in named)
    sizes = [
        size
        # Records go first: the files of one that is there are never missed.
        for paths in (late, unnamed)
        for size in ahead(partial(_delete, store, dry_run), paths)
        if size is not None
    ]
    own = (layout.packs_folder(job_id), layout.job_folder(job_id), job.table_folder)
    for folder in (*own, layout.REPORTS_FOLDER):
        sizes += store.sweep(folder, dry_run)
    return Collected(len(sizes), sum(sizes))


def _late(store: Store, job: Job) -> Iterator[str]:
    """Records and markers of ranges that the job was sealed without."""
    cancelled = Ledger(store, job.job_id).cancelled()
    for folder in (layout.records_folder(job.job_id), layout.splits_folder(job.job_id)):
        for path in store.list(folder):
            unit = layout.unit_of_name(path)
            if unit is not None and within(cancelled, unit):
                yield path


def _named(store: Store, job: Job, late: set[str]) -> set[str]:
    """The objects that a record or the job itself names, and the list of packs."""
    ledger = Ledger(store, job.job_id)
    paths = [path for path in store.list(layout.records_folder(job.job_id)) if path not in late]
    units = (unit for path in paths if (unit := layout.unit_of_name(path)) is not None)
    named = {shard.path for shard in job.shards} | {layout.packs_list_path(job.job_id)}
    for record in ahead(ledger.lookup, units):
        if isinstance(record, RowsRecord):
            named |= {record.index_part.path, *(pack.path for pack in record.packs)}
    return named


def _candidates(store: Store, job: Job) -> Iterator[str]:
    for folder in (
        layout.packs_folder(job.job_id),
        layout.attempts_folder(job.job_id),
        layout.submits_folder(job.job_id),
    ):
        yield from store.list(folder)


def _delete(store: Store, dry_run: bool, path: str) -> int | None:
    """The size of an object, which is gone now; None if it was gone before."""
    try:
        size = store.size(path)
    except NotFound:
        return None
    if not dry_run:
        store.delete(path)
    return size
