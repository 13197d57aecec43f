"""What a worker holds of the queue, and how it gives it back.

    claimed ──▶ held ──┬── settled    a record decides the unit, and the queue is told
                 ▲     ├── split      a record splits it: the first half can go on being held
                 └─────┘
                       ├── failed     the unit broke: an attempt is charged
                       ├── released   not the unit's fault, or not begun: no attempt is charged
                       └── lost       the lease ran out or went to somebody else

Rows in flight of a unit that is held no more are dropped before the next advance.
"""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from ancestral.jobs.errors import CorruptObject, JobError, NotFound, QueueError, StoreError
from ancestral.jobs.index import NOTHING
from ancestral.jobs.queue import Lease, Queue, clip_error
from ancestral.jobs.records import RowsRecord, SplitRecord
from ancestral.workers.events import (
    Hiccup,
    Listener,
    UnitFailed,
    UnitLost,
    UnitReleased,
)
from ancestral.workers.patience import Patience

Answer = TypeVar("Answer")

#: However often a unit broke, it rests no longer than this before it can be leased again.
LONGEST_REST_SECONDS = 60.0


@dataclass(eq=False)
class Hold:
    """A unit in hand. It stays the same while its unit is cut shorter, and its lease with it."""

    lease: Lease
    #: Whether it still is in hand: what is not, is not worth going on with.
    held: bool = True
    #: Whether its rows have reached the sampling thread, and how many of them wait for a slot.
    lined_up: bool = False
    unbegun: int = 0
    #: Whether the queue is being told of a split, after which it calls the old lease lost.
    changing: bool = False

    @property
    def name(self) -> str:
        """As it is called in what people read."""
        return f"unit {self.lease.unit.name} of job {self.lease.job_id}"


