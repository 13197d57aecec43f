"""What can happen to a sampler that real faults befall: models without torch, as `fakes.py` has.

Besides what a label of `fakes.py` makes of a row, it can be

    crash   the process ends while the row is in a slot, without a word
    hang    the sampler never comes back from the advance that the row is in
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from ancestral.jobs.request_shards import Row
from tests.workers import fakes

LABELS = [*fakes.LABELS, "crash", "hang"]

SIGNATURE = {**fakes.SIGNATURE, "fields": {"label": {"type": "category", "values": LABELS}}}

#: How a process ends that a row made crash.
CRASHED = 13


@dataclass(frozen=True)
class Perils:
    """For `FakeSampler.before_advance`: takes `step_seconds`, and does what the labels say.

    On a `sick` device every advance breaks. `looks_on` is told of every advance before it begins.
    """

    step_seconds: float
    sick: bool
    looks_on: Callable[[list[Row]], object]

    def __call__(self, rows: list[Row]) -> None:
        self.looks_on(rows)
        time.sleep(self.step_seconds)
        if self.sick:
            raise RuntimeError("an uncorrectable error of the device's memory")
        labels = {row.fields["label"] for row in rows}
        if "crash" in labels:
            os._exit(CRASHED)
        while "hang" in labels:
            time.sleep(1.0)
