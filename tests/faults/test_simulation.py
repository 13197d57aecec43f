"""Worlds in which everything goes wrong, and no row is lost or made twice.

`make simulate` plays more of them; of a seed that is violated here it prints the story.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.faults.simulation import play

SEEDS = 200
BATCH = 50

#: What some world should go through; a simulation in which it never happens shows nothing of it.
HAPPENS = {
    "a process dies": r"died$",
    "a process is frozen": r"is frozen",
    "a call is refused": r": refused$",
    "an answer is lost": r": its answer was lost$",
    "a creation meets its own object": r": met its own$",
    "a call arrives twice": r": delivered again$",
    "a call is said again": r": said again$",
    "the store is away": r"store: the store is away",
    "the store denies all": r"store: the store says no",
    "the queue is away": r"queue: the queue is away",
    "the queue is full": r"queue that grows: the queue is full",
    "the queue comes back older": r"the queue restarted with an older state",
    "the queue comes back empty": r"the queue is empty",
    "the server's clock jumps": r"the server's clock jumps",
    "a worker's clock jumps": r"the clock of worker-\d+ jumps",
    "a device is sick": r"UnitFailed.*an error that only this device makes",
    "a unit is bisected": r"UnitSplit\(.*'bisect'",
    "a unit is cut to size": r"UnitSplit\(.*'guide'",
    "a unit is shared": r"UnitSplit\(.*'share'",
    "a unit is handed back in part": r"UnitSplit\(.*'hand back'",
    "a worker drains": r"UnitSplit\(.*'drain'",
    "a unit is copied": r" has .*copy=True",
    "a suspect is drawn alone": r" has .*alone=True",
    "a lease is lost": r"  UnitLost\(",
    "another's record is adopted": r"  UnitAdopted\(",
    "a row is given up": r"  UnitGivenUp\(",
    "a worker hangs": r"  WorkerHung\(",
    "a job is paused": r" to pause by intent",
    "a job is cancelled": r" to cancel by intent",
    "the sick device is drained": r"node-0/cpu is drained",
}

_seen: Counter[str] = Counter()


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_no_world_is_violated(first: int) -> None:
    for seed in range(first, first + BATCH):
        outcome = play(seed, story=True)
        told = "\n".join(outcome.story)
        _seen.update(what for what, shown in HAPPENS.items() if re.search(shown, told, re.M))
        assert outcome.violation is None, (
            f"make simulate SEEDS=1 FIRST_SEED={seed} STORY=--story\n{outcome.violation}"
        )


def test_everything_went_wrong_that_can() -> None:
    """In the worlds of above; alone it plays them itself."""
    if not _seen:
        for first in range(0, SEEDS, BATCH):
            test_no_world_is_violated(first)

    assert [what for what in HAPPENS if not _seen[what]] == []


def test_a_seed_is_the_same_world_in_every_process() -> None:
    # Given worlds that were played here.
    seeds = [3, 5, 8]
    here = [play(seed) for seed in seeds]

    # When they are played where sets and dicts of texts have another order.
    command = (
        "import json; from tests.faults.simulation import play; "
        f"outcomes = [play(seed) for seed in {seeds}]; "
        "print(json.dumps([[each.digest, each.steps] for each in outcomes]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    there = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, check=True
    )

    # Then the same happened there.
    assert json.loads(there.stdout) == [[each.digest, each.steps] for each in here]
