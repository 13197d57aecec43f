"""Rows drawn here and now, by nobody's lease: what ends goes to the caller, and nowhere else.

rows ──▶ free slots ──advance, advance, ...──▶ ended
  ▲                                  │
  └──── slots lost: drawn anew ◀─────┘
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from ancestral.jobs.registry import Registry
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job, Sampling
from ancestral.workers.devices import refusal
from ancestral.workers.errors import JobRefused, RowRefused, SlotsLost
from ancestral.workers.work import Drawn, WarmModel

if TYPE_CHECKING:
    from ancestral.workers.samplers import WarmSampler, WarmScorer


def model_for(
    registry: Registry, job: Job, device: str, slots: int | None = None
) -> WarmSampler | WarmScorer:
    """The job's model on a device; `slots` as `WarmSamplers` takes them.

    Raises ModelUnreadable, StoreError, and JobRefused when this device does not draw the job.
    """
    # Torch comes in with these: whoever asks for what cannot be need not wait for it.
    from ancestral.models import ConfigError
    from ancestral.models.sampling.torch_state import device_of
    from ancestral.workers.samplers import WarmSamplers

    try:
        device_of(device)
    except ConfigError as error:
        raise JobRefused(refusal(device, job.job_id, str(error))) from error
    return WarmSamplers(registry, slots=slots, device=device).get(job)


def draw(
    model: WarmModel,
    sampling: Sampling,
    rows: Iterable[Row],
    go_on: Callable[[], bool] = lambda: True,
) -> Iterator[tuple[Row, Drawn | None, str | None]]:
    """Draw all of the rows; as each ends, what was drawn, or what went wrong with it.

    Slots stay full while there are rows, and none is taken before there is a slot for it. With
    their slots full, rows are left where they are once `go_on` says no.
    """
    keys = itertools.count()
    lost: deque[Row] = deque()
    in_flight: dict[Hashable, Row] = {}
    waiting = iter(rows)
    while True:
        try:
            while model.free:
                row = lost.popleft() if lost else next(waiting, None)
                if row is None:
                    break
                key = next(keys)
                in_flight[key] = row
                try:
                    model.admit(key, row, sampling)
                except RowRefused as error:
                    yield in_flight.pop(key), None, str(error)
            if not in_flight or not go_on():
                return
            for drawn in model.advance():
                yield in_flight.pop(drawn.key), drawn, drawn.error
        except SlotsLost:
            # They are functions of their seeds, so it shows in nothing that they are begun again.
            lost.extendleft(reversed(in_flight.values()))
            in_flight.clear()
