"""The client: submit jobs, follow them, and read what they made.

    client.submit(spec) ─► accepted (acceptance.py) ─► known in the state ─► units in the queue
    client.status(id)   ◄─ the manifest, else the queue's counts, else the ledger
    client.results(id)  ◄─ what the ledger names

The store alone holds the truth: a queue that was lost is filled again by `Client.enqueue`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ancestral.jobs import layout
from ancestral.jobs.acceptance import accept, read_job, read_pointer, standing_job
from ancestral.jobs.errors import (
    AlreadyExists,
    NotFound,
    PathRefused,
    SpecError,
    UnknownJob,
    UsageError,
)
from ancestral.jobs.finalise import read_manifest
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.queue import Queue, QueueCounts
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.registry import Registry, is_path
from ancestral.jobs.results import Results
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, JobSpec, load_spec
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import RowCounts

#: Seconds between two looks at a job that is waited for.
POLL_SECONDS = 1.0

#: States of a job that changes no more.
FINISHED = ("done", "done_with_errors")


@dataclass(frozen=True)
class KnownJob:
    """A job as the state store knows it."""

    job_id: str
    #: The root of the job's store, absolute.
    output: str


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands. Of its rows, those are counted that are decided."""

    job_id: str
    name: str
    #: queued, running, finalising, done or done_with_errors.
    state: str
    rows: int
    rows_ok: int
    rows_failed: int
    rows_rejected: int
    #: The root of the job's store, absolute.
    output: str
    #: The folder of Parquet files that describe the artifacts; None until the job is done.
    index: str | None
    #: Why the job stands where it does, where that is not plain from the counts.
    reason: str | None

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


