"""Keeps leases alive while their rows are drawn, and brings back orders."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ancestral.jobs.errors import QueueError
from ancestral.jobs.queue import Order, Progress
from ancestral.workers.events import Hiccup, WorkerHung
from ancestral.workers.held import Hold, one_line
from ancestral.workers.workplace import Workplace


class Heartbeat:
    """Tells the queue, every `interval_seconds`, how far the worker has come.

    `progress` is a figure that rises while the worker works: a queue lets the leases of a worker
    that hangs run out, however alive its heartbeat. When the figure stood still for `stall_seconds`
    with units in hand, or rows of lost ones in slots (`busy`), `on_hang` is called. `give_order`
    gets the orders for units in hand.
    """

    def __init__(
        self,
        place: Workplace,
        progress: Callable[[], int],
        busy: Callable[[], bool],
        give_order: Callable[[Hold, Order], None],
        on_hang: Callable[[], None],
        *,
        interval_seconds: float,
        stall_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._place = place
        self._progress = progress
        self._busy = busy
        self._give_order = give_order
        self._on_hang = on_hang
        self._interval_seconds = interval_seconds
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._stopped = threading.Event()
        self._moved = 0
        self._moved_at = clock()

    def run(self) -> None:
        """Beat until `stop` is called."""
        while not self._stopped.wait(self._interval_seconds):
            self.beat()

    def stop(self) -> None:
        self._stopped.set()

    def beat(self) -> None:
        """Renew all leases once. A queue that does not answer is asked again at the next beat."""
        holds = self._place.held.snapshot()
        moved = self._progress()
        self._watch(moved, idle=not holds and not self._busy())
        if not holds:
            return
        place = self._place
        # A copy's rows are the other worker's to share.
        progress = {
            lease: Progress(moved, 0 if lease.copy else hold.unbegun)
            for lease, hold in holds.items()
        }
        try:
            orders = place.queue.heartbeat(place.worker, progress)
        except QueueError as error:
            again = self._interval_seconds
            place.listener(Hiccup(place.worker, "renewing leases", one_line(error), again))
            return
        for lease, order in orders.items():
            if order is Order.LOST:
                place.held.lose(holds[lease], lease)
            elif order is not Order.CONTINUE:
                self._give_order(holds[lease], order)

    def _watch(self, moved: int, *, idle: bool) -> None:
        now = self._clock()
        if idle or moved != self._moved:
            self._moved, self._moved_at = moved, now
            return
        seconds = now - self._moved_at
        if seconds >= self._stall_seconds:
            self._moved_at = now
            self._place.listener(WorkerHung(self._place.worker, seconds))
            self._on_hang()
