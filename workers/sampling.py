"""Where rows are drawn: takes in units and orders, keeps the slots full, hands on what ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from weakref import WeakSet

from ancestral.jobs.queue import Order
from ancestral.workers.cut import Cut
from ancestral.workers.held import Hold
from ancestral.workers.lane import Ended, Lane
from ancestral.workers.work import WarmModel, WarmModels, Work
from ancestral.workers.workplace import Workplace
from ancestral.workers.writer import Writer

#: Why a unit is released that did nothing wrong.
BROKEN = "the model that it waited for broke"
RELEASED = {
    Order.DRAIN: "the worker is draining",
    Order.HAND_BACK: "its job is paused or cancelled",
    Order.SHARE: "another worker shares it",
}


@dataclass(frozen=True)
class OrderFor:
    """An order for a unit in hand."""

    hold: Hold
    order: Order


class Scheduler:
    """Used by one thread alone, but for `inbox` and `drain`.

    `taken` is told of rows that wait for a slot no more, and `check` is called when it waits.
    """

    def __init__(
        self,
        models: WarmModels,
        place: Workplace,
        writer: Writer,
        taken: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        self._models = models
        self._place = place
        self._writer = writer
        self._taken = taken
        self._check = check
        self._lanes: dict[WarmModel, Lane] = {}
        # Units may still arrive for a model that broke; it is not kept in memory for them.
        self._broken: WeakSet[WarmModel] = WeakSet()
        self._arriving = True
        self._draining = False
        #: Units with their rows, and orders; None: no more units will come.
        self.inbox: SimpleQueue[Work | OrderFor | None] = SimpleQueue()
        #: Steps of all models so far.
        self.steps = 0

    def turn(self, wait: bool = True) -> bool:
        """Take in what came, and draw for a moment with each model; False when nothing is left to
        draw, and no unit will come.

        With `wait` it waits for a unit, but not for long, when there is nothing else to do.
        """
        self._receive(wait and self._arriving and not self._lanes)
        for lane in list(self._lanes.values()):
            if self._draining:
                for work in lane.works():
                    self._withdraw(lane, work, Order.DRAIN)
            self._draw(lane)
            if not lane.busy:
                del self._lanes[lane.model]
        return self._arriving or bool(self._lanes)

    @property
    def busy(self) -> bool:
        """Whether a row waits or is in a slot, as far as was taken in."""
        return bool(self._lanes)

    def drain(self) -> None:
        """Begin no row any more. Sets a flag and nothing else, so that a signal handler may call
        it."""
        self._draining = True

    def _receive(self, wait: bool) -> None:
        try:
            while True:
                self._take_in(self.inbox.get(block=wait, timeout=1.0))
                wait = False
        except Empty:
            return

    def _take_in(self, message: Work | OrderFor | None) -> None:
        match message:
            case Work():
                self._line_up(message)
            case OrderFor(hold, order):
                self._obey(hold, order)
            case None:
                self._arriving = False

    def _line_up(self, work: Work) -> None:
        work.hold.lined_up = True
        if work.model in self._broken:
            self._taken(len(work.rows))
            self._place.held.release(work.hold, BROKEN)
            return
        rows, work.rows = work.rows, ()
        for row in rows:
            if row.error is not None or work.model is None:
                self._taken(1)
                self._write([Ended(work, row, error=row.error)])
            else:
                self._lane_of(work.model).line_up(work, row)

    def _obey(self, hold: Hold, order: Order) -> None:
        if order is Order.HAND_BACK and not hold.lined_up:
            self._place.held.release(hold, RELEASED[order])
        for lane in self._lanes.values():
            for work in lane.works():
                if work.hold is hold:
                    self._withdraw(lane, work, order)

    def _withdraw(self, lane: Lane, work: Work, order: Order) -> None:
        """Draw fewer rows of a unit than all of it, and cut it short."""
        keep = (work.hold.unbegun + 1) // 2 if order is Order.SHARE else 0
        waiting = lane.waiting
        first = lane.withdraw(work, keep_waiting=keep, keep_in_flight=order is not Order.HAND_BACK)
        self._taken(waiting - lane.waiting)
        if first is None:
            return
        lease = work.hold.lease
        # A copy is not ours to cut: that would end the other worker's lease.
        if lease.copy or first == lease.unit.start:
            self._place.held.release(work.hold, RELEASED[order])
        else:
            self._writer.cut(Cut(work, first, order.value))

    def _lane_of(self, model: WarmModel) -> Lane:
        if model not in self._lanes:
            self._lanes[model] = Lane(model, self._place)
        return self._lanes[model]

    def _draw(self, lane: Lane) -> None:
        waiting, steps = lane.waiting, lane.model.steps
        refused = lane.fill()
        self._taken(waiting - lane.waiting)
        self._write(refused)
        ended: list[Ended] = []
        waiting = lane.waiting
        with self._place.held.boundary(lane.holds_in_flight()) as boundary:
            ended = lane.advance()
        self.steps += lane.model.steps - steps
        self._taken(waiting - lane.waiting)
        self._write(ended)
        if boundary.error is not None:
            # Whatever state the model is in now, it is not one to go on from.
            self._broken.add(lane.model)
            self._models.forget(lane.model)
            self._taken(lane.waiting)
            lane.abandon(BROKEN)

    def _write(self, ended: list[Ended]) -> None:
        for each in ended:
            self._writer.put(each, while_waiting=self._check)
