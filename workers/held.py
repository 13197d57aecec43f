"""What a worker holds of the queue, and how it gives it back.

    claimed ──▶ held ──┬── settled    a record decides the unit, and the queue is told
                       ├── failed     the unit broke: an attempt is charged
                       ├── released   not the unit's fault, or not begun: no attempt is charged
                       └── lost       the lease ran out or went to somebody else

Rows in flight of a unit that is held no more are drawn to their end and thrown away.
"""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType

from ancestral.jobs.errors import JobError
from ancestral.jobs.queue import Lease, Queue
from ancestral.jobs.units import RowCounts
from ancestral.workers.events import Hiccup, Listener, UnitFailed, UnitLost, UnitReleased
from ancestral.workers.patience import PASSING, Patience

#: However often a unit broke, it rests no longer than this before it can be leased again.
LONGEST_REST_SECONDS = 60.0


class HeldLeases:
    """The leases of one worker; safe to use from all its threads.

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
        self._leases: set[Lease] = set()

    def __contains__(self, lease: Lease) -> bool:
        return lease in self._leases

    def snapshot(self) -> list[Lease]:
        """The leases held now."""
        with self._lock:
            return list(self._leases)

    def add(self, lease: Lease) -> None:
        """Hold a lease that was just claimed."""
        with self._lock:
            self._leases.add(lease)

    def settle(self, lease: Lease, counts: RowCounts) -> None:
        """A record decides the unit: tell the queue, whose lease it may not be any more.

        A queue that does not answer is left to find the record by itself: the lease runs out, and
        whoever claims the unit next looks the record up.
        """
        # First of all ours no more, so that a heartbeat of this moment cannot call it lost.
        self._drop(lease)
        self._tell_queue(
            f"completing unit {lease.unit.name} of job {lease.job_id}",
            lambda: self._queue.complete(lease.job_id, lease.unit, counts),
        )

    def fail(self, lease: Lease, error: BaseException) -> None:
        """The unit broke: charge it an attempt, and let it rest."""
        if not self._drop(lease):
            return
        message = one_line(error)
        longest = min(self._rest_seconds * 2**lease.attempts, LONGEST_REST_SECONDS)
        # Units that broke together are not leased together again.
        rest = random.uniform(longest / 2, longest)
        trace = "".join(traceback.format_exception(error))
        self._listener(
            UnitFailed(self._worker, lease.job_id, lease.unit, message, rest, traceback=trace)
        )
        self._tell_queue(
            f"failing unit {lease.unit.name} of job {lease.job_id}",
            lambda: self._queue.fail(lease, message, rest),
        )

    def release(self, lease: Lease, reason: str) -> None:
        """Hand the unit back, as if it had never been claimed."""
        if not self._drop(lease):
            return
        self._listener(UnitReleased(self._worker, lease.job_id, lease.unit, reason))
        self._tell_queue(
            f"releasing unit {lease.unit.name} of job {lease.job_id}",
            lambda: self._queue.release(lease),
        )

    def lose(self, lease: Lease) -> None:
        """The queue says that the lease is somebody else's, or nobody's."""
        if self._drop(lease):
            self._listener(UnitLost(self._worker, lease.job_id, lease.unit))

    def boundary(self, leases: Iterable[Lease]) -> Boundary:
        """`with held.boundary(...)`: what is raised inside costs those units and nothing more.

        `leases` is read when something was raised.
        """
        return Boundary(self, leases)

    def _drop(self, lease: Lease) -> bool:
        with self._lock:
            held = lease in self._leases
            self._leases.discard(lease)
            return held

    def _tell_queue(self, doing: str, call: Callable[[], object]) -> None:
        try:
            self._patience.retry(doing, call)
        except JobError as error:
            self._listener(Hiccup(self._worker, doing, one_line(error), None))


class Boundary:
    """Where an exception stops: it fails or releases units, and the worker goes on.

    What passes by itself (a store or queue that does not answer) charges no attempt. Only an
    `Exception` stops here; Ctrl-C and the like go through. `error` holds it afterwards.
    """

    def __init__(self, held: HeldLeases, leases: Iterable[Lease]) -> None:
        self._held = held
        self._leases = leases
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
        for lease in self._leases:
            if isinstance(error, PASSING):
                self._held.release(lease, one_line(error))
            else:
                self._held.fail(lease, error)
        return True


def one_line(error: BaseException) -> str:
    """The error's name and its first line, like a traceback's last."""
    name = type(error).__name__
    text = str(error).strip()
    return f"{name}: {text.splitlines()[0]}" if text else name
