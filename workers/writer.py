"""The thread that takes over where sampling ends, so that sampling goes on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from ancestral.workers.commit import commit
from ancestral.workers.cut import Cut, cut
from ancestral.workers.lane import Ended
from ancestral.workers.outcomes import outcome_of
from ancestral.workers.workplace import Workplace


class Writer:
    """Encodes and gates ended rows, and commits units as their last row comes in.

    At most `backlog_rows` wait here; with more, `put` waits.
    """

    def __init__(self, place: Workplace, backlog_rows: int) -> None:
        self._place = place
        self._room = threading.Semaphore(backlog_rows)
        # Without a bound of its own, so that closing never waits.
        self._inbox: SimpleQueue[Ended | Cut | None] = SimpleQueue()
        self._aborted = False
        #: Rows that came through.
        self.rows = 0

    def put(self, ended: Ended, while_waiting: Callable[[], None]) -> None:
        """Hand a row over. `while_waiting` is called each second that the backlog is full."""
        while not self._room.acquire(timeout=1.0):
            while_waiting()
        self._inbox.put(ended)

    def cut(self, order: Cut) -> None:
        """Cut a unit short, after the rows that were handed over before."""
        self._inbox.put(order)

    def run(self) -> None:
        """Write what comes until closed."""
        while self.step():
            pass

    def step(self, wait: bool = True) -> bool:
        """Write the next row or make the next cut; False when there is none.

        With `wait` there is none only after it was closed.
        """
        try:
            order = self._inbox.get(block=wait)
        except Empty:
            return False
        if order is None:
            return False
        if not self._aborted:
            self._write(order)
        if isinstance(order, Ended):
            self._room.release()
            self.rows += 1
        return True

    def close(self) -> None:
        """No row comes any more: end when those that came are written."""
        self._inbox.put(None)

    def abort(self) -> None:
        """End soon: throw away what waits."""
        self._aborted = True
        self.close()

    def _write(self, order: Ended | Cut) -> None:
        work = order.work
        if not work.hold.held:
            return
        with self._place.held.boundary([work.hold]):
            if isinstance(order, Cut):
                cut(self._place, order)
            else:
                work.outcomes[order.row.ordinal] = outcome_of(
                    work.opened.job, work.model, order.row, order.drawn, order.error
                )
            # Last of all, for a cut can lose the unit.
            if work.hold.held and len(work.outcomes) == work.hold.lease.unit.rows:
                commit(self._place, work)
