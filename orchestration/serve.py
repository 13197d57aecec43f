"""Jobs brought to their end by a fleet: one job, or all that come.

    queue: units left? ──► samplers draw them, the fleet replaces those that die
           none left   ──► finalise, report, forget

Whoever finds that a job has no units left finalises it; several may, at once, and make the same.
The queue is a cache: when it lost a job, what is undecided is put there again from the store.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from ancestral.jobs.client import Client
from ancestral.jobs.errors import (
    ModelUnreadable,
    QueueUnavailable,
    RowsMissing,
    StoreError,
    StoreUnavailable,
    UnknownJob,
)
from ancestral.jobs.finalise import Manifest, finalise
from ancestral.jobs.queue import LEASE_SECONDS, QueueCounts
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.orchestration.actor import SamplerPlan
from ancestral.orchestration.fleet import Fleet
from ancestral.orchestration.interrupt import Interrupt, Stopped
from ancestral.orchestration.progress import ProgressLine, Rate, rows_text
from ancestral.orchestration.report import render_report

#: Leases of a queue that lives and dies with the command. Short, for the only thing that can take
#: a lease away here is the death of a sampler, and its rows should not wait long.
EMBEDDED_LEASE_SECONDS = 15.0

#: Between two looks at the queue.
LOOK_SECONDS = 0.5

#: For a queue that does not answer, before a command gives up.
PATIENCE_SECONDS = 60.0

#: For samplers to finish what they hold: when somebody pressed Ctrl-C and waits, and when a
#: container is taken down, which gets 30 s.
HURRIED_DRAIN_SECONDS = 3.0
DRAIN_SECONDS = 25.0


@dataclass(frozen=True)
class Service:
    """What serves jobs: a queue, and how a fleet for it is made up.

    lease_seconds: of the queue.
    samplers, slots: processes, and rows that each draws at the same time.
    device: "cpu", or "cuda" for a whole GPU for each sampler.
    """

    client: Client
    queue: RedisQueue
    lease_seconds: float
    samplers: int
    slots: int
    device: str

    @staticmethod
    def at(
        settings: Settings, url: str, *, embedded: bool, samplers: int, slots: int, device: str
    ) -> Service:
        """The service of the queue at `url`; an embedded queue takes units back sooner."""
        lease_seconds = EMBEDDED_LEASE_SECONDS if embedded else LEASE_SECONDS
        queue = RedisQueue(url, lease_seconds=lease_seconds)
        client = Client(settings, queue)
        return Service(client, queue, lease_seconds, samplers, slots, device)

    def fleet(self, job_id: str | None, say: Callable[[str], None]) -> Fleet:
        """A fleet for one job or for all; it is not started yet."""
        settings = self.client.settings
        plan = SamplerPlan(
            queue=self.queue,
            lease_seconds=self.lease_seconds,
            state_uri=settings.state_uri,
            cache_folder=settings.cache_folder,
            slots=self.slots,
            device=self.device,
            job_id=job_id,
        )
        return Fleet(plan, self.samplers, say)

    def settle(self, job: Job, counts: QueueCounts) -> Manifest | None:
        """Publish a job of which the queue has no units to give; None if rows are missing.

        Units that the queue does not know are put there: it lost them, or they were not all there
        yet. A queue that takes units for done whose records are not in the store was restored from
        a backup, or the store was; it begins anew.
        """
        units = -(-job.rows // job.unit_rows)
        if counts.done < units:
            self.client.enqueue(job)
            return None
        try:
            return finalise(self.client.store(job.job_id), job.job_id)
        except RowsMissing:
            self.queue.forget(job.job_id)
            self.client.enqueue(job)
            return None


def run_job(service: Service, job: Job, stream: TextIO, interrupt: Interrupt) -> Manifest:
    """Draw all rows of a job that was enqueued, and publish it; progress goes to `stream`.

    Raises Stopped when interrupted, FleetFailed, StoreError, and QueueUnavailable when the queue
    does not answer for long. What is committed by then stays, and the job can be resumed.
    """
    rate = Rate()
    patience = _Patience()
    drain_seconds = HURRIED_DRAIN_SECONDS
    with ProgressLine(job.spec.name, job.rows, stream) as line:
        fleet = service.fleet(job.job_id, line.say)
        fleet.start()
        try:
            while not interrupt.wait(LOOK_SECONDS):
                with patience:
                    counts = _counts(service, job, line.say)
                    rows = decided(counts)
                    line.show(rows, rows_text(rows, job.rows, rate(rows)))
                    fleet.tend(rows)
                    if counts.ready + counts.leased == 0:
                        manifest = service.settle(job, counts)
                        if manifest is not None:
                            service.queue.forget(job.job_id)
                            # Nothing that a sampler may still do matters now.
                            drain_seconds = 0.0
                            return manifest
                    if counts.ready and not len(fleet):
                        # Samplers end when there is nothing left, and then there was something.
                        fleet.start()
            raise Stopped(
                "stopped; the rows committed so far are kept, and "
                f"`ancestral run --resume {job.job_id}` goes on with the rest"
            )
        finally:
            fleet.stop(drain_seconds)


def serve(service: Service, say: Callable[[str], None], interrupt: Interrupt) -> list[str]:
    """Draw and publish every job of the queue, until interrupted; then drain.

    Returns the ids of the jobs that were published. Raises FleetFailed, and QueueUnavailable when
    the queue does not answer for long.
    """
    jobs = _Jobs(service, say)
    fleet = service.fleet(None, say)
    fleet.start()
    patience = _Patience()
    try:
        while not interrupt.wait(LOOK_SECONDS):
            with patience:
                fleet.tend(jobs.look())
    finally:
        fleet.stop(DRAIN_SECONDS)
    return jobs.published


def publish_report(client: Client, job: Job, manifest: Manifest) -> str:
    """Write the report of a finished job beside its artifacts; where it is.

    Raises StoreError.
    """
    metrics: Mapping[str, Any] = {}
    # A model may be gone by now; the job stands without it.
    with contextlib.suppress(ModelUnreadable):
        metrics = client.registry.resolve(job.model.uri).metrics
    html = render_report(client.results(job.job_id), job, manifest, metrics=metrics)
    store = client.store(job.job_id)
    path = f"reports/{job.job_id}.html"
    store.put(path, html.encode())
    return store.uri_of(path)


def decided(counts: QueueCounts) -> int:
    """Rows of which it is known what became of them."""
    return counts.rows_ok + counts.rows_failed + counts.rows_rejected


def _counts(service: Service, job: Job, say: Callable[[str], None]) -> QueueCounts:
    try:
        return service.queue.counts(job.job_id)
    except UnknownJob:
        say("the queue lost the job; what is undecided is queued again")
        service.client.enqueue(job)
        return service.queue.counts(job.job_id)


class _Jobs:
    """The jobs of a queue that is served."""

    def __init__(self, service: Service, say: Callable[[str], None]) -> None:
        self._service = service
        self._say = say
        self._known: dict[str, Job] = {}
        #: Jobs that cannot be read or published, with what was said of them.
        self._broken: dict[str, str] = {}
        self.published: list[str] = []

    def look(self) -> int:
        """Publish the jobs that have nothing left to draw; rows decided of the others."""
        client, queue = self._service.client, self._service.queue
        queued = {job.job_id for job in queue.jobs()}
        for job_id in set(self._known) - queued:
            job = self._known.pop(job_id)
            with self._setting_aside(job_id):
                if not client.status(job_id).finished:
                    self._say(f"the queue lost job {job_id}; what is undecided is queued again")
                    client.enqueue(job)
        rows = 0
        for job_id in queued - set(self._broken):
            with self._setting_aside(job_id):
                rows += self._look_at(job_id)
        return rows

    def _look_at(self, job_id: str) -> int:
        client = self._service.client
        if job_id not in self._known:
            self._known[job_id] = client.job(job_id)
        job = self._known[job_id]
        counts = self._service.queue.counts(job_id)
        if counts.ready + counts.leased == 0:
            manifest = self._service.settle(job, counts)
            if manifest is not None:
                report = publish_report(client, job, manifest)
                self._service.queue.forget(job_id)
                del self._known[job_id]
                self.published.append(job_id)
                self._say(f"job {job_id} is {manifest.state}, its report is {report}")
        return decided(counts)

    @contextlib.contextmanager
    def _setting_aside(self, job_id: str) -> Iterator[None]:
        """One job that cannot be served does not keep the others waiting."""
        try:
            yield
        except (QueueUnavailable, StoreUnavailable):
            raise
        except (UnknownJob, StoreError) as error:
            self._broken[job_id] = str(error)
            self._say(f"job {job_id} is set aside: {error}")


class _Patience:
    """Lets a service be away for a while: swallows its errors until they last too long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, QueueUnavailable | StoreUnavailable):
            self._since = None
            return False
        self._since = self._since or self._clock()
        return self._clock() - self._since < PATIENCE_SECONDS
