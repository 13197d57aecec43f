"""From a lease to rows that can be drawn: look the unit up, cut it to size, read it.

A unit that broke before is a *suspect*:

    decided meanwhile                   ──▶ its record is adopted
    attempts left                       ──▶ drawn alone (see intake.py)
    none left, of more than one row     ──▶ split in half, and handed back: the halves have one
    none left, of one row               ──▶ recorded as failed, with its last error

A job that this worker cannot draw says nothing of its units: JobRefused leaves here as it came. So
it is with a job whose spec.json is not to be had, as in an output that is gone or not mounted here.
"""

from __future__ import annotations

import traceback
from dataclasses import replace

from ancestral.jobs.errors import CorruptObject, NotFound
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.queue import Lease, clip_error
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.spec import accepted_job
from ancestral.jobs.wording import headline
from ancestral.workers.commit import adopt
from ancestral.workers.cut import BISECT, GUIDE, split
from ancestral.workers.errors import JobRefused
from ancestral.workers.events import UnitGivenUp
from ancestral.workers.held import Hold, is_trouble, one_line
from ancestral.workers.work import OpenJob, WarmModels, Work
from ancestral.workers.workplace import Workplace

#: Jobs whose doors are kept open; the one that was opened first is closed first.
OPEN_JOBS = 32


class Starter:
    """Starts units; of those that it raises for, none is decided."""

    def __init__(self, place: Workplace, models: WarmModels) -> None:
        self._place = place
        self._models = models
        self._open_jobs: dict[str, OpenJob] = {}

    def look_up(self, hold: Hold) -> OpenJob | None:
        """The job of a unit that is to be started; None when it was given away instead.

        A unit that is larger than it should be now is cut to size. Raises JobRefused.
        """
        place, lease = self._place, hold.lease
        opened = place.patience.retry(f"opening job {lease.job_id}", lambda: self._open(lease))
        most = opened.job.spec.max_attempts
        if lease.attempts > 0:
            # Somebody may have decided the unit and died before telling the queue.
            record = place.patience.retry(
                f"looking up {hold.name}", lambda: opened.ledger.lookup(lease.unit)
            )
            if record is not None:
                adopt(place, hold, record)
                return None
        if lease.attempts >= most and lease.unit.rows > 1:
            at, error = lease.unit.middle, lease.last_error
            split(place, hold, opened, at, BISECT, most - 1, error, keep=False)
            return None
        fitting = max(lease.guided_rows, self._models.slots)
        # A copy is not ours to cut: that would end the other worker's lease.
        if lease.attempts == 0 and not lease.copy and lease.unit.rows > 2 * fitting:
            at = lease.unit.start + fitting
            if not split(place, hold, opened, at, GUIDE, 0, None, keep=True):
                return None
        return opened

    def read(self, hold: Hold, opened: OpenJob) -> Work:
        """The unit's rows and the model for them. Raises JobRefused."""
        job, lease = opened.job, hold.lease
        if lease.attempts >= job.spec.max_attempts:
            return self._give_up(hold, opened)
        rows = self._rows(hold, opened)
        get = self._models.get
        try:
            model = self._place.patience.retry(f"loading {job.model.name}", lambda: get(job))
        except Exception as error:
            attempts = lease.attempts + 1
            passes_on = isinstance(error, JobRefused) or is_trouble(error)
            if passes_on or attempts < job.spec.max_attempts:
                raise
            # No row is at fault, so that there is none to be found by splitting.
            cause = clip_error("".join(traceback.format_exception(error)).rstrip())
            self._tell_given_up(hold, cause)
            return _failed(hold, opened, rows, attempts, cause)
        return Work(hold, opened, rows, model)

    def _rows(self, hold: Hold, opened: OpenJob) -> list[Row]:
        unit = hold.lease.unit
        return self._place.patience.retry(
            f"reading {hold.name}", lambda: read_rows(opened.store, opened.job, unit)
        )

    def _give_up(self, hold: Hold, opened: OpenJob) -> Work:
        """A row that has no attempts left. If not even that can be recorded, the job has failed."""
        lease, cause = hold.lease, hold.lease.last_error or "it broke"
        self._tell_given_up(hold, cause)
        try:
            rows = self._rows(hold, opened)
        except Exception as error:
            if not is_trouble(error):
                store, job_id, queue = opened.store, lease.job_id, self._place.queue
                intent = declare(store, job_id, Wanted.FAIL, f"{hold.name}: {one_line(error)}")
                queue.want(job_id, intent.wanted, intent.number)
            raise
        return _failed(hold, opened, rows, lease.attempts, cause)

    def _tell_given_up(self, hold: Hold, cause: str) -> None:
        place, lease = self._place, hold.lease
        place.listener(UnitGivenUp(place.worker, lease.job_id, lease.unit, headline(cause)))

    def _open(self, lease: Lease) -> OpenJob:
        opened = self._open_jobs.get(lease.job_id)
        if opened is None:
            store = self._place.opener(lease.output)
            try:
                job = accepted_job(store, lease.job_id)
            except (CorruptObject, NotFound) as error:
                raise JobRefused(f"job {lease.job_id} cannot be opened here: {error}") from error
            opened = OpenJob(job, store, Ledger(store, lease.job_id))
            if len(self._open_jobs) == OPEN_JOBS:
                del self._open_jobs[next(iter(self._open_jobs))]
            self._open_jobs[lease.job_id] = opened
        return opened


def _failed(hold: Hold, opened: OpenJob, rows: list[Row], attempts: int, cause: str) -> Work:
    """Rows that are not to be drawn any more."""
    error = f"given up after {attempts} attempts; the last: {cause}"
    failed = [replace(row, error=row.error or error) for row in rows]
    return Work(hold, opened, failed, model=None)
