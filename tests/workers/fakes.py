"""A model without torch, and a house to run workers in.

What a request's label says is what happens to its rows:

    plain       a picture that depends on (seed, sample) alone, after 1 to 5 advances
    blank       a picture of one grey
    poison      the sampler says that the row's logits were not finite
    refused     the model cannot be asked for it
    garbled     the picture cannot be decoded: an exception that no one foresaw
    overloaded  the sampler itself breaks when the row should end
    endless     the row never ends
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ancestral.jobs.client import Client
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Queue
from ancestral.jobs.recovery import recover
from ancestral.jobs.request_shards import Row
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, Sampling
from ancestral.workers.errors import RowRefused, SlotsLost
from ancestral.workers.events import Event
from ancestral.workers.worker import Pace, Worker
from tests.jobs.bundles import write_bundle

LABELS = ["plain", "blank", "poison", "refused", "garbled", "overloaded", "endless"]

LEVELS = 4

SIGNATURE = {
    "medium": "image",
    "levels": LEVELS,
    "shape": [3, 5],
    "fields": {"label": {"type": "category", "values": LABELS}},
}

#: Advances until a row has ended, at most.
LONGEST_ROW = 5

#: Seeds of rows that take that long.
SLOW = [4 + 5 * number for number in range(40)]

#: What `before_advance` returns to keep the sampler from going on, for now.
HOLD = object()

#: Nothing to wait for in a test; a heartbeat whenever it can be.
QUICK = Pace(beat_seconds=0.01, idle_seconds=0.01, patience_seconds=0.0, rest_seconds=0.0)


def picture(seed: int, sample: int) -> np.ndarray:
    """The symbols (3, 5) of a plain row."""
    generator = np.random.Generator(np.random.Philox(key=[seed, sample]))
    return generator.integers(0, LEVELS, (3, 5), dtype=np.int16)


@dataclass(frozen=True)
class FakeDrawn:
    key: Hashable
    symbols: np.ndarray
    log_likelihood_nats: float
    error: str | None
    seconds: float = 0.5

    @property
    def drawn(self) -> int:
        return self.symbols.size


class FakeSampler:
    """A `WarmModel`. `before_advance` is called before each advance, with the rows in slots. With
    more than `room` rows in slots it runs out of device memory."""

    numerics = "fake/int16"

    def __init__(
        self, slots: int, before_advance: Callable[[list[Row]], object], room: float = math.inf
    ) -> None:
        self.steps = 0
        self.room = room
        self._slots = slots
        self._before_advance = before_advance
        self._rows: dict[Hashable, tuple[Row, float]] = {}
        #: The ordinals that were ever admitted, in order, and those that were dropped.
        self.admitted: list[int] = []
        self.dropped: list[int] = []

    @property
    def free(self) -> int:
        return self._slots - len(self._rows)

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> int:
        assert self.free, "a row was admitted without a free slot"
        if row.fields["label"] == "refused":
            raise RowRefused("no such thing can be drawn")
        steps = math.inf if row.fields["label"] == "endless" else 1 + row.seed % LONGEST_ROW
        self._rows[key] = (row, self.steps + steps)
        self.admitted.append(row.ordinal)
        return LONGEST_ROW

    def drop(self, key: Hashable) -> None:
        row, _ = self._rows.pop(key)
        self.dropped.append(row.ordinal)

    def advance(self) -> Sequence[FakeDrawn]:
        rows = [row for row, _ in self._rows.values()]
        if len(rows) > self.room:
            self._slots //= 2
            self._rows.clear()
            raise SlotsLost(self._slots)
        if self._before_advance(rows) is HOLD:
            return []
        self.steps += 1
        ended = [key for key, (_, end) in self._rows.items() if end <= self.steps]
        if any(self._rows[key][0].fields["label"] == "overloaded" for key in ended):
            raise MemoryError("out of memory\nsomewhere deep down")
        return [self._drawn(key, self._rows.pop(key)[0]) for key in ended]

    def to_media(self, symbols: np.ndarray) -> np.ndarray:
        if symbols[0, 0] < 0:
            raise ZeroDivisionError("symbols of another world")
        return (symbols * 85).astype(np.uint8)

    def _drawn(self, key: Hashable, row: Row) -> FakeDrawn:
        symbols = picture(row.seed, row.sample)
        match row.fields["label"]:
            case "blank":
                symbols[:] = 2
            case "garbled":
                symbols[:] = -1
            case "poison":
                return FakeDrawn(key, symbols, float("nan"), "the logits are not finite")
        return FakeDrawn(key, symbols, -float(symbols.sum()) - 1, None)


@dataclass
class FakeModels:
    """The `WarmModels` of one worker: one fake sampler, made anew when it was forgotten."""

    slots: int = 4
    device: str = "cpu"
    before_advance: Callable[[list[Row]], object] = lambda rows: None
    room: float = math.inf
    samplers: list[FakeSampler] = field(default_factory=list)
    _warm: bool = False

    def get(self, job: Job) -> FakeSampler:
        if not self._warm:
            self.samplers.append(FakeSampler(self.slots, self.before_advance, self.room))
            self._warm = True
        return self.samplers[-1]

    def forget(self, model: object) -> None:
        self._warm = self._warm and self.samplers[-1] is not model

    @property
    def admitted(self) -> list[int]:
        """The ordinals that were ever admitted, in order."""
        return [ordinal for sampler in self.samplers for ordinal in sampler.admitted]

    @property
    def dropped(self) -> list[int]:
        """The ordinals that were ever dropped, in order."""
        return [ordinal for sampler in self.samplers for ordinal in sampler.dropped]


class Diary:
    """A listener that remembers, and lets a thread wait for an event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of that kind, in order."""
        with self._changed:
            return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, kind: type[Event], count: int = 1) -> None:
        """Until there were so many of that kind."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: sum(isinstance(event, kind) for event in self.events) >= count, 60
            )
        assert enough, f"there were no {count} {kind.__name__} in a minute"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class House:
    """A folder with a model and a lake, and a queue."""

    def __init__(self, folder: Path, queue: Queue | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        self.queue = queue or MemoryQueue(lease_seconds=60, clock=self.clock)
        write_bundle(folder / "model", SIGNATURE)
        settings = Settings(folder / "home", str(folder / "home" / "state"))
        self.client = Client(settings, self.queue)

    def submit(
        self,
        labels: Sequence[str],
        unit_rows: int = 4,
        samples: int = 1,
        seeds: Sequence[int] | None = None,
        **spec: Any,
    ) -> Job:
        """A job of a request for each label, with the seeds 0, 1, 2, ... if none are given."""
        requests = zip(labels, seeds or range(len(labels)), strict=True)
        lines = (
            json.dumps({"request_id": f"r{number}", "seed": seed, "label": label})
            for number, (label, seed) in enumerate(requests)
        )
        (self.folder / "requests.jsonl").write_text("\n".join(lines))
        document: Mapping[str, Any] = {
            "name": "pictures",
            "model": str(self.folder / "model"),
            "input": str(self.folder / "requests.jsonl"),
            "output": str(self.folder / "lake"),
            "unit": {"rows": unit_rows},
            "sampling": {"samples": samples},
            **spec,
        }
        return self.client.submit(document)

    def another_queue(self, job: Job) -> MemoryQueue:
        """A queue that knows the job, and nothing of the house's own queue."""
        queue = MemoryQueue(lease_seconds=60, clock=self.clock)
        assert recover(queue, self.client.store(job.job_id), job)
        return queue

    def work(
        self, job: Job, models: FakeModels | None = None, name: str = "ann", **given: Any
    ) -> Diary:
        """Run a worker until the job has no units left; what it told."""
        diary = given.pop("listener", None) or Diary()
        queue = given.pop("queue", self.queue)
        pace = given.pop("pace", QUICK)
        worker = Worker(
            queue,
            models or FakeModels(),
            name,
            job_id=job.job_id,
            listener=diary,
            pace=pace,
            **given,
        )
        worker.run()
        return diary

    def rows(self, job: Job) -> list[dict[str, Any]]:
        """The index: a row for each decided row of the job, by ordinal."""
        return self.client.results(job.job_id).table().to_pylist()


def eventually(condition: Callable[[], bool]) -> None:
    """Until `condition` holds: for what no event tells of."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about in a minute")
