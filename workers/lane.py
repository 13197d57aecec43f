"""The slots of one model, and the rows that wait for them.

Rows of different units share the slots: as one ends, the next in line is admitted, whichever unit
it belongs to.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from ancestral.jobs.queue import Lease
from ancestral.jobs.request_shards import Row
from ancestral.workers.errors import RowRefused
from ancestral.workers.held import HeldLeases
from ancestral.workers.work import Drawn, WarmModel, Work


@dataclass(frozen=True)
class Ended:
    """A row on its way from sampling to writing: drawn, or not to be drawn because of `error`."""

    work: Work
    row: Row
    drawn: Drawn | None = None
    error: str | None = None


class Lane:
    """One model's rows: first waiting, then in flight. Used by the sampling thread alone."""

    def __init__(self, model: WarmModel, held: HeldLeases) -> None:
        self.model = model
        self._held = held
        self._waiting: deque[tuple[Work, Row]] = deque()
        self._in_flight: dict[Hashable, tuple[Work, Row]] = {}
        # Not the ordinal: a lost unit can come back while its old rows are still in flight.
        self._keys = itertools.count()

    @property
    def busy(self) -> bool:
        """Whether a row waits or is in flight."""
        return bool(self._waiting or self._in_flight)

    @property
    def waiting(self) -> int:
        """Rows that are not in a slot yet."""
        return len(self._waiting)

    def line_up(self, work: Work, row: Row) -> None:
        """Let a row wait for a slot."""
        self._waiting.append((work, row))

    def fill(self) -> list[Ended]:
        """Admit waiting rows while slots are free; returns those that the model refused."""
        refused = []
        while self._waiting and self.model.free:
            work, row = self._waiting.popleft()
            if work.lease not in self._held:
                continue
            key = next(self._keys)
            with self._held.boundary([work.lease]):
                try:
                    self.model.admit(key, row, work.opened.job.spec.sampling)
                except RowRefused as error:
                    refused.append(Ended(work, row, error=str(error)))
                else:
                    self._in_flight[key] = (work, row)
                work.begun = True
        return refused

    def advance(self) -> list[Ended]:
        """Draw for a moment; returns the rows that ended, those of lost units included."""
        ended = []
        for drawn in self.model.advance():
            work, row = self._in_flight.pop(drawn.key)
            ended.append(Ended(work, row, drawn, drawn.error))
        return ended

    def leases_in_flight(self) -> Iterator[Lease]:
        """The units that have rows in slots, as they are when this is read."""
        for work, _ in self._in_flight.values():
            yield work.lease

    def release_unbegun(self, reason: str) -> int:
        """Hand back the units of which no row was admitted; the rows that wait no more for it."""
        before = len(self._waiting)
        for work, _ in self._waiting:
            if not work.begun:
                self._held.release(work.lease, reason)
        self._waiting = deque(each for each in self._waiting if each[0].begun)
        return before - len(self._waiting)

    def abandon(self, reason: str) -> int:
        """Hand back every unit that has rows waiting and empty the lane; the rows that waited."""
        rows = len(self._waiting)
        for work, _ in self._waiting:
            self._held.release(work.lease, reason)
        self._waiting.clear()
        self._in_flight.clear()
        return rows
