"""The slots of one model, and the rows that wait for them.

Rows of different units share the slots: as one ends, the next in line is admitted, whichever unit
it belongs to.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from ancestral.jobs.request_shards import Row
from ancestral.workers.errors import RowRefused, SlotsLost
from ancestral.workers.events import SlotsHalved
from ancestral.workers.held import Hold
from ancestral.workers.work import Drawn, WarmModel, Work
from ancestral.workers.workplace import Workplace


@dataclass(frozen=True)
class Ended:
    """A row on its way from sampling to writing: drawn, or not to be drawn because of `error`."""

    work: Work
    row: Row
    drawn: Drawn | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Flight:
    """A row in a slot; it should have ended when the model has made `last_step` steps."""

    work: Work
    row: Row
    steps: int
    last_step: int


class Lane:
    """One model's rows: first waiting, then in flight. Used by the sampling thread alone."""

    def __init__(self, model: WarmModel, place: Workplace) -> None:
        self.model = model
        self._place = place
        self._waiting: deque[tuple[Work, Row]] = deque()
        self._in_flight: dict[Hashable, _Flight] = {}
        #: Rows in slots that are to be drawn no further.
        self._unwanted: list[Hashable] = []
        # Not the ordinal: a lost unit can come back while its old rows are still in flight.
        self._keys = itertools.count()

    @property
    def busy(self) -> bool:
        """Whether a row waits or is in a slot."""
        return bool(self._waiting or self._in_flight or self._unwanted)

    @property
    def waiting(self) -> int:
        """Rows that are not in a slot yet."""
        return len(self._waiting)

    def line_up(self, work: Work, row: Row) -> None:
        """Let a row wait for a slot."""
        self._waiting.append((work, row))
        work.hold.unbegun += 1

    def fill(self) -> list[Ended]:
        """Admit waiting rows while slots are free; returns those that the model refused."""
        refused = []
        while self._waiting and self.model.free:
            work, row = self._waiting.popleft()
            work.hold.unbegun -= 1
            if not work.hold.held:
                continue
            key = next(self._keys)
            with self._place.held.boundary([work.hold]):
                try:
                    steps = self.model.admit(key, row, work.opened.job.spec.sampling)
                except RowRefused as error:
                    refused.append(Ended(work, row, error=str(error)))
                except SlotsLost as lost:
                    self._wait_again([(work, row)], lost)
                else:
                    self._in_flight[key] = _Flight(work, row, steps, self.model.steps + steps)
        return refused

    def advance(self) -> list[Ended]:
        """Draw for a moment; returns the rows that ended, and those that should have. When device
        memory runs out, rows that were in slots wait again."""
        self._drop_unwanted()
        if not self._in_flight:
            return []
        ended = []
        try:
            just_drawn = self.model.advance()
        except SlotsLost as lost:
            self._wait_again([], lost)
            return []
        for drawn in just_drawn:
            flight = self._in_flight.pop(drawn.key)
            ended.append(Ended(flight.work, flight.row, drawn, drawn.error))
        return [*ended, *self._overdue()]

    def works(self) -> list[Work]:
        """The units that have rows here."""
        works = [work for work, _ in self._waiting]
        return list(dict.fromkeys(works + [each.work for each in self._in_flight.values()]))

    def holds_in_flight(self) -> Iterator[Hold]:
        """The units that have rows in slots, as they are when this is read."""
        for flight in self._in_flight.values():
            yield flight.work.hold

    def withdraw(self, work: Work, *, keep_waiting: int, keep_in_flight: bool) -> int | None:
        """Draw no more of a unit than the rows that are kept: the first so many of those that wait,
        and those in slots or none. The ordinal of the first row that is not drawn, if there is one.
        """
        waiting = [row.ordinal for of_work, row in self._waiting if of_work is work]
        withdrawn = set(waiting[keep_waiting:])
        self._waiting = deque(
            (of_work, row)
            for of_work, row in self._waiting
            if of_work is not work or row.ordinal not in withdrawn
        )
        work.hold.unbegun -= len(withdrawn)
        for key, flight in list(self._in_flight.items()):
            if flight.work is work and not keep_in_flight:
                withdrawn.add(flight.row.ordinal)
                self._discard(key)
        return min(withdrawn, default=None)

    def abandon(self, reason: str) -> None:
        """Hand back every unit that has rows waiting, and empty the lane."""
        for work, _ in self._waiting:
            self._place.held.release(work.hold, reason)
        self._waiting.clear()
        self._in_flight.clear()
        self._unwanted.clear()

    def _wait_again(self, further: list[tuple[Work, Row]], lost: SlotsLost) -> None:
        """Let the rows that were in slots be the first to get one, and `further` ones after them.
        They are functions of their seeds, so it shows in nothing that they are begun again."""
        rows = [(flight.work, flight.row) for flight in self._in_flight.values()] + further
        self._in_flight.clear()
        self._unwanted.clear()
        self._waiting.extendleft(reversed(rows))
        for work, _ in rows:
            work.hold.unbegun += 1
        self._place.listener(SlotsHalved(self._place.worker, lost.slots))

    def _discard(self, key: Hashable) -> None:
        del self._in_flight[key]
        self._unwanted.append(key)

    def _drop_unwanted(self) -> None:
        """Free the slots of rows that nobody waits for, those of lost units among them."""
        for key, flight in list(self._in_flight.items()):
            if not flight.work.hold.held:
                self._discard(key)
        while self._unwanted:
            self.model.drop(self._unwanted.pop())

    def _overdue(self) -> Iterator[Ended]:
        """The rows that did not end when they should have: they never will."""
        steps = self.model.steps
        for key, flight in list(self._in_flight.items()):
            if steps > flight.last_step:
                self._discard(key)
                error = f"it did not end within {flight.steps} steps of the sampler"
                yield Ended(flight.work, flight.row, error=error)
