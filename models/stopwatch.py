"""Where the time of a training goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds since it was made, and those spent in a few things."""

    def __init__(self) -> None:
        #: For batches that were not there yet, and for checkpoints.
        self.waited, self.saved = 0.0, 0.0
        self._began = time.perf_counter()
        self._stepped, self._steps = 0.0, 0

    @property
    def seconds(self) -> float:
        """In all."""
        return time.perf_counter() - self._began

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step, waiting included."""
        began = time.perf_counter()
        yield
        self._stepped += time.perf_counter() - began
        self._steps += 1

    @contextmanager
    def wait(self) -> Iterator[None]:
        """For batches."""
        began = time.perf_counter()
        yield
        self.waited += time.perf_counter() - began

    @contextmanager
    def save(self) -> Iterator[None]:
        """A checkpoint."""
        began = time.perf_counter()
        yield
        self.saved += time.perf_counter() - began

    def pace(self) -> float:
        """Steps per second of steps, since the last call."""
        pace = self._steps / self._stepped if self._stepped else 0.0
        self._stepped, self._steps = 0.0, 0
        return pace
