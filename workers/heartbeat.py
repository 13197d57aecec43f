"""Keeps leases alive while their rows are drawn, and hears which ones were lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ancestral.jobs.errors import QueueError
from ancestral.jobs.queue import Order
from ancestral.workers.events import Hiccup
from ancestral.workers.held import one_line
from ancestral.workers.workplace import Workplace


class Heartbeat:
    """Tells the queue, every `interval_seconds`, how far the worker has come.

    `progress` is a figure that rises while the worker works: a queue lets the leases of a worker
    that hangs run out, however alive its heartbeat.
    """

    def __init__(
        self,
        place: Workplace,
        progress: Callable[[], int],
        interval_seconds: float,
    ) -> None:
        self._place = place
        self._progress = progress
        self._interval_seconds = interval_seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        """Beat until `stop` is called."""
        while not self._stopped.wait(self._interval_seconds):
            self.beat()

    def stop(self) -> None:
        self._stopped.set()

    def beat(self) -> None:
        """Renew all leases once. A queue that does not answer is asked again at the next beat."""
        place = self._place
        leases = place.held.snapshot()
        if not leases:
            return
        progress = self._progress()
        try:
            orders = place.queue.heartbeat(place.worker, dict.fromkeys(leases, progress))
        except QueueError as error:
            again = self._interval_seconds
            place.listener(Hiccup(place.worker, "renewing leases", one_line(error), again))
            return
        for lease, order in orders.items():
            if order is Order.LOST:
                place.held.lose(lease)
