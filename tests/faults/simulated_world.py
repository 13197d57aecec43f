"""A world in one thread: its clock, its processes, and the order in which things happen.

    agenda   (time, task)  (time, task)  (time, task) ...
               │ the soonest
               ▼
    hub ──► a task runs until it sleeps ──► back in the agenda, a bit later

Processes hold tasks (greenlets), as real ones hold threads. A task gives way only where it calls
`sleep`, and every operation on a store or a queue does so before and after its effect. How long
each takes is drawn from the one random source of the world: hence a seed is a schedule.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from greenlet import getcurrent, greenlet

#: Where the clock of every world begins, in seconds.
BEGINNING = 1_000_000.0


class Violation(BaseException):
    """Something happened that must never happen. Nothing that runs in a world can stop it."""


class Died(BaseException):
    """Thrown into the tasks of a process that was killed."""


class Process:
    """Something with a memory of its own, which dies as a whole."""

    def __init__(self, name: str, *, mortal: bool = False) -> None:
        self.name = name
        #: Whether it may be killed or frozen at any moment.
        self.mortal = mortal
        self.alive = True
        #: Until then nothing of it runs, as after a SIGSTOP.
        self.frozen_until = 0.0
        #: What its own clock is ahead of the world's, in seconds.
        self.clock_ahead = 0.0


class _Task:
    def __init__(self, process: Process, run: Callable[[], None], hub: greenlet) -> None:
        self.process = process
        self.greenlet = greenlet(run, hub)


class World:
    """See above. Raised in a task, everything but `Died` ends the world, and `run` raises it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = BEGINNING
        #: How often a task gave way.
        self.steps = 0
        #: When the last process that was ever frozen goes on.
        self.latest_thaw = 0.0
        #: What happened, a line each; the end of it, if one was asked for.
        self.story: list[str] | None = None
        self._digest = hashlib.sha256()
        self._hub = getcurrent()
        self._agenda: list[tuple[float, int, _Task]] = []
        self._number = 0
        self._running: _Task | None = None

    @property
    def digest(self) -> str:
        """Equal for equal stories."""
        return self._digest.hexdigest()

    @property
    def running(self) -> Process:
        """The process of the task that runs now."""
        assert self._running is not None, "no task runs"
        return self._running.process

    def tell(self, line: str) -> None:
        """Add a line to the story."""
        self._digest.update(line.encode())
        if self.story is not None:
            self.story.append(f"{self.now - BEGINNING:9.3f}  {line}")

    def clock_of(self, process: Process) -> Callable[[], float]:
        """The clock that the process reads."""
        return lambda: self.now + process.clock_ahead

    def start(self, process: Process, run: Callable[[], None]) -> None:
        """Begin a task of a process; when it raises `Died`, the whole process is dead."""

        def body() -> None:
            try:
                if process.alive:
                    run()
            except Died:
                self.kill(process)

        self._line_up(_Task(process, body, self._hub), 0.0)

    def sleep(self, seconds: float) -> None:
        """Called by a task: let others run for so long. Raises Died if its process is killed."""
        task = self._running
        assert task is not None, "only a task can sleep"
        if not task.process.alive:
            raise Died
        self._line_up(task, seconds)
        self._hub.switch()
        if not task.process.alive:
            raise Died

    def kill(self, process: Process) -> None:
        """End a process: its tasks run no more, and nothing of its memory is left."""
        if process.alive:
            process.alive = False
            self.tell(f"{process.name} died")

    def freeze(self, process: Process, seconds: float) -> None:
        """Stop a process for so long; it knows nothing of that."""
        process.frozen_until = self.now + seconds
        self.latest_thaw = max(self.latest_thaw, process.frozen_until)
        self.tell(f"{process.name} is frozen for {seconds:.1f} s")

    def run(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let things happen until `done`, or for so long; whether it is done."""
        end = self.now + seconds
        while not done():
            if not self._agenda or self.now > end:
                return False
            at, _, task = heapq.heappop(self._agenda)
            if task.process.alive and task.process.frozen_until > at:
                self._line_up(task, task.process.frozen_until - self.now)
                continue
            # No two things happen at the same instant.
            self.now = max(self.now + 1e-6, at)
            self.steps += 1
            self._running = task
            task.greenlet.switch()
            self._running = None
        return True

    def bury(self) -> None:
        """Kill everything, so that no task is left behind."""
        for _, _, task in self._agenda:
            task.process.alive = False
        while self._agenda:
            _, _, task = heapq.heappop(self._agenda)
            self._running = task
            task.greenlet.switch()
        self._running = None

    @contextmanager
    def chance_replaced(self) -> Iterator[None]:
        """Inside, whoever asks the library for something random gets it from this world."""
        state = random.getstate()
        random.seed(self.random.getrandbits(64))
        try:
            with mock.patch("uuid.uuid4", lambda: uuid.UUID(int=self.random.getrandbits(128))):
                yield
        finally:
            random.setstate(state)

    def _line_up(self, task: _Task, seconds: float) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (self.now + seconds, self._number, task))
