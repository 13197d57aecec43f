"""The jobs that are served: those in the queue, and those that it may have lost.

    queue.jobs()  ──┐
    seen before   ──┼──► a controller for each ──► published, forgotten by the queue, reported
    state/jobs/   ──┘
       at the start, then every minute

So neither a queue that forgot everything nor a server that was started anew loses a job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ancestral.jobs.client import Client
from ancestral.jobs.errors import JobError, QueueError, UnknownJob
from ancestral.jobs.manifest import Manifest, read_manifest
from ancestral.jobs.queue import Queue
from ancestral.jobs.spec import Job
from ancestral.orchestration.controller import Controller

#: Between two searches for jobs that the queue does not know.
SEARCH_SECONDS = 60.0

#: Before something that did not work is tried again, while the other jobs are looked after.
ASIDE_SECONDS = 5.0


class Roster:
    """Looks after all jobs. `report` is called with each that is finished, once the queue has
    forgotten it, and may go wrong; `say` is told what people should hear of."""

    def __init__(
        self,
        client: Client,
        queue: Queue,
        report: Callable[[Job, Manifest], None],
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds and never goes back."""
        self._client = client
        self._queue = queue
        self._report = report
        self._say = say
        self._clock = clock
        #: Unfinished jobs, with the controllers of those that could be opened.
        self._ids: set[str] = set()
        self._controllers: dict[str, Controller] = {}
        self._finished: set[str] = set()
        self._search_at = clock()
        #: When what is set aside is tried again, and what was said of it.
        self._aside: dict[str, tuple[float, str]] = {}

    @property
    def open_units(self) -> int:
        """Units that are ready or held, of the jobs that are to be drawn; as of the last look."""
        return sum(controller.open_units for controller in self._controllers.values())

    def samplers_needed(self, now: float) -> int:
        """How many samplers should draw those jobs, as of the last look; `now` is in seconds since
        1970."""
        return sum(each.samplers_needed(now) for each in self._controllers.values())

    def look(self) -> int:
        """Look at every job once, and publish those that ended; rows drawn of the others.

        One job that cannot be served does not keep the others waiting. Raises QueueError.
        """
        self._ids.update(job.job_id for job in self._queue.jobs())
        if self._clock() >= self._search_at:
            self._attempt("the search for unfinished jobs", self._search)
        return sum(
            self._attempt(f"job {job_id}", partial(self._look_at, job_id))
            for job_id in sorted(self._ids)
        )

    def _search(self) -> None:
        for job_id in self._client.jobs():
            if job_id not in self._finished and job_id not in self._ids:
                self._attempt(f"job {job_id}", partial(self._sort, job_id))
        self._search_at = self._clock() + SEARCH_SECONDS

    def _sort(self, job_id: str) -> None:
        if read_manifest(self._client.store(job_id), job_id) is None:
            self._ids.add(job_id)
        else:
            self._finished.add(job_id)

    def _look_at(self, job_id: str) -> int | None:
        """Rows that are drawn by now; None if that is not known, or matters no more."""
        if job_id not in self._controllers:
            self._controllers[job_id] = self._open(job_id)
        controller = self._controllers[job_id]
        try:
            manifest = controller.look()
        except UnknownJob:
            # To be opened anew, and forgotten there if it is still not to be had.
            del self._controllers[job_id]
            raise
        if manifest is not None:
            # In this order: whatever a report runs into, nobody is to meet the job again for it.
            self._queue.forget(job_id)
            try:
                self._report(controller.job, manifest)
            except JobError:
                raise
            # A report shows what others wrote, in bundles and in tables; it must end no server.
            except Exception as error:  # noqa: BLE001
                self._say(
                    f"job {job_id} is published, but its report could not be written: {error!r}"
                )
            del self._controllers[job_id]
            self._ids.remove(job_id)
            self._finished.add(job_id)
            return None
        counts = controller.counts
        return counts.rows_ok + counts.rows_rejected if counts is not None else None

    def _open(self, job_id: str) -> Controller:
        # Raises, too, if it is a job of another state: the queue keeps it for those who know it.
        store = self._client.store(job_id)
        try:
            job = self._client.job(job_id)
        except UnknownJob:
            # Workers would claim its units for ever. Should it come back, it is queued again.
            self._queue.forget(job_id)
            raise
        return Controller(self._queue, store, job, self._say, clock=self._clock)

    def _attempt(self, name: str, step: Callable[[], int | None]) -> int:
        """What `step` returns, if anything; 0 when it goes wrong, and for a while after that."""
        again_at, said = self._aside.get(name, (self._clock(), ""))
        if self._clock() < again_at:
            return 0
        try:
            result = step() or 0
        except QueueError:
            raise
        except JobError as error:
            if said != str(error):
                self._say(f"{name} is set aside: {error}")
            self._aside[name] = self._clock() + ASIDE_SECONDS, str(error)
            return 0
        self._aside.pop(name, None)
        return result