class HeldLeases:
    """The units that one worker has in hand; safe to use from all its threads.

    A unit that broke rests for about `rest_seconds`, doubled with each attempt.
    """

    def __init__(
        self,
        queue: Queue,
        worker: str,
        listener: Listener,
        patience: Patience,
        rest_seconds: float,
    ) -> None:
        self._queue = queue
        self._worker = worker
        self._listener = listener
        self._patience = patience
        self._rest_seconds = rest_seconds
        self._lock = threading.Lock()
        # In the order in which they were claimed.
        self._holds: dict[Hold, None] = {}
        #: Units released for trouble of the store or the queue, since one was settled.
        self.troubles = 0

    def snapshot(self) -> dict[Lease, Hold]:
        """What is held now, by its lease."""
        with self._lock:
            return {hold.lease: hold for hold in self._holds}

    @property
    def empty(self) -> bool:
        """Whether nothing is in hand."""
        return not self._holds

    def add(self, lease: Lease) -> Hold:
        """Hold a lease that was just claimed."""
        hold = Hold(lease)
        with self._lock:
            self._holds[hold] = None
        return hold

    def settle(self, hold: Hold, record: RowsRecord) -> None:
        """A record decides the unit: tell the queue, whose lease it may not be any more.

        A queue that does not answer is left to find the record by itself: the lease runs out, and
        whoever claims the unit next looks the record up.
        """
        # First of all ours no more, so that a heartbeat of this moment cannot call it lost.
        self._drop(hold)
        self.troubles = 0
        device = "" if record.device == NOTHING else record.device
        job_id = hold.lease.job_id
        self._tell_queue(
            f"completing {hold.name}",
            lambda: self._queue.complete(
                job_id, record.unit, record.counts, device, record.sampling_seconds
            ),
        )

    def split(self, hold: Hold, record: SplitRecord, *, keep: bool) -> bool:
        """A record splits the unit: tell the queue. Whether the first half is held now, by `keep`;
        else it is for anybody, like the second."""
        old = hold.lease
        if not keep:
            self._drop(hold)
        hold.changing = True
        new = self._tell_queue(
            f"splitting {hold.name}",
            lambda: self._queue.split(
                old.job_id,
                record.unit,
                record.at,
                record.attempts,
                record.last_error,
                old if hold.held else None,
            ),
        )
        with self._lock:
            hold.changing = False
            if new is not None and hold.held:
                hold.lease = new
                return True
        self.lose(hold, old)
        if new is not None:
            # It was given back meanwhile.
            self._tell_queue(f"releasing {hold.name}", lambda: self._queue.release(new))
        return False

    def fail(self, hold: Hold, error: BaseException) -> None:
        """The unit broke: charge it an attempt, and let it rest."""
        if not self._drop(hold):
            return
        lease = hold.lease
        longest = min(self._rest_seconds * 2**lease.attempts, LONGEST_REST_SECONDS)
        # Units that broke together are not leased together again.
        rest = random.uniform(longest / 2, longest)
        trace = "".join(traceback.format_exception(error)).rstrip()
        self._listener(
            UnitFailed(
                self._worker, lease.job_id, lease.unit, one_line(error), rest, traceback=trace
            )
        )
        self._tell_queue(
            f"failing {hold.name}", lambda: self._queue.fail(lease, clip_error(trace), rest)
        )

    def release(
        self, hold: Hold, reason: str, error: Exception | None = None, *, declined: bool = False
    ) -> None:
        """Hand the unit back, as if it had never been claimed. `error` is the trouble that it could
        not be drawn for, if there was any; `declined`: this worker leaves the whole job to others,
        for that reason."""
        if not self._drop(hold):
            return
        self.troubles += error is not None
        lease = hold.lease
        self._listener(UnitReleased(self._worker, lease.job_id, lease.unit, reason, error))
        self._tell_queue(
            f"releasing {hold.name}",
            lambda: self._queue.release(lease, reason if declined else ""),
        )

    def lose(self, hold: Hold, lease: Lease) -> None:
        """The queue says that this lease is somebody else's, or nobody's."""
        with self._lock:
            # Both at one moment: a split sets them together.
            lost = hold.lease == lease and not hold.changing
        if lost and self._drop(hold):
            self._listener(UnitLost(self._worker, lease.job_id, lease.unit))

    def boundary(self, holds: Iterable[Hold]) -> Boundary:
        """`with held.boundary(...)`: what is raised inside costs those units and nothing more.

        `holds` is read when something was raised.
        """
        return Boundary(self, holds)

    def _drop(self, hold: Hold) -> bool:
        with self._lock:
            held, hold.held = hold.held, False
            self._holds.pop(hold, None)
            return held

    def _tell_queue(self, doing: str, call: Callable[[], Answer]) -> Answer | None:
        try:
            return self._patience.retry(doing, call)
        except JobError as error:
            self._listener(Hiccup(self._worker, doing, one_line(error), None))
            return None


class Boundary:
    """Where an exception stops: it fails or releases units, and the worker goes on.

    Trouble of the store or the queue charges no attempt. Only an `Exception` stops here; Ctrl-C and
    the like go through. Afterwards `error` is what was stopped, if anything was.
    """

    def __init__(self, held: HeldLeases, holds: Iterable[Hold]) -> None:
        self._held = held
        self._holds = holds
        self.error: Exception | None = None

    def __enter__(self) -> Boundary:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = error
        for hold in self._holds:
            if is_trouble(error):
                self._held.release(hold, one_line(error), error)
            else:
                self._held.fail(hold, error)
        return True


def is_trouble(error: BaseException) -> bool:
    """Whether it is the surroundings that are wrong, and no unit of work."""
    if isinstance(error, CorruptObject | NotFound):
        return False
    return isinstance(error, StoreError | QueueError)


def one_line(error: BaseException) -> str:
    """The error's name and its first line, like a traceback's last; of trouble, whose errors are
    sentences, the line alone."""
    name = type(error).__name__
    text = str(error).strip()
    if not text:
        return name
    line = text.splitlines()[0]
    return line if is_trouble(error) else f"{name}: {line}"
