"""The client: submit jobs, follow them, steer them, and read what they made.

    client.submit(spec) ─► accepted (acceptance.py) ─► known in the state ─► queued (recovery.py)
    client.pause(id)    ─► an intent in the store   ─► the queue is told
    client.status(id)   ◄─ the manifest, else the queue's counts, else the ledger
    client.results(id)  ◄─ what the ledger names
    client.export(id)   ─► a table or a dataset that others read

The store alone holds the truth: a queue that was lost is built again by `Client.recover`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ancestral.jobs import layout
from ancestral.jobs.acceptance import accept, draft, read_job, read_pointer, standing_job
from ancestral.jobs.errors import (
    AlreadyExists,
    NotFound,
    PathRefused,
    QueueError,
    SpecError,
    UnknownJob,
    UsageError,
)
from ancestral.jobs.export import Exported, Format, export
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.queue import Queue
from ancestral.jobs.recovery import audit, recount, recover
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.registry import Registry, is_path
from ancestral.jobs.results import Results
from ancestral.jobs.retry import Retried, retry
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, JobSpec, load_spec
from ancestral.jobs.states import Facts, check_wanted, state_of
from ancestral.jobs.status import JobStatus, status_of
from ancestral.jobs.store import Store, open_output, open_store
from ancestral.jobs.units import OnProgress

#: Seconds between two looks at a job that is waited for.
POLL_SECONDS = 1.0


class Client:
    """Submits jobs and follows them. Cheap to make; nothing is opened before it is used."""

    def __init__(self, settings: Settings | None = None, queue: Queue | None = None) -> None:
        """`settings` are the environment's by default, and `queue` is the one that they name."""
        self.settings = settings or Settings.from_environment()
        self.registry = Registry(
            self.settings.state_uri, self.settings.cache_folder, self.settings.shipped_folder
        )
        self._state = open_store(self.settings.state_uri)
        self._queue = queue

    @property
    def queue(self) -> Queue | None:
        """The queue at hand; None when there is none and the settings name none."""
        if self._queue is None and self.settings.redis_url:
            self._queue = RedisQueue(self.settings.redis_url)
        return self._queue

    def submit(
        self,
        spec: str | os.PathLike[str] | Mapping[str, Any] | JobSpec,
        progress: Callable[[int], None] | None = None,
    ) -> Job:
        """Checks a job to the last row and accepts it; queues its units if a queue is at hand.

        The same idempotency key with the same spec gives the job of the first time. `progress` is
        called with how many requests are checked so far, now and then.

        Raises UsageError (SpecError, RequestsInvalid, ModelUnreadable or ConflictError) when the
        job cannot be accepted as it is, StoreError when its output cannot be written, and
        QueueError; the last leaves an accepted job only when the queue breaks down on the way.
        """
        asked = _absolute(load_spec(spec))
        if self.queue is not None:
            self.queue.check()
        job = standing_job(asked, self._state)
        if job is None:
            model = self.registry.shared(self.registry.resolve(asked.model))
            job = accept(asked, model, self._state, progress)
        self.take_up(job)
        return job

    @contextlib.contextmanager
    def draft(
        self, spec: str | os.PathLike[str] | Mapping[str, Any] | JobSpec
    ) -> Iterator[tuple[Job, Store]]:
        """What `submit` would accept, and a store with its requests for as long as the block lasts.

        Nothing is written but a temporary folder. Raises UsageError and StoreError as `submit`.
        """
        asked = _absolute(load_spec(spec))
        # Only to hear of a key that belongs to another spec.
        standing_job(asked, self._state)
        with draft(asked, self.registry.resolve(asked.model)) as drafted:
            yield drafted

    def retry(self, job_id: str, status: Retried = "failed") -> Job:
        """Draw the rows of a finished job that ended so once more, as its child; see `retry`.

        `status` is failed or cancelled. Raises UnknownJob, UsageError, StoreError and QueueError.
        """
        child = retry(*self.opened(job_id), status)
        self.take_up(child)
        return child

    def take_up(self, job: Job) -> None:
        """Make an accepted job known in the state, and its units to the queue if one is at hand.

        A queue that has it already is only audited, so that nobody's lease is lost. Raises
        StoreError and QueueError; may be repeated then.
        """
        with contextlib.suppress(AlreadyExists):
            pointer = json.dumps({"output": job.spec.output}).encode()
            self._state.create(layout.state_job_path(job.job_id), pointer)
        store = open_store(job.spec.output)
        if self.queue is None or read_manifest(store, job.job_id) is not None:
            return
        if not audit(self.queue, store, job):
            recover(self.queue, store, job)
        recount(self.queue, store, job)

    def recover(self, job_id: str) -> bool:
        """Build the job's queue anew from the store; what workers hold now is lost to them.

        False when there was nothing to build, as the job is finished, or somebody else began to
        build it later. Raises UnknownJob, UsageError without a queue, StoreError and QueueError.
        """
        if self.queue is None:
            raise UsageError("there is no queue: set ANCESTRAL_REDIS_URL to the address of one")
        store, job = self.opened(job_id)
        if read_manifest(store, job_id) is not None or not recover(self.queue, store, job):
            return False
        recount(self.queue, store, job)
        return True

    def pause(self, job_id: str, reason: str | None = None) -> bool:
        """Let nobody draw more of the job until it is resumed; finished rows are committed.

        False when the queue could not be told of it now, being away or unknown here: workers hear
        of it once somebody audits or recovers the job. Raises UnknownJob, UsageError when the job
        is finished or being cancelled, and StoreError.
        """
        return self._want(job_id, Wanted.PAUSE, reason)

    def resume(self, job_id: str, reason: str | None = None) -> bool:
        """Let a paused or failed job go on; see `pause`."""
        return self._want(job_id, Wanted.RUN, reason)

    def cancel(self, job_id: str, reason: str | None = None) -> bool:
        """End the job for ever; the rows that are finished stay. See `pause`."""
        return self._want(job_id, Wanted.CANCEL, reason)

    def job(self, job_id: str) -> Job:
        """The accepted job. Raises UnknownJob."""
        return self.opened(job_id)[1]

    def jobs(self) -> list[str]:
        """The ids of all jobs that were submitted with this state; none of them is opened."""
        return [path.partition("/")[2] for path in self._state.list("jobs")]

    def store(self, job_id: str) -> Store:
        """The store that holds a job and its output. Raises UnknownJob."""
        try:
            pointer = read_pointer(self._state, layout.state_job_path(job_id))
        except (NotFound, PathRefused) as error:
            raise UnknownJob(f"no job {job_id!r} is known in {self.settings.state_uri}") from error
        return open_store(pointer["output"])

    def opened(self, job_id: str) -> tuple[Store, Job]:
        """A job and the store that holds it. Raises UnknownJob."""
        store = self.store(job_id)
        job = read_job(store, job_id)
        if job is None:
            raise UnknownJob(f"the job {job_id!r} is no longer in its output {store.uri}")
        return store, job

    def results(self, job_id: str) -> Results:
        """What the job has made so far. Raises UnknownJob."""
        return Results(*self.opened(job_id))

    def export(
        self,
        job_id: str,
        to: Format,
        uri: str,
        *,
        rejected: bool = False,
        progress: OnProgress | None = None,
    ) -> Exported:
        """What a finished job made, into a table or dataset that others read; see `export`.

        `to` is delta, iceberg, hf or webdataset. Raises UnknownJob, UsageError when the job is not
        finished or cannot be exported so, and StoreError.
        """
        store, job = self.opened(job_id)
        return export(store, job, to, uri, rejected=rejected, progress=progress)

    def status(self, job_id: str) -> JobStatus:
        """Where the job stands. Raises UnknownJob, StoreError and QueueError."""
        store, job = self.opened(job_id)
        return status_of(job, store, self.queue)

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

    def _want(self, job_id: str, wanted: Wanted, reason: str | None) -> bool:
        store, job = self.opened(job_id)
        manifest = read_manifest(store, job_id)
        if manifest is not None:
            check_wanted(job_id, manifest.state, wanted)
        intent = declare(store, job_id, wanted, reason)
        state, _ = state_of(Facts(rows=job.rows, decided=0, wanted=intent.wanted))
        check_wanted(job_id, state, wanted)
        if self.queue is None:
            return False
        try:
            return self.queue.want(job_id, intent.wanted, intent.number)
        except QueueError:
            return False


def _absolute(spec: JobSpec) -> JobSpec:
    """The spec as every machine and folder understands it."""
    try:
        output = open_output(spec.output).uri
    except PathRefused as error:
        raise SpecError(f"'output': {error}") from error
    paths = {"output": output, "input": spec.input and _absolute_path(spec.input)}
    if is_path(spec.model):
        paths["model"] = _absolute_path(spec.model)
    return spec.model_copy(update=paths)


def _absolute_path(path: str) -> str:
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))
