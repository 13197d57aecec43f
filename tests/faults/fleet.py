"""Tends a fleet of real processes, and does to them what real machines do."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Any, Self

from ancestral.jobs import layout
from ancestral.jobs.errors import QueueError
from ancestral.jobs.manifest import Manifest, read_manifest
from ancestral.jobs.queue import Queue
from ancestral.jobs.store import Store, open_store
from tests.faults.processes import Plan, control, read_journal, work

#: What the forkserver imports once for all processes: also what others import when first used.
_PRELOADED = [
    "pytest",
    "s3fs",
    "aiobotocore.session",
    "pandas",
    "numpy.random",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PpmImagePlugin",
    "tests.faults.processes",
]

#: The events that end a worker's work on a unit.
_ENDS = ("UnitCommitted", "UnitAdopted", "UnitSplit", "UnitLost", "UnitReleased", "UnitFailed")

#: Whether faults come by the thousand (`make chaos`), or a few of each kind.
LONG = os.environ.get("CHAOS") == "long"

#: Seconds for anything that is waited for.
PATIENCE_SECONDS = 1500.0 if LONG else 120.0


@dataclass(eq=False)
class Member:
    """A worker's process."""

    name: str
    device: str
    process: ForkServerProcess

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


class ProcessFleet:
    """One worker for each of `devices`, and a controller; whoever dies is replaced.

    `queue` is the tender's own, as the fleet of `orchestration` has it, to say who died.
    """

    def __init__(self, plan: Plan, queue: Queue, devices: Sequence[str]) -> None:
        self.plan = plan
        self.members: list[Member] = []
        #: How the workers' processes ended: exit codes, negative for signals.
        self.deaths: Counter[int] = Counter()
        self.store: Store = open_store(plan.job.spec.output)
        self._queue = queue
        self._devices = devices
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._started = 0
        self._controller: ForkServerProcess | None = None
        self._unexpired: set[str] = set()

    def __enter__(self) -> Self:
        self._start_controller()
        for device in self._devices:
            self._start(device)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._controller is not None
        processes = [self._controller, *(member.process for member in self.members)]
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
            process.close()

    def tend(self) -> None:
        """Replace those who died, but not on drained devices, and tell the queue of them."""
        assert self._controller is not None
        if self._controller.exitcode:
            self._start_controller()
        for member in [each for each in self.members if not each.process.is_alive()]:
            assert member.process.exitcode is not None
            self.deaths[member.process.exitcode] += 1
            self._unexpired.add(member.name)
            self._forget(member)
            if member.device not in self.drained():
                self._start(member.device)
        for name in list(self._unexpired):
            try:
                self._queue.expire(name)
            except QueueError:
                break
            self._unexpired.discard(name)

    def until(self, condition: Callable[[], object]) -> None:
        """Tend until the condition holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"it did not come about\n{self._last_words()}"
            self.tend()
            time.sleep(0.02)

    def finish(self) -> Manifest:
        """Tend until the job is published."""
        self.until(self.published)
        manifest = read_manifest(self.store, self.plan.job.job_id)
        assert manifest is not None
        return manifest

    def published(self) -> bool:
        """Whether the controller found the job finished, and ended."""
        assert self._controller is not None
        return self._controller.exitcode == 0

    def records(self) -> int:
        """How many range records there are."""
        return len(self.store.list(layout.records_folder(self.plan.job.job_id)))

    def until_records(self, least: int) -> None:
        """Tend until there are so many range records."""
        self.until(lambda: self.records() >= least)

    def kill(self, random: random.Random) -> Member:
        """SIGKILL one of the workers."""
        member = random.choice(self.members)
        member.signal(signal.SIGKILL)
        member.process.join()
        return member

    def kill_all(self) -> None:
        """SIGKILL every process at once, the controller too."""
        assert self._controller is not None
        for process in [self._controller, *(member.process for member in self.members)]:
            process.kill()

    def journal(self, member: Member) -> list[dict[str, Any]]:
        """What one worker journaled so far."""
        return read_journal(self.plan.journals / f"{member.name}.jsonl")

    def in_hand(self, member: Member) -> set[tuple[int, int]]:
        """The units that a worker started, and of which it told no end."""
        units: set[tuple[int, int]] = set()
        for line in self.journal(member):
            if line["what"] == "UnitStarted":
                units.add(tuple(line["unit"]))
            elif line["what"] in _ENDS:
                units.discard(tuple(line["unit"]))
        return units

    def journals(self, what: str) -> Iterator[dict[str, Any]]:
        """All lines of a kind, of all processes that ever lived."""
        for path in sorted(self.plan.journals.iterdir()):
            for line in read_journal(path):
                if line["what"] == what:
                    yield line

    def drained(self) -> dict[str, list[str]]:
        """The drained devices; none while the queue does not answer."""
        try:
            return self._queue.drained_devices()
        except QueueError:
            return {}

    def _start(self, device: str) -> None:
        self._started += 1
        name = f"worker-{self._started:03d}"
        process = self._context.Process(target=work, args=(self.plan, name, device), daemon=True)
        process.start()
        self.members.append(Member(name, device, process))

    def _forget(self, member: Member) -> None:
        self.members.remove(member)
        member.process.join()
        member.process.close()

    def _start_controller(self) -> None:
        if self._controller is not None:
            self._controller.close()
        name = f"controller-{time.monotonic_ns()}"
        self._controller = self._context.Process(
            target=control, args=(self.plan, name), daemon=True
        )
        self._controller.start()

    def _last_words(self) -> str:
        words = [f"deaths: {dict(self.deaths)}, records: {self.records()}"]
        for path in sorted(self.plan.journals.iterdir())[-8:]:
            lines = [line for line in read_journal(path) if line["what"] != "advance"]
            words += [path.name, *(str(line)[:400] for line in lines[-8:])]
        return "\n".join(words)
