"""How far something is, for whoever watches: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from ancestral.orchestration.wording import clock_text, counted

#: Between two lines where there is no terminal.
SECONDS_BETWEEN_LINES = 5.0

#: A check of requests that is over by then is not told of.
UNTOLD_SECONDS = 2.0

#: Rates are taken over about so much of the past, so that they follow what is happening now.
RATE_WINDOW_SECONDS = 30.0


class ProgressLine:
    """One thing under way, on one bar or as lines of text.

    `total` is in whatever unit `show` is called with, None where it is not known; `text` says it in
    words.
    """

    def __init__(
        self,
        title: str,
        total: float | None,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._total = total
        self._stream = stream
        self._clock = clock
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line: tuple[float, str] | None = None
        if stream.isatty():
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                console=Console(file=stream),
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, text="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            # Of a terminal that is closed by now.
            with suppress(OSError):
                self._bar.stop()

    def show(self, done: float, text: str) -> None:
        """So much is done; lines come at most every few seconds, and at the end."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, text=text)
            return
        now = self._clock()
        if self._last_line is not None:
            when, said = self._last_line
            soon = now - when < SECONDS_BETWEEN_LINES
            ended = self._total is not None and done >= self._total
            if (soon and not ended) or said == text:
                return
        self._last_line = (now, text)
        self.say(f"{self._title}  {text}")

    def say(self, line: str) -> None:
        """A line of its own; above the bar, where there is one.

        Where nobody hears any more, as after a terminal was closed, what is being done goes on.
        """
        with suppress(OSError):
            if self._bar is not None:
                self._bar.console.print(line, markup=False, highlight=False)
            else:
                print(line, file=self._stream, flush=True)


@contextmanager
def telling_checked(
    name: str, stream: TextIO, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int], None]]:
    """Tells how many requests of the job of that name are checked, once that takes a while: what
    it gives is called with their number."""
    began = clock()
    with ExitStack() as shown:
        line: ProgressLine | None = None

        def tell(requests: int) -> None:
            nonlocal line
            if line is None:
                if clock() - began < UNTOLD_SECONDS:
                    return
                line = shown.enter_context(ProgressLine(name, None, stream, clock=clock))
            line.show(requests, f"{counted(requests, 'request')} checked")

        yield tell


class Rate:
    """How fast a number rises, over the last half minute or so."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: list[tuple[float, float]] = []

    def __call__(self, done: float) -> float:
        """Takes the number as it is now; how much it rises in a second (0 until that is known)."""
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_WINDOW_SECONDS:
            self._seen.pop(0)
        then, before = self._seen[0]
        return (done - before) / (now - then) if now > then else 0.0


def rows_text(done: int, total: int, rate: float) -> str:
    """Like "1,250 of 2,000 rows · 42.1 rows/s · 0:18 left"."""
    parts = [f"{done:,} of {total:,} rows"]
    if rate > 0:
        parts.append(f"{rate:,.1f} rows/s")
        if done < total:
            parts.append(f"{clock_text((total - done) / rate)} left")
    return " · ".join(parts)
