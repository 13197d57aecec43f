"""A fleet of real worker processes and a controller, without Ray and torch: what can be killed.

    forkserver (has imported everything) ──fork──► work(plan, name, device)   a worker
                                         ──fork──► control(plan)              the controller

Each process keeps a journal, a file of one JSON object per line, of what it does and is told.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ancestral.jobs import redis_connection
from ancestral.jobs.errors import QueueError, StoreError
from ancestral.jobs.queue import Lease, Order, Progress
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.jobs.store import open_store
from ancestral.orchestration import controller
from ancestral.workers.events import Event
from ancestral.workers.worker import Pace, Worker
from tests.faults.perils import Perils
from tests.workers.fakes import FakeModels

_PR_SET_PDEATHSIG = 1

#: How a worker's process ends that found itself hanging.
HUNG = 14


@dataclass(frozen=True)
class Plan:
    """What all processes of a fleet are told.

    journals: the folder of their journals.
    stall_seconds: without progress, after which a worker takes itself for hanging.
    answer_seconds: that a client waits for the queue's server.
    sick: devices on which every unit breaks.
    urls: of the queue, for the devices that go another way than `url`.
    environment: set before anything is opened.
    """

    url: str
    namespace: str
    job: Job
    journals: Path
    lease_seconds: float = 1.5
    stall_seconds: float = 60.0
    answer_seconds: float = 5.0
    patience_seconds: float = 3.0
    slots: int = 4
    step_seconds: float = 0.01
    sick: frozenset[str] = frozenset()
    urls: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def pace(self) -> Pace:
        return Pace(
            beat_seconds=self.lease_seconds / 6,
            idle_seconds=0.02,
            patience_seconds=self.patience_seconds,
            rest_seconds=0.01,
            stall_seconds=self.stall_seconds,
        )


class Journal:
    """Appends to a file what happens in one process, with the machine's monotonic time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, what: str, **told: Any) -> None:
        line = json.dumps({"what": what, **told, "time": time.monotonic()}, default=str)
        # One write each, so that the threads' lines do not mix.
        self._file.write(f"{line}\n".encode())

    def listen(self, event: Event) -> None:
        told = {each.name: getattr(event, each.name) for each in dataclasses.fields(event)}
        unit = told.pop("unit", None)
        self.write(type(event).__name__, **told, unit=unit and [unit.start, unit.end])


def read_journal(path: Path) -> list[dict[str, Any]]:
    """What was written so far; a last line that is cut short is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


class WatchedQueue(RedisQueue):
    """Journals every beat and every order."""

    journal: Journal

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        self.journal.write("beat")
        orders = super().heartbeat(worker, progress)
        for lease, order in orders.items():
            unit = [lease.unit.start, lease.unit.end]
            self.journal.write("order", order=order.value, unit=unit)
        return orders


def work(plan: Plan, name: str, device: str) -> None:
    """The life of a worker's process. SIGTERM drains it."""
    _prepare(plan)
    journal = Journal(plan.journals / f"{name}.jsonl")
    queue = WatchedQueue(
        plan.urls.get(device, plan.url),
        plan.lease_seconds,
        plan.stall_seconds,
        namespace=plan.namespace,
    )
    queue.journal = journal
    perils = Perils(
        plan.step_seconds,
        device in plan.sick,
        lambda rows: journal.write("advance", rows=[row.ordinal for row in rows]),
    )
    worker = Worker(
        queue,
        FakeModels(plan.slots, before_advance=perils),
        name,
        device=device,
        listener=journal.listen,
        pace=plan.pace(),
        on_hang=lambda: os._exit(HUNG),
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.drain())
    worker.run()


def control(plan: Plan, name: str) -> None:
    """The life of the controller's process; it ends when the job is published."""
    _prepare(plan)
    controller.AUDIT_SECONDS = plan.lease_seconds
    controller.LISTING_SECONDS = 0.2
    journal = Journal(plan.journals / f"{name}.jsonl")
    queue = RedisQueue(plan.url, plan.lease_seconds, plan.stall_seconds, namespace=plan.namespace)
    one = controller.Controller(
        queue,
        open_store(plan.job.spec.output),
        plan.job,
        lambda sentence: journal.write("said", sentence=sentence),
    )
    while True:
        try:
            if one.look() is not None:
                return
        except (QueueError, StoreError) as error:
            journal.write("trouble", error=f"{type(error).__name__}: {error}")
        time.sleep(0.1)


def _prepare(plan: Plan) -> None:
    # The forkserver ends with the process that runs the tests, however that ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.update(plan.environment)
    redis_connection.TIMEOUT_SECONDS = plan.answer_seconds
    redis_connection.RETRIES = 1
