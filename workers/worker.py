"""The trip of a unit through one process.

    intake thread          sampling (the caller's thread)           writer thread
    ─────────────          ──────────────────────────────           ─────────────
    claim a unit
    decided already?
    read its rows    ──▶   admit rows into free slots
                           advance
                           rows that ended                  ──▶     encode, gate
                                                                    the unit's last row: pack,
                           cuts                             ──▶     index, record, complete
                             ▲
    heartbeat thread: ───────┘ orders
    renews the leases of all units between claim and complete

Slots stay full across units and jobs of one model; several models take turns. Whatever breaks in a
unit costs that unit an attempt, and the worker goes on.

The threads do nothing but take their station's next step, again and again (`Intake.step`,
`Worker.turn`, `Writer.step`, `Heartbeat.beat`): somebody else can take the steps in one thread.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ancestral.jobs.queue import LEASE_SECONDS, STALL_SECONDS, Order, Queue
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.workers.events import Listener, log_event
from ancestral.workers.heartbeat import Heartbeat
from ancestral.workers.held import HeldLeases, Hold
from ancestral.workers.intake import Intake
from ancestral.workers.patience import Patience
from ancestral.workers.sampling import OrderFor, Scheduler
from ancestral.workers.work import WarmModel, WarmModels
from ancestral.workers.workplace import Workplace
from ancestral.workers.writer import Writer


@dataclass(frozen=True)
class Pace:
    """How long a worker waits for what.

    beat_seconds: between heartbeats; a quarter of the queue's lease.
    idle_seconds: between two looks at a queue that has nothing to claim; with nothing in hand,
        doubled with each look, up to ten times as long.
    patience_seconds: for a queue or store that does not answer, before a unit is handed back.
    rest_seconds: before a unit that broke can be leased again; doubled with each attempt.
    stall_seconds: without progress, before the worker is said to hang.
    load_seconds: for a model to be fetched and loaded, which counts as progress for so long.
    backlog_rows: ended rows that may wait to be written; with more, sampling waits.
    """

    beat_seconds: float = LEASE_SECONDS / 4
    idle_seconds: float = 0.2
    patience_seconds: float = 120.0
    rest_seconds: float = 1.0
    stall_seconds: float = STALL_SECONDS
    load_seconds: float = 3600.0
    backlog_rows: int = 256


_USUAL_PACE = Pace()

#: Why units are released that are still in hand when the trip breaks off.
STOPPED = "the worker stopped"


class TimedModels:
    """`WarmModels` that know how long they took to load: so many seconds of each, at most."""

    def __init__(
        self, models: WarmModels, longest_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._models = models
        self._longest_seconds = longest_seconds
        self._clock = clock
        # Of the loads so far, and since when one is under way: changed at once, for another thread
        # asks for it.
        self._timed: tuple[float, float | None] = (0.0, None)

    @property
    def seconds(self) -> float:
        """Of all loads so far; only ever rises."""
        before, started = self._timed
        if started is None:
            return before
        return before + min(self._clock() - started, self._longest_seconds)

    @property
    def device(self) -> str:
        return self._models.device

    @property
    def slots(self) -> int:
        return self._models.slots

    def get(self, job: Job) -> WarmModel:
        self._timed = self.seconds, self._clock()
        try:
            return self._models.get(job)
        finally:
            self._timed = self.seconds, None

    def forget(self, model: WarmModel) -> None:
        self._models.forget(model)


class Worker:
    """Draws the rows of units from a queue until it is drained. It runs once.

    With a `job_id`, it claims from that job alone, and ends when the job has no units left. Without
    one, jobs that it cannot draw are left to others.
    """

    def __init__(
        self,
        queue: Queue,
        models: WarmModels,
        name: str | None = None,
        *,
        device: str | None = None,
        job_id: str | None = None,
        listener: Listener = log_event,
        pace: Pace = _USUAL_PACE,
        opener: Callable[[str], Store] = open_store,
        on_hang: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`device` is what the queue and the records call it: by default the host's name and the
        models' device. `on_hang` is called in the heartbeat's thread when nothing advances any
        more: nothing here can end a thread that hangs, but it can end the process.

        `opener` opens the stores of jobs; `clock` and `sleep` replace real time where one thread
        takes all steps, as in simulations.
        """
        self.name = name or unique_name()
        self.device = device or f"{socket.gethostname()}/{models.device}"
        self._patience = Patience(
            self.name, listener, seconds=pace.patience_seconds, clock=clock, sleep=sleep
        )
        self.held = HeldLeases(queue, self.name, listener, self._patience, pace.rest_seconds)
        place = Workplace(
            self.name, self.device, queue, listener, self._patience, self.held, opener
        )
        self.writer = Writer(place, pace.backlog_rows)
        self.sampling = Scheduler(models, place, self.writer, self._taken, self._check_threads)
        self._models = TimedModels(models, pace.load_seconds, clock)
        self.intake = Intake(
            place,
            self._models,
            pace.idle_seconds,
            job_id,
            self.sampling.inbox.put,
            self._busy,
            clock,
        )
        self.heartbeat = Heartbeat(
            place,
            self._progress,
            self._busy,
            self._give_order,
            on_hang,
            interval_seconds=pace.beat_seconds,
            stall_seconds=pace.stall_seconds,
            clock=clock,
        )
        self._threads: list[Future[None]] = []

    def drain(self) -> None:
        """Claim no more, finish the rows that are begun, hand back the others, and end.

        Safe from any thread and from a signal handler.
        """
        self.intake.close()
        self.sampling.drain()

    def run(self) -> None:
        """The trip, again and again.

        Whatever breaks outside of a unit is raised, after the units in hand were given back; so is
        JobRefused, when the worker is for one job that it cannot draw.
        """
        try:
            with ThreadPoolExecutor(3, thread_name_prefix=self.name) as pool, self._stopping():
                writing = pool.submit(self.writer.run)
                self._threads = [
                    pool.submit(self.intake.run),
                    writing,
                    pool.submit(self.heartbeat.run),
                ]
                while self.turn():
                    pass
                self.writer.close()
                writing.result()
        finally:
            # There are some only when the trip broke off.
            for hold in self.held.snapshot().values():
                self.held.release(hold, STOPPED)

    def turn(self, wait: bool = True) -> bool:
        """One turn of sampling; False when nothing is left to draw, and no unit will come.

        With `wait` it waits for a unit, but not for long, when there is nothing else to do.
        """
        self._check_threads()
        return self.sampling.turn(wait)

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Ends the threads, in good order or at once."""
        finished = False
        try:
            yield
            finished = True
        finally:
            # From the last one to the first, each of them also when a second Ctrl-C breaks into
            # another: the pool waits for all threads.
            with ExitStack() as stop:
                stop.callback(self.heartbeat.stop)
                if not finished:
                    stop.callback(self.writer.abort)
                    stop.callback(self._patience.stop)
                stop.callback(self.intake.close)

    def _check_threads(self) -> None:
        """Raises here what ended a thread there."""
        for thread in self._threads:
            if thread.done():
                thread.result()

    def _busy(self) -> bool:
        return self.sampling.busy

    def _taken(self, rows: int) -> None:
        self.intake.take(rows)

    def _give_order(self, hold: Hold, order: Order) -> None:
        if order is Order.DRAIN:
            self.drain()
        else:
            self.sampling.inbox.put(OrderFor(hold, order))

    def _progress(self) -> int:
        """Rises while the worker draws, writes, loads a model, or waits for a queue or store that
        is away."""
        loading = int(self._models.seconds)
        return self.sampling.steps + self.writer.rows + self._patience.retries + loading


def unique_name() -> str:
    """A name for a worker: its host, its process, and a few letters that no other worker has."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
