"""Jobs brought to their end by a fleet: one job, or all that come.

    controllers ──► what is undecided is in the queue, what is decided is published
    fleet       ──► samplers draw, and those that die are replaced

Several may do this at once, on any machines; nobody has to.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.errors import ModelUnreadable, QueueError, StoreError
from ancestral.jobs.intents import Wanted
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.queue import LEASE_SECONDS
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.orchestration.actor import SamplerPlan
from ancestral.orchestration.controller import Controller
from ancestral.orchestration.errors import JobFailed
from ancestral.orchestration.fleet import Fleet
from ancestral.orchestration.interrupt import Interrupt, Stopped
from ancestral.orchestration.progress import ProgressLine, Rate, rows_text
from ancestral.orchestration.report import render_report
from ancestral.orchestration.roster import Roster

#: Leases of a queue that lives and dies with the command. Short, for the only thing that can take
#: a lease away here is a sampler that hangs, and its rows should not wait long.
EMBEDDED_LEASE_SECONDS = 15.0

#: Between two looks at the queue.
LOOK_SECONDS = 0.5

#: For a queue or a store that cannot be used, before a command gives up.
PATIENCE_SECONDS = 60.0

#: For samplers to finish what they hold: when somebody pressed Ctrl-C and waits, and when a
#: container is taken down. The manifests grant more, since what the fleet is at ends first.
HURRIED_DRAIN_SECONDS = 3.0
DRAIN_SECONDS = 25.0


@dataclass(frozen=True)
class Service:
    """What serves jobs: a queue, and how a fleet for it is made up.

    lease_seconds: of the queue.
    samplers, slots: processes, and rows that each draws at the same time (None: as many as is best
        for the device).
    device: "cpu" or "cuda".
    gpus: with cuda, the share of a GPU that each sampler takes, in (0, 1].
    """

    client: Client
    queue: RedisQueue
    lease_seconds: float
    samplers: int
    slots: int | None
    device: str
    gpus: float = 1.0

    @staticmethod
    def at(
        settings: Settings,
        url: str,
        *,
        embedded: bool,
        samplers: int,
        slots: int | None,
        device: str,
        gpus: float = 1.0,
    ) -> Service:
        """The service of the queue at `url`; an embedded queue takes units back sooner."""
        lease_seconds = EMBEDDED_LEASE_SECONDS if embedded else LEASE_SECONDS
        queue = RedisQueue(url, lease_seconds=lease_seconds)
        client = Client(settings, queue)
        return Service(client, queue, lease_seconds, samplers, slots, device, gpus)

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
            gpus=self.gpus,
            job_id=job_id,
        )
        return Fleet(plan, self.samplers, say)


def run_job(service: Service, job: Job, stream: TextIO, interrupt: Interrupt) -> Manifest:
    """Draw all rows of a job that was submitted, and publish it; progress goes to `stream`.

    A job that is paused meanwhile is waited for. Raises Stopped when interrupted, JobFailed,
    FleetFailed, FleetUnfit, UnknownJob when the job is no longer in its output, and QueueError or
    StoreError when the queue or the store cannot be used for long. What is committed by then stays,
    and the job can be resumed.
    """
    rate = Rate()
    drain_seconds = HURRIED_DRAIN_SECONDS
    with ProgressLine(job.spec.name, job.rows, stream) as line:
        patience = _Patience(line.say)
        controller = Controller(
            service.queue,
            service.client.store(job.job_id),
            job,
            line.say,
            lease_seconds=service.lease_seconds,
        )
        fleet = service.fleet(job.job_id, line.say)
        fleet.start()
        try:
            while not interrupt.wait(LOOK_SECONDS):
                with patience:
                    manifest, counts = controller.look(), controller.counts
                    if counts is not None:
                        rows = counts.rows_decided
                        line.show(rows, rows_text(rows, job.rows, rate(rows)))
                    if manifest is not None:
                        service.queue.forget(job.job_id)
                        # Nothing that a sampler may still do matters now.
                        drain_seconds = 0.0
                        return manifest
                    if controller.failure is not None:
                        raise JobFailed(
                            f"job {job.job_id} failed: {controller.failure}; mend it, and go on "
                            f"with `ancestral run --resume {job.job_id}`"
                        )
                    if counts is not None:
                        fleet.tend(counts.rows_ok + counts.rows_rejected)
                        if counts.ready and counts.wanted is Wanted.RUN:
                            # Samplers end when there is nothing left, and then there was something.
                            fleet.start()
            raise Stopped(
                "stopped; the rows committed so far are kept, and "
                f"`ancestral run --resume {job.job_id}` goes on with the rest"
            )
        finally:
            fleet.stop(drain_seconds)


def serve(service: Service, say: Callable[[str], None], interrupt: Interrupt) -> list[str]:
    """Draw and publish every job that can be found, until interrupted; then drain.

    Returns the ids of the jobs that were published. Raises FleetFailed, and QueueError when the
    queue cannot be used for long.
    """
    published = []

    def report(job: Job, manifest: Manifest) -> None:
        # First, as it is published whatever its report runs into; and once, as that is tried again.
        if job.job_id not in published:
            published.append(job.job_id)
        written = publish_report(service.client, job, manifest)
        say(f"job {job.job_id} is {manifest.state}, its report is {written}")

    roster = Roster(service.client, service.queue, report, say, lease_seconds=service.lease_seconds)
    fleet = service.fleet(None, say)
    fleet.start()
    patience = _Patience(say)
    try:
        while not interrupt.wait(LOOK_SECONDS):
            with patience:
                fleet.tend(roster.look())
    finally:
        fleet.stop(DRAIN_SECONDS)
    return published


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
    path = layout.report_path(job.job_id)
    store.put(path, html.encode())
    return store.uri_of(path)


class _Patience:
    """Swallows the errors of a queue or a store until they last too long; `say` is told of them."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
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
        if not isinstance(error, QueueError | StoreError):
            self._since = None
            return False
        if self._since is None:
            self._since = self._clock()
            self._say(f"{error}; waiting for it")
        return self._clock() - self._since < PATIENCE_SECONDS
