"""The thread that takes over where sampling ends, so that sampling goes on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from ancestral.workers.commit import commit, outcome_of
from ancestral.workers.lane import Ended
from ancestral.workers.workplace import Workplace


class Writer:
    """Encodes and gates ended rows, and commits units as their last row comes in.

    At most `backlog_rows` wait here; with more, `put` waits.
    """

    def __init__(self, place: Workplace, backlog_rows: int) -> None:
        self._place = place
        self._room = threading.Semaphore(backlog_rows)
        # Without a bound of its own, so that closing never waits.
        self._ended: SimpleQueue[Ended | None] = SimpleQueue()
        self._aborted = False
        #: Rows that came through.
        self.rows = 0

    def put(self, ended: Ended, while_waiting: Callable[[], None]) -> None:
        """Hand a row over. `while_waiting` is called each second that the backlog is full."""
        while not self._room.acquire(timeout=1.0):
            while_waiting()
        self._ended.put(ended)

    def run(self) -> None:
        """Write what comes until closed."""
        while (ended := self._ended.get()) is not None:
            if not self._aborted:
                self._write(ended)
            self._room.release()
            self.rows += 1

    def close(self) -> None:
        """No row comes any more: end when those that came are written."""
        self._ended.put(None)

    def abort(self) -> None:
        """End soon: throw away what waits."""
        self._aborted = True
        self.close()

    def _write(self, ended: Ended) -> None:
        work, held = ended.work, self._place.held
        if work.lease not in held:
            return
        with held.boundary([work.lease]):
            work.outcomes[ended.row.ordinal] = outcome_of(ended)
            if len(work.outcomes) == len(work.rows):
                commit(self._place, work)