class Client:
    """Submits jobs and follows them. Cheap to make; nothing is opened before it is used."""

    def __init__(self, settings: Settings | None = None, queue: Queue | None = None) -> None:
        """`settings` are the environment's by default, and `queue` is the one that they name."""
        self.settings = settings or Settings.from_environment()
        self.registry = Registry(self.settings.state_uri, self.settings.cache_folder)
        self._state = open_store(self.settings.state_uri)
        self._queue = queue

    @property
    def queue(self) -> Queue | None:
        """The queue at hand; None when there is none and the settings name none."""
        if self._queue is None and self.settings.redis_url:
            self._queue = RedisQueue(self.settings.redis_url)
        return self._queue

    def submit(self, spec: str | os.PathLike[str] | Mapping[str, Any] | JobSpec) -> Job:
        """Checks a job to the last row and accepts it; queues its units if a queue is at hand.

        The same idempotency key with the same spec gives the job of the first time.

        Raises UsageError (SpecError, RequestsInvalid, ModelUnreadable or ConflictError) when the
        job cannot be accepted as it is, StoreError when its output cannot be written, and
        QueueError; the last leaves an accepted job only when the queue breaks down on the way.
        """
        asked = _absolute(load_spec(spec))
        if self.queue is not None:
            self.queue.check()
        job = standing_job(asked, self._state)
        if job is None:
            job = accept(asked, self.registry.resolve(asked.model), self._state)
        with contextlib.suppress(AlreadyExists):
            pointer = json.dumps({"output": job.spec.output}).encode()
            self._state.create(layout.state_job_path(job.job_id), pointer)
        if self.queue is not None:
            self.enqueue(job)
        return job

    def enqueue(self, job: Job) -> int:
        """Puts those units of an accepted job into the queue that are neither there nor decided.

        Hence it also resumes a job whose queue was lost. Returns how many units were added. Raises
        UsageError without a queue.
        """
        if self.queue is None:
            raise UsageError("there is no queue: set ANCESTRAL_REDIS_URL to the address of one")
        store = open_store(job.spec.output)
        if read_manifest(store, job.job_id) is not None:
            return 0
        ledger = Ledger(store, job.job_id)
        undecided = list(ledger.undecided(job))
        self.queue.add_job(job.job_id, job.spec.output, job.spec.priority, job.spec.max_attempts)
        decided = sum(1 for _ in job.units()) - len(undecided)
        if decided > self.queue.counts(job.job_id).done:
            for record in ledger.records():
                self.queue.complete(job.job_id, record.unit, record.counts)
        return self.queue.add_units(job.job_id, undecided)

    def job(self, job_id: str) -> Job:
        """The accepted job. Raises UnknownJob."""
        store = self.store(job_id)
        job = read_job(store, job_id)
        if job is None:
            raise UnknownJob(f"the job {job_id!r} is no longer in its output {store.uri}")
        return job

    def jobs(self) -> list[KnownJob]:
        """Every job that was submitted with this state, by id."""
        ids = [path.partition("/")[2] for path in self._state.list("jobs")]
        return [KnownJob(job_id, self.store(job_id).uri) for job_id in ids]

    def store(self, job_id: str) -> Store:
        """The store that holds a job and its output. Raises UnknownJob."""
        try:
            pointer = read_pointer(self._state, layout.state_job_path(job_id))
        except (NotFound, PathRefused) as error:
            raise UnknownJob(f"no job {job_id!r} is known in {self.settings.state_uri}") from error
        return open_store(pointer["output"])

    def results(self, job_id: str) -> Results:
        """What the job has made so far. Raises UnknownJob."""
        return Results(self.store(job_id), self.job(job_id))

    def status(self, job_id: str) -> JobStatus:
        """Where the job stands. Raises UnknownJob."""
        job = self.job(job_id)
        store = open_store(job.spec.output)
        manifest = read_manifest(store, job_id)
        if manifest is not None:
            counts = RowCounts(manifest.rows_ok, manifest.rows_failed, manifest.rows_rejected)
            failed = f"{counts.failed} rows failed; the index says why" if counts.failed else None
            return _status(job, manifest.state, counts, manifest.index, failed)
        queued = self._queue_counts(job_id)
        if queued is None:
            records = list(Ledger(store, job_id).records())
            counts = sum((record.counts for record in records), RowCounts())
            busy = bool(records)
            reason = None if self.queue is None else "it is not in the queue: enqueue it"
        else:
            counts = RowCounts(queued.rows_ok, queued.rows_failed, queued.rows_rejected)
            busy = queued.leased + queued.done > 0
            reason = None if queued.leased else f"no worker holds any of its {queued.ready} units"
        if counts.total == job.rows:
            return _status(job, "finalising", counts, None, None)
        return _status(job, "running" if busy else "queued", counts, None, reason)

    def wait(
        self,
        job_id: str,
        timeout_seconds: float | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> JobStatus:
        """Waits until the job is finished or the time is up; returns the status then.

        Raises UnknownJob.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            status = self.status(job_id)
            if status.finished or (deadline is not None and time.monotonic() >= deadline):
                return status
            time.sleep(poll_seconds)

    def _queue_counts(self, job_id: str) -> QueueCounts | None:
        """None without a queue, and when the queue does not know the job."""
        if self.queue is None:
            return None
        with contextlib.suppress(UnknownJob):
            return self.queue.counts(job_id)
        return None


def _status(
    job: Job, state: str, counts: RowCounts, index: str | None, reason: str | None
) -> JobStatus:
    return JobStatus(
        job_id=job.job_id,
        name=job.spec.name,
        state=state,
        rows=job.rows,
        rows_ok=counts.ok,
        rows_failed=counts.failed,
        rows_rejected=counts.rejected,
        output=job.spec.output,
        index=index,
        reason=reason,
    )


def _absolute(spec: JobSpec) -> JobSpec:
    """The spec as every machine and folder understands it."""
    try:
        output = open_store(spec.output).uri
    except PathRefused as error:
        raise SpecError(f"'output': {error}") from error
    paths = {"output": output, "input": spec.input and _absolute_path(spec.input)}
    if is_path(spec.model):
        paths["model"] = _absolute_path(spec.model)
    return spec.model_copy(update=paths)


def _absolute_path(path: str) -> str:
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))
