"""Waiting for a queue or a store that does not answer: again and again, less and less often."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ancestral.jobs.errors import QueueUnavailable, StoreUnavailable
from ancestral.workers.events import Hiccup, Listener

Answer = TypeVar("Answer")

#: Errors worth waiting out; no other gets better by itself.
PASSING = (QueueUnavailable, StoreUnavailable)

#: The first pause is up to this long; each later one up to twice as long as the one before.
FIRST_PAUSE_SECONDS = 0.2

LONGEST_PAUSE_SECONDS = 10.0


class Patience:
    """Calls what may fail for a while, until it answers or `seconds` have passed.

    One object serves all threads of a worker; `stop` ends all waiting at once.
    """

    def __init__(
        self,
        worker: str,
        listener: Listener,
        *,
        seconds: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`sleep` waits between two calls; by default in such a way that `stop` ends it."""
        self._worker = worker
        self._listener = listener
        self._seconds = seconds
        self._clock = clock
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        #: Retries so far: a worker that waits for its store is alive.
        self.retries = 0

    def retry(self, doing: str, call: Callable[[], Answer]) -> Answer:
        """What `call` returns, in the end. `doing` says for the listener what is being tried.

        Raises QueueUnavailable or StoreUnavailable when the patience is at its end, and anything
        else at once.
        """
        began = self._clock()
        give_up_at = began + self._seconds
        longest = FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except PASSING as error:
                # A random pause, so that a fleet does not come back all at once.
                pause = random.uniform(0, longest)
                now = self._clock()
                if self._stopped.is_set() or now + pause > give_up_at:
                    raise
                self._listener(Hiccup(self._worker, doing, str(error), pause, now - began))
            self.retries += 1
            longest = min(2 * longest, LONGEST_PAUSE_SECONDS)
            self._sleep(pause)

    def stop(self) -> None:
        """Wait no more: from now on the first failure is the last."""
        self._stopped.set()
