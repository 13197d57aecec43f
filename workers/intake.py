"""The first stations of the trip: claim units, look them up, read their rows.

It runs in a thread of its own and keeps as many rows waiting as a model has slots, so that a
sampler never waits for the queue or the store.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from queue import SimpleQueue

from ancestral.jobs import layout
from ancestral.jobs.errors import QueueError, UnknownJob
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.queue import Lease
from ancestral.jobs.request_shards import read_rows
from ancestral.jobs.spec import Job
from ancestral.jobs.store import open_store
from ancestral.workers.commit import adopt
from ancestral.workers.errors import UnitIncomplete
from ancestral.workers.events import Hiccup, UnitGivenUp, UnitStarted
from ancestral.workers.held import one_line
from ancestral.workers.patience import LONGEST_PAUSE_SECONDS
from ancestral.workers.work import OpenJob, WarmModels, Work
from ancestral.workers.workplace import Workplace

#: Jobs whose doors are kept open; the one that was opened first is closed first.
OPEN_JOBS = 32


class Intake:
    """Claims units, of one job if it is named, and puts them in `arrivals`; None is the last.

    With a job named, it ends when that job has no units left; else, when it is closed.
    """

    def __init__(
        self, place: Workplace, models: WarmModels, idle_seconds: float, job_id: str | None
    ) -> None:
        self._place = place
        self._models = models
        self._idle_seconds = idle_seconds
        self._job_id = job_id
        self._open_jobs: dict[str, OpenJob] = {}
        self._closed = False
        self._wake = threading.Event()
        # Each of these two is raised by one thread alone, so neither needs a lock.
        self._rows_in = 0
        self._rows_taken = 0
        self._pause_seconds = idle_seconds
        #: Units whose rows were read.
        self.arrivals: SimpleQueue[Work | None] = SimpleQueue()

    def run(self) -> None:
        """Keep rows waiting until closed, or until the job is done."""
        try:
            while not self._closed:
                if self._rows_in - self._rows_taken >= self._models.slots:
                    self._sleep(self._idle_seconds)
                elif not self._claim():
                    if self._job_is_done():
                        return
                    self._sleep(self._pause_seconds)
        finally:
            self.arrivals.put(None)

    def close(self) -> None:
        """Claim no more. Sets a flag and nothing else, so that a signal handler may call it."""
        self._closed = True

    def take(self, rows: int) -> None:
        """The sampling thread says that so many rows wait no more."""
        self._rows_taken += rows
        self._wake.set()

    def _claim(self) -> bool:
        """Start the next unit; whether there was one.

        One at a time: what this worker does not need yet, another may have a slot for.
        """
        place = self._place
        try:
            leases = place.queue.claim(place.worker, 1, self._job_id)
        except QueueError as error:
            self._tell_outage("claiming units", error)
            return False
        self._pause_seconds = self._idle_seconds
        for lease in leases:
            place.held.add(lease)
            with place.held.boundary([lease]):
                self._start(lease)
        return bool(leases)

    def _start(self, lease: Lease) -> None:
        place = self._place
        retry = place.patience.retry
        name = f"unit {lease.unit.name} of job {lease.job_id}"
        opened = retry(f"opening job {lease.job_id}", lambda: self._open(lease))
        if lease.attempts > 0:
            # Somebody may have decided the unit and died before telling the queue.
            record = retry(f"looking up {name}", lambda: opened.ledger.lookup(lease.unit))
            if record is not None:
                adopt(place, lease, record)
                return
        cause = lease.last_error or "it has no attempts left"
        if lease.exhausted:
            place.listener(UnitGivenUp(place.worker, lease.job_id, lease.unit, cause))
        rows = retry(f"reading {name}", lambda: read_rows(opened.store, opened.job, lease.unit))
        if [row.ordinal for row in rows] != list(range(lease.unit.start, lease.unit.end)):
            raise UnitIncomplete(f"the requests of {name} hold {len(rows)} rows")
        if lease.exhausted:
            model = None
            error = f"given up after {lease.attempts} attempts at its unit; the last: {cause}"
            rows = [replace(row, error=row.error or error) for row in rows]
        else:
            model = retry(f"loading {opened.job.model.name}", lambda: self._models.get(opened.job))
        work = Work(lease, opened, rows, model)
        self._rows_in += len(rows)
        place.listener(UnitStarted(place.worker, lease.job_id, lease.unit, work.attempt))
        self.arrivals.put(work)

    def _open(self, lease: Lease) -> OpenJob:
        opened = self._open_jobs.get(lease.job_id)
        if opened is None:
            store = open_store(lease.output)
            job = Job.from_json(store.read(layout.spec_path(lease.job_id)))
            opened = OpenJob(job, store, Ledger(store, lease.job_id))
            if len(self._open_jobs) == OPEN_JOBS:
                del self._open_jobs[next(iter(self._open_jobs))]
            self._open_jobs[lease.job_id] = opened
        return opened

    def _job_is_done(self) -> bool:
        if self._job_id is None:
            return False
        try:
            counts = self._place.queue.counts(self._job_id)
            return counts.ready + counts.leased == 0
        except UnknownJob:
            return True
        except QueueError as error:
            self._tell_outage("asking how many units are left", error)
            return False

    def _tell_outage(self, doing: str, error: QueueError) -> None:
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        place = self._place
        place.listener(Hiccup(place.worker, doing, one_line(error), self._pause_seconds))

    def _sleep(self, seconds: float) -> None:
        """Until rows were taken, or for so long: a closed intake notices within this time."""
        self._wake.wait(seconds)
        self._wake.clear()
