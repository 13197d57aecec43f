"""The whole trip in one process, without Ray and without Redis: for notebooks, tests, debugging."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ancestral.jobs.client import Client
from ancestral.jobs.finalise import finalise
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.results import Results
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import JobSpec, load_spec
from ancestral.jobs.states import State
from ancestral.jobs.units import Unit
from ancestral.workers.devices import misfit, refusal
from ancestral.workers.errors import JobRefused, JobStuck
from ancestral.workers.events import (
    Event,
    Listener,
    UnitFailed,
    UnitGivenUp,
    UnitReleased,
    log_event,
)
from ancestral.workers.patience import PASSING
from ancestral.workers.worker import Worker


def run_here(
    spec: str | os.PathLike[str] | Mapping[str, Any] | JobSpec,
    *,
    settings: Settings | None = None,
    slots: int | None = None,
    device: str = "cpu",
    listener: Listener = log_event,
) -> Results:
    """Submit a job, draw all of its rows, finish it, and return what it made.

    A job that was begun before (by its idempotency key) is brought to its end. `settings` are the
    environment's by default. Rows that failed are rows of the results.

    Raises UsageError when the job cannot be done as asked, JobRefused when this device does not
    draw it, StoreError when its output cannot be written, and JobStuck when it is paused, or when
    neither samples nor failures can be recorded.
    A cancelled job is finished with what it has.
    """
    # Torch comes in with the samplers: whoever only wants to hear of workers need not wait for it.
    from ancestral.workers.samplers import WarmSamplers

    spec = load_spec(spec)
    if (reason := misfit(spec, device)) is not None:
        raise JobRefused(f"{refusal(device, repr(spec.name), reason)}; nothing was submitted")
    queue = MemoryQueue()
    client = Client(settings, queue)
    job = client.submit(spec)
    status = client.status(job.job_id)
    if status.state in (State.PAUSED, State.FAILED):
        raise JobStuck(f"job {job.job_id} is {status.state}: {status.reason}; resume it first")
    samplers = WarmSamplers(client.registry, slots=slots, device=device)
    given_up: set[Unit] = set()
    stuck: list[UnitFailed | UnitReleased] = []

    def listen(event: Event) -> None:
        listener(event)
        match event:
            case UnitGivenUp():
                given_up.add(event.unit)
            case UnitFailed() if event.unit in given_up:
                stuck.append(event)
            case UnitReleased(error=Exception() as error) if not isinstance(error, PASSING):
                stuck.append(event)
        if stuck:
            # In a fleet, somebody mends the store meanwhile; here, somebody waits for us.
            worker.drain()

    worker = Worker(queue, samplers, job_id=job.job_id, listener=listen)
    worker.run()
    if stuck:
        raise JobStuck(
            f"unit {stuck[0].unit.name} of job {job.job_id} can neither be drawn nor be recorded "
            f"as failed: {stuck[0].error}"
        )
    finalise(client.store(job.job_id), job.job_id)
    return client.results(job.job_id)
