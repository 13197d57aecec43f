"""How the speed of a sampler is measured: windows of time, and the symbols that became known in
each.

    admit │ warm up │ window │ window │ window │ ...        a rate is the median over the windows

A sound is long, so nothing is admitted within a window: the rate is that of a full sampler in the
middle of its events. An image is short, so windows hold whole events, with the next one admitted as
soon as a slot is free.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest


@dataclass(frozen=True)
class Windows:
    """How many windows, and how long each lasts at least."""

    repeats: int
    seconds: float


#: What a claim rests on, and what --quick makes do with.
THOROUGH, QUICK = Windows(repeats=7, seconds=1.0), Windows(repeats=3, seconds=0.3)


@dataclass(frozen=True)
class Rate:
    """Symbols a second: the median and the best of `repeats` windows.

    `processor_share` is the processor time that this process had, of what its threads could have
    had: well below 1, something else disturbed the windows.
    """

    per_second: float
    best_per_second: float
    repeats: int
    processor_share: float


class _Window:
    """The time since it was opened, and what the sampler did in it."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._symbols = sampler.symbols
        self._processor = time.process_time()
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the window was opened."""
        return time.perf_counter() - self._began

    def close(self) -> tuple[float, float]:
        """Symbols a second, and processor seconds a second."""
        seconds = self.seconds
        symbols = self._sampler.symbols - self._symbols
        return symbols / seconds, (time.process_time() - self._processor) / seconds


def fill(sampler: Sampler, requests: Iterator[SampleRequest]) -> None:
    """Admit requests until no slot is free, or there are none left."""
    while sampler.free:
        request = next(requests, None)
        if request is None:
            return
        sampler.admit(request)


def sound_rate(
    sampler: Sampler, requests: Iterator[SampleRequest], windows: Windows, threads: int
) -> Rate:
    """The rate of full slots. The requests, without an end, are for sounds of one length, so that
    all of them end together: a window then ends early."""
    measured: list[tuple[float, float]] = []
    fresh = True
    while len(measured) < windows.repeats:
        if fresh:
            fill(sampler, requests)
            sampler.advance()
        window = _Window(sampler)
        fresh = False
        while not fresh and window.seconds < windows.seconds:
            fresh = bool(sampler.advance())
        measured.append(window.close())
    return _rate(measured, threads)


def event_rate(
    sampler: Sampler, requests: Iterator[SampleRequest], windows: Windows, threads: int
) -> Rate:
    """The rate over whole events, admission included: as many end in a window as there are slots.

    The requests have no end.
    """
    measured: list[tuple[float, float]] = []
    fill(sampler, requests)
    sampler.advance()
    for _ in range(windows.repeats):
        window, ended = _Window(sampler), 0
        while ended < sampler.slots or window.seconds < windows.seconds:
            fill(sampler, requests)
            ended += len(sampler.advance())
        measured.append(window.close())
    return _rate(measured, threads)


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """The median time of one call, after a first that warms up."""
    action()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _rate(measured: list[tuple[float, float]], threads: int) -> Rate:
    rates, processor = zip(*measured, strict=True)
    return Rate(
        per_second=statistics.median(rates),
        best_per_second=max(rates),
        repeats=len(rates),
        processor_share=statistics.median(processor) / threads,
    )
