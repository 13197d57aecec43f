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
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.orchestration.actor import SamplerPlan
from ancestral.orchestration.controller import Controller
from ancestral.orchestration.errors import JobFailed, Stopped
from ancestral.orchestration.fleet import Fleet
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.progress import ProgressLine, Rate, rows_text
from ancestral.orchestration.report.page import render_report
from ancestral.orchestration.roster import Roster
from ancestral.orchestration.scaling import IDLE_SECONDS, Scaling
from ancestral.orchestration.wording import counted, duration

#: Between two looks at the queue.
LOOK_SECONDS = 0.5

#: For a queue or a store that cannot be used, before a command gives up.
PATIENCE_SECONDS = 60.0

#: For samplers to finish what they hold: when somebody pressed Ctrl-C and waits, and when a
#: container is taken down. deploy/ grants more (180 s): what the fleet is doing, such as publishing
#: a large table, ends before the drain begins.
HURRIED_DRAIN_SECONDS = 3.0
DRAIN_SECONDS = 25.0


@dataclass(frozen=True)
class Service:
    """What serves jobs: a queue, and how a fleet for it is made up.

    samplers, slots: processes, and rows that each draws at the same time (None: as many as is best
        for the device).
    device: "cpu" or "cuda".
    gpus: with cuda, the share of a GPU that each sampler takes, in (0, 1].
    most, idle_seconds: a fleet for all jobs grows to so many samplers if its jobs need them, and
        gives up those that were not needed for so long; None: it stays as it is.
    """

    client: Client
    queue: RedisQueue
    samplers: int
    slots: int | None
    device: str
    gpus: float = 1.0
    most: int | None = None
    idle_seconds: float = IDLE_SECONDS

    def fleet(self, job_id: str | None, say: Callable[[str], None]) -> Fleet:
        """A fleet for one job or for all; it is not started yet."""
        settings = self.client.settings
        plan = SamplerPlan(
            queue=self.queue,
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
        store = service.client.store(job.job_id)
        controller = Controller(service.queue, store, job, line.say)
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
                            # A sampler that finds no unit ends; a lease that ran out or a split
                            # may have made some ready since.
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
        # Before the report, which may fail, and only once, for a failed report is tried again.
        if job.job_id not in published:
            published.append(job.job_id)
        written = publish_report(service.client, job, manifest)
        say(f"job {job.job_id} is {manifest.state}, its report is {written}")

    roster = Roster(service.client, service.queue, report, say)
    fleet = service.fleet(None, say)
    fleet.start()
    scaling = Scaling(service.samplers, service.most or service.samplers, service.idle_seconds)
    patience = _Patience(say)
    try:
        while not interrupt.wait(LOOK_SECONDS):
            with patience:
                fleet.tend(roster.look())
                before, needed = scaling.size, roster.samplers_needed(time.time())
                size = scaling.wanted(needed, time.monotonic())
                if size != before:
                    reason = f"fewer sufficed for {duration(service.idle_seconds)}"
                    if size > before:
                        reason = f"{counted(roster.open_units, 'unit')} open"
                        if needed < roster.open_units:
                            reason += f", for which {needed} would be enough"
                    say(f"{reason}: from {before} to {counted(size, 'sampler')}")
                    fleet.resize(size)
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

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
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
            self._since = time.monotonic()
            self._say(f"{error}; waiting for it")
        return time.monotonic() - self._since < PATIENCE_SECONDS
