"""Cases run in processes of their own, so that one that fails, hangs or takes the device's state
with it costs one case."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: For a process to import what it needs and to list its cases.
START_SECONDS = 120.0
#: Where a process finds `parts` and `tests`, and whatever else this one was told of.
FOLDERS = [
    *(str(Path(__file__).parents[up]) for up in (2, 3)),
    *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
]
#: Torch's threads in each of several processes, unless this one was told of another number.
THREADS = "2"
#: For threads to find out that their processes were ended.
INTERRUPT_SECONDS = 5.0
#: Characters of a traceback that are kept.
ERROR_CHARACTERS = 3000


@dataclass(frozen=True)
class Listed:
    """A case as its process lists it; `seconds` it may take."""

    group: str
    name: str
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of a case: facts, or the error with which its process ended."""

    case: Listed
    seconds: float
    facts: Mapping[str, Any] | None
    error: str | None


class Process:
    """A process that speaks as `child.py` does, started anew when a case ended it."""

    def __init__(self, command: Sequence[str], start_seconds: float = START_SECONDS) -> None:
        self._command = command
        self._start_seconds = start_seconds
        self._child: subprocess.Popen[str] | None = None
        # What compilers and drivers say need not be text.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")
        #: What it can run.
        self.cases: list[Listed] = []

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
        self._errors.close()

    def start(self) -> str | None:
        """Start it, if it does not run; the error if that fails."""
        if self._child is not None:
            return None
        self._errors.seek(0)
        self._errors.truncate()
        self._child = subprocess.Popen(
            self._command,
            env={
                "OMP_NUM_THREADS": THREADS,
                **os.environ,
                "PYTHONPATH": os.pathsep.join(FOLDERS),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # What it starts has its group, and ends with it.
            start_new_session=True,
        )
        answer = self._answer(self._start_seconds)
        if isinstance(answer, str):
            return answer
        self.cases = [Listed(**each) for each in answer["cases"]]
        return None

    def run(self, case: Listed, seconds: float) -> Outcome:
        """Run a case, for so many seconds at most."""
        began = time.monotonic()
        answer: Mapping[str, Any] | str | None = self.start()
        if answer is None:
            assert self._child is not None and self._child.stdin is not None
            # Of one that died since, the answer tells.
            with suppress(BrokenPipeError):
                self._child.stdin.write(case.name + "\n")
                self._child.stdin.flush()
            answer = self._answer(min(seconds, case.seconds))
        took = time.monotonic() - began
        if isinstance(answer, str):
            return Outcome(case, took, None, answer)
        return Outcome(case, took, answer["facts"], None)

    def kill(self) -> None:
        """End the process and all that it started, which would go on using the device."""
        child = self._child
        if child is not None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process, and forget it."""
        if self._child is None:
            return
        self.kill()
        self._child.communicate()
        self._child = None

    def _answer(self, seconds: float) -> dict[str, Any] | str:
        """What the process says next, or why it does not."""
        assert self._child is not None and self._child.stdout is not None
        timer = threading.Timer(seconds, self.kill)
        timer.start()
        try:
            line = self._child.stdout.readline()
            timed_out = not timer.is_alive()
        finally:
            timer.cancel()
        if line:
            document: dict[str, Any] = json.loads(line)
            return document
        self.close()
        self._errors.seek(0)
        said = self._errors.read()[-ERROR_CHARACTERS:].strip()
        if timed_out:
            return f"{said}\nit took more than {seconds:.0f} s".strip()
        return said or "its process ended without a word"


def run_all(
    cases: Sequence[Listed],
    processes: Sequence[Process],
    deadline: float,
    tell: Callable[[Outcome], None],
) -> None:
    """Run cases in processes side by side until a moment of `time.monotonic`, by which the last of
    them have ended. `tell` hears of each as it ends, one at a time; what it raises, this raises."""
    waiting: queue.SimpleQueue[Listed] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    telling, interrupted = threading.Lock(), threading.Event()

    def work(process: Process) -> None:
        while not interrupted.is_set():
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                return
            left = deadline - time.monotonic()
            outcome = Outcome(case, 0.0, None, "not run: there was no time left")
            if left > 0:
                outcome = process.run(case, left)
            with telling:
                if not interrupted.is_set():
                    tell(outcome)

    with ThreadPoolExecutor(len(processes)) as pool:
        works = [(process, pool.submit(work, process)) for process in processes]
        try:
            for done in wait([done for _, done in works], return_when=FIRST_EXCEPTION).done:
                done.result()
        except BaseException:
            # Ctrl-C reaches no other session: processes are ended here, also those that only start
            # now.
            interrupted.set()
            end = time.monotonic() + INTERRUPT_SECONDS
            for process, done in works:
                while not done.done() and time.monotonic() < end:
                    process.kill()
                    time.sleep(0.05)
            raise
