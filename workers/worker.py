"""The trip of a unit through one process.

    intake thread          sampling (the caller's thread)           writer thread
    ─────────────          ──────────────────────────────           ─────────────
    claim a unit
    decided already?
    read its rows    ──▶   admit rows into free slots
                           advance
                           rows that ended                  ──▶     encode, gate
                                                                    the unit's last row: pack,
                                                                    index, record, complete

    heartbeat thread: renews the leases of all units between claim and complete

Slots stay full across units and jobs of one model; several models take turns. Whatever breaks in a
unit costs that unit an attempt, and the worker goes on.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty
from weakref import WeakSet

from ancestral.jobs.queue import LEASE_SECONDS, Queue
from ancestral.workers.events import Listener, log_event
from ancestral.workers.heartbeat import Heartbeat
from ancestral.workers.held import HeldLeases
from ancestral.workers.intake import Intake
from ancestral.workers.lane import Ended, Lane
from ancestral.workers.patience import Patience
from ancestral.workers.work import WarmModel, WarmModels, Work
from ancestral.workers.workplace import Workplace
from ancestral.workers.writer import Writer


@dataclass(frozen=True)
class Pace:
    """How long a worker waits for what.

    beat_seconds: between heartbeats; a quarter of the queue's lease.
    idle_seconds: between two looks at a queue that has nothing to claim.
    patience_seconds: for a queue or store that does not answer, before a unit is handed back.
    rest_seconds: before a unit that broke can be leased again; doubled with each attempt.
    backlog_rows: ended rows that may wait to be written; with more, sampling waits.
    """

    beat_seconds: float = LEASE_SECONDS / 4
    idle_seconds: float = 0.2
    patience_seconds: float = 120.0
    rest_seconds: float = 1.0
    backlog_rows: int = 256


_USUAL_PACE = Pace()

#: Why a unit is released that did nothing wrong.
BROKEN = "the model that it waited for broke"
DRAINING = "the worker is draining"
STOPPED = "the worker stopped"


class Worker:
    """Draws the rows of units from a queue until it is drained. It runs once.

    With a `job_id`, it claims from that job alone, and ends when the job has no units left.
    """

    def __init__(
        self,
        queue: Queue,
        models: WarmModels,
        name: str | None = None,
        *,
        job_id: str | None = None,
        listener: Listener = log_event,
        pace: Pace = _USUAL_PACE,
    ) -> None:
        self.name = name or unique_name()
        patience = Patience(self.name, listener, seconds=pace.patience_seconds)
        held = HeldLeases(queue, self.name, listener, patience, pace.rest_seconds)
        self._place = Workplace(self.name, queue, listener, patience, held)
        self._models = models
        self._lanes: dict[WarmModel, Lane] = {}
        # Units may still arrive for a model that broke; it is not kept in memory for them.
        self._broken: WeakSet[WarmModel] = WeakSet()
        self._intake = Intake(self._place, models, pace.idle_seconds, job_id)
        self._writer = Writer(self._place, pace.backlog_rows)
        self._heartbeat = Heartbeat(self._place, self._progress, pace.beat_seconds)
        self._threads: list[Future[None]] = []
        self._steps = 0
        self._draining = False

    def drain(self) -> None:
        """Claim no more, hand back the units not begun, finish the others, and end.

        Safe from any thread and from a signal handler.
        """
        self._draining = True
        self._intake.close()

    def run(self) -> None:
        """The trip, again and again.

        Whatever breaks outside of a unit is raised, after the units in hand were given back.
        """
        try:
            with ThreadPoolExecutor(3, thread_name_prefix=self.name) as pool, self._stopping():
                writing = pool.submit(self._writer.run)
                self._threads = [
                    pool.submit(self._intake.run),
                    writing,
                    pool.submit(self._heartbeat.run),
                ]
                self._sample()
                self._writer.close()
                writing.result()
        finally:
            # There are some only when the trip broke off.
            for lease in self._place.held.snapshot():
                self._place.held.release(lease, STOPPED)

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Ends the threads, in good order or at once."""
        finished = False
        try:
            yield
            finished = True
        finally:
            self._intake.close()
            if not finished:
                self._place.patience.stop()
                self._writer.abort()
            self._heartbeat.stop()

    def _sample(self) -> None:
        """Keep the slots full until no more units come and all rows have ended."""
        arriving = True
        while arriving or self._lanes:
            self._check_threads()
            if arriving:
                arriving = self._receive()
            for lane in list(self._lanes.values()):
                if self._draining:
                    self._intake.take(lane.release_unbegun(DRAINING))
                self._advance(lane)
                if not lane.busy:
                    del self._lanes[lane.model]

    def _receive(self) -> bool:
        """Line up the rows of all units that arrived; False when no more will come.

        Waits for a unit, but not for long, when there is nothing else to do.
        """
        try:
            work = self._intake.arrivals.get(block=not self._lanes, timeout=1.0)
            while work is not None:
                self._line_up(work)
                work = self._intake.arrivals.get_nowait()
        except Empty:
            return True
        return False

    def _line_up(self, work: Work) -> None:
        if work.model in self._broken:
            self._intake.take(len(work.rows))
            self._place.held.release(work.lease, BROKEN)
            return
        for row in work.rows:
            if row.error is not None or work.model is None:
                self._intake.take(1)
                self._write([Ended(work, row, error=row.error)])
            else:
                self._lane_of(work.model).line_up(work, row)

    def _lane_of(self, model: WarmModel) -> Lane:
        if model not in self._lanes:
            self._lanes[model] = Lane(model, self._place.held)
        return self._lanes[model]

    def _advance(self, lane: Lane) -> None:
        waiting, steps = lane.waiting, lane.model.steps
        refused = lane.fill()
        self._intake.take(waiting - lane.waiting)
        self._write(refused)
        ended: list[Ended] = []
        with self._place.held.boundary(lane.leases_in_flight()) as boundary:
            ended = lane.advance()
        self._steps += lane.model.steps - steps
        self._write(ended)
        if boundary.error is not None:
            # Whatever state the model is in now, it is not one to go on from.
            self._broken.add(lane.model)
            self._models.forget(lane.model)
            self._intake.take(lane.abandon(BROKEN))

    def _write(self, ended: list[Ended]) -> None:
        for each in ended:
            self._writer.put(each, while_waiting=self._check_threads)

    def _check_threads(self) -> None:
        """Raises here what ended a thread there."""
        for thread in self._threads:
            if thread.done():
                thread.result()

    def _progress(self) -> int:
        """Rises while the worker draws, writes, or waits for a queue or store that is away."""
        return self._steps + self._writer.rows + self._place.patience.retries


def unique_name() -> str:
    """A name for a worker: its host, its process, and a few letters that no other worker has."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
