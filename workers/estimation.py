"""What a job will take, before it is submitted: all rows are checked and counted, some are drawn.

    all rows ──▶ 256 of them, spread over all ──▶ one sampler ─┬─ symbols a second
                                                               ├─ symbols of rows that began
                                                               └─ bytes of rows that ended

Symbols are measured and not rows, of which few may end in the time there is, and the short ones
first. It is measured from the second advance on, when all slots are full and what is done once is
done, and ends with the slots full: so neither their filling nor their draining counts. What is done
with each row beside drawing it counts, from its admission to its artifact. Prefixes are taken in
anew each time that the rows are gone through: rows that share theirs with others are faster. A
small job is measured until as many rows have ended as it has.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ancestral.jobs.client import Client
from ancestral.jobs.errors import UsageError
from ancestral.jobs.lot import places
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.registry import Registry
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.results import GOLDEN_RATIO
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, JobSpec
from ancestral.jobs.store import Store
from ancestral.jobs.units import LARGEST_UNIT_BYTES, Unit
from ancestral.workers.drawing import draw, model_for
from ancestral.workers.outcomes import outcome_of

if TYPE_CHECKING:
    from ancestral.models import Sampler
    from ancestral.models.scoring import Scorer
    from ancestral.workers.samplers import WarmSampler, WarmScorer

#: Rows that stand for all.
SAMPLE_ROWS = 256

#: Called with the seconds of drawing so far and those there are to be.
Progress = Callable[[float, float], None]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How one sampler draws rows of a job. What is not known is None."""

    numerics: str
    slots: int
    #: Of measuring it, and the rows that ended meanwhile.
    seconds: float
    rows_ended: int
    rows_per_second: float | None = None
    #: Of artifacts; 0 where there are none.
    bytes_per_row: float | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job will take."""

    name: str
    kind: str
    model: str
    model_digest: str
    requests: int
    rows: int
    units: int
    unit_rows: int
    samplers: int
    #: None if nothing was drawn.
    speed: Speed | None

    @property
    def bytes(self) -> int | None:
        """Of all artifacts."""
        known = None if self.speed is None else self.speed.bytes_per_row
        return None if known is None else round(known * self.rows)

    @property
    def sampler_seconds(self) -> float | None:
        """Of all samplers together."""
        known = None if self.speed is None else self.speed.rows_per_second
        return None if known is None else self.rows / known

    @property
    def wall_seconds(self) -> float | None:
        """From when all samplers draw; they start within seconds, or a minute on a GPU."""
        known = None if self.speed is None else self.speed.rows_per_second
        return None if known is None else math.ceil(self.rows / self.samplers) / known


def estimate(
    spec: str | os.PathLike[str] | Mapping[str, Any] | JobSpec,
    *,
    seconds: float = 20.0,
    samplers: int | None = None,
    settings: Settings | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Estimate:
    """Check a job as `submit` does, and tell what it will take; nothing is submitted or written.

    Some of its rows are drawn for about so many `seconds`, less if the job has no more rows, and
    with 0 none is. `samplers` are one for each processor or GPU of this machine by default.
    `settings` are the environment's by default.

    Raises UsageError (SpecError, RequestsInvalid, ModelUnreadable, ConflictError), JobRefused when
    this device does not draw the job, and StoreError.
    """
    if not 0 <= seconds < math.inf:
        raise UsageError(f"the seconds of drawing should be 0 or more, not {seconds}")
    client = Client(settings)
    with client.draft(spec) as (job, requests):
        samplers = samplers or _places(device)
        speed = None
        if seconds:
            model = _model(client.registry, job, device, math.ceil(job.rows / samplers))
            rows = _sample(job, requests)
            speed = _Gauge(job, model, rows, seconds, progress, clock).measure()
        return Estimate(
            name=job.spec.name,
            kind=job.spec.kind,
            model=job.model.name,
            model_digest=job.model.digest,
            requests=job.requests,
            rows=job.rows,
            units=math.ceil(job.rows / job.unit_rows),
            unit_rows=job.unit_rows,
            samplers=samplers,
            speed=speed,
        )


@dataclass(frozen=True)
class _Mark:
    """Where measuring began."""

    drawing: Sampler | Scorer
    symbols: int
    moment: float


class _Gauge:
    """Lets a model draw rows of a job, again and again, and looks at the clock between advances."""

    def __init__(
        self,
        job: Job,
        model: WarmSampler | WarmScorer,
        sample: Sequence[Row],
        seconds: float,
        progress: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self._job = job
        self._model = model
        self._sample = sample
        self._seconds = seconds
        self._progress = progress
        self._clock = clock
        self._start = self._now = clock()
        self._mark: _Mark | None = None
        #: Rows that were drawn, and those that the model refused.
        self._ended = self._refused = 0

    def measure(self) -> Speed:
        """Draw until the time is up, or as many rows as the job has."""
        size = symbols = 0
        for row, drawn, error in draw(
            self._model, self._job.spec.sampling, self._rows(), self._go_on
        ):
            if drawn is None:
                self._refused += 1
                continue
            outcome = outcome_of(self._job, self._model, row, drawn, error)
            self._ended += 1
            size += len(outcome.artifact.data) if outcome.artifact is not None else 0
            symbols += drawn.drawn
        drawing, mark = self._model.drawing, self._mark
        seconds = 0.0 if mark is None else self._now - mark.moment
        speed = Speed(
            numerics=self._model.numerics,
            slots=drawing.slots,
            seconds=seconds,
            rows_ended=self._ended,
        )
        sound = sum(row.error is None for row in self._sample) / len(self._sample)
        if mark is None or not drawing.events_begun:
            return speed
        accepted = drawing.events_begun / (drawing.events_begun + self._refused)
        of_row = sound * accepted * drawing.symbols_begun / drawing.events_begun
        return replace(
            speed,
            rows_per_second=(drawing.symbols - mark.symbols) / seconds / of_row,
            bytes_per_row=of_row * size / symbols if symbols else None,
        )

    def _rows(self) -> Iterator[Row]:
        """Those that can be drawn, over and over, unless the model refuses all of them."""
        sound = [row for row in self._sample if row.error is None]
        for number, row in enumerate(itertools.cycle(sound)):
            if number and number % len(sound) == 0:
                if not self._model.drawing.events_begun:
                    return
                self._model.forget()
            yield row

    def _go_on(self) -> bool:
        """Called between advances."""
        self._now = self._clock()
        drawing = self._model.drawing
        begun = self._mark is not None and self._mark.drawing is drawing
        if not begun and drawing.symbols:
            self._mark = _Mark(drawing, drawing.symbols, self._now)
        if self._progress is not None:
            self._progress(min(self._now - self._start, self._seconds), self._seconds)
        going_on = self._now - self._start < self._seconds and self._ended < self._job.rows
        return going_on or not self._measured

    @property
    def _measured(self) -> bool:
        """Whether the model has advanced since the mark."""
        mark, drawing = self._mark, self._model.drawing
        return mark is not None and mark.drawing is drawing and drawing.symbols > mark.symbols


def _sample(job: Job, requests: Store) -> list[Row]:
    """Rows that stand for all, such that any first few of them do."""
    spread = list(places(job.rows, min(job.rows, SAMPLE_ROWS), seed=0))
    rows, size = list[Row](), 0
    for number in sorted(range(len(spread)), key=lambda n: n * GOLDEN_RATIO % 1):
        [row] = read_rows(requests, job, Unit(spread[number], spread[number] + 1))
        rows.append(row)
        size += sum(len(each.data) for each in row.fields.values() if isinstance(each, MediaValue))
        if size > LARGEST_UNIT_BYTES:
            break
    return rows


def _model(registry: Registry, job: Job, device: str, rows: int) -> WarmSampler | WarmScorer:
    """The job's model, with no more slots than a sampler has rows."""
    if (model := model_for(registry, job, device)).drawing.slots <= rows:
        return model
    # Its memory first.
    del model
    return model_for(registry, job, device, rows)


def _places(device: str) -> int:
    """For how many samplers this machine has room."""
    if device == "cpu":
        return _processors()
    import torch

    return max(1, torch.cuda.device_count())


def _processors() -> int:
    """Those that this process may use: a container may have fewer than its host."""
    processors = len(os.sched_getaffinity(0))
    # Without a quota there is a word in place of the first number.
    with contextlib.suppress(OSError, ValueError):
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        processors = min(processors, max(1, quota // period))
    return processors
