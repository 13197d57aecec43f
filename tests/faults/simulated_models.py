"""A model of a simulated world. What a request's label says is what happens to its rows.

plain       a picture that depends on the seed alone, after 1 to 5 steps
poison      the sampler says that the row's logits were not finite
refused     the model cannot be asked for it
garbled     the picture cannot be decoded: an exception that no one foresaw
overloaded  the sampler itself breaks when the row should end
crash       the process dies when the row should end
hang        the sampler never comes back when the row should end
endless     the row never ends
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job, Sampling
from ancestral.workers.errors import RowRefused
from tests.faults.simulated_world import Died

#: Labels of rows that are drawn, of rows that fail alone, and of those that break their unit.
SOUND = ("plain",)
BAD = ("poison", "refused")
POISON = ("garbled", "overloaded", "crash", "hang", "endless")

SIGNATURE = {
    "medium": "image",
    "levels": 4,
    "shape": [2, 2],
    "fields": {"label": {"type": "category", "values": [*SOUND, *BAD, *POISON]}},
}

#: What a row takes at most.
MOST_STEPS = 5


def picture(seed: int) -> np.ndarray:
    """The symbols (2, 2) of a plain row."""
    return np.array([[seed >> shift & 3 for shift in (0, 2)] for _ in (0, 1)], dtype=np.int16)


def picture_sha256(seed: int) -> str:
    """What the index says of a plain row's symbols."""
    return hashlib.sha256(picture(seed).astype("<u2").tobytes()).hexdigest()


@dataclass(frozen=True)
class SimulatedDrawn:
    """A `Drawn`."""

    key: Hashable
    symbols: np.ndarray
    error: str | None = None
    log_likelihood_nats: float = -1.0
    seconds: float = 0.5
    drawn: int = 4


class SimulatedModel:
    """A `WarmModel`; a step takes as long as `pause` does."""

    numerics = "simulated/int16"

    def __init__(self, slots: int, pause: Callable[[], None]) -> None:
        self.steps = 0
        self._slots = slots
        self._pause = pause
        self._rows: dict[Hashable, tuple[Row, int]] = {}

    @property
    def free(self) -> int:
        return self._slots - len(self._rows)

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> int:
        assert self.free, "a row was admitted without a free slot"
        if row.fields["label"] == "refused":
            raise RowRefused("no such thing can be drawn")
        self._rows[key] = (row, self.steps + 1 + row.seed % MOST_STEPS)
        return MOST_STEPS + 1

    def drop(self, key: Hashable) -> None:
        del self._rows[key]

    def advance(self) -> Sequence[SimulatedDrawn]:
        self._pause()
        self.steps += 1
        due = [key for key, (_, end) in self._rows.items() if end <= self.steps]
        labels = [self._rows[key][0].fields["label"] for key in due]
        if "crash" in labels:
            raise Died
        while "hang" in labels:
            self._pause()
        if "overloaded" in labels:
            raise MemoryError("out of memory")
        ended = [key for key in due if self._rows[key][0].fields["label"] != "endless"]
        return [self._drawn(key, self._rows.pop(key)[0]) for key in ended]

    def to_media(self, symbols: np.ndarray) -> np.ndarray:
        if symbols[0, 0] < 0:
            raise ZeroDivisionError("symbols of another world")
        return (symbols * 85).astype(np.uint8)

    def _drawn(self, key: Hashable, row: Row) -> SimulatedDrawn:
        match row.fields["label"]:
            case "poison":
                return SimulatedDrawn(key, picture(row.seed), "the logits are not finite")
            case "garbled":
                return SimulatedDrawn(key, picture(row.seed) - 9)
            case _:
                return SimulatedDrawn(key, picture(row.seed))


class SimulatedModels:
    """The `WarmModels` of one worker: one model, made anew when it was forgotten."""

    device = "cpu"

    def __init__(self, slots: int, pause: Callable[[], None]) -> None:
        self.slots = slots
        self._pause = pause
        self._warm: SimulatedModel | None = None

    def get(self, job: Job) -> SimulatedModel:
        if self._warm is None:
            self._warm = SimulatedModel(self.slots, self._pause)
        return self._warm

    def forget(self, model: object) -> None:
        if self._warm is model:
            self._warm = None
