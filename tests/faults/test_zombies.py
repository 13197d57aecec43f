"""Zombies: a worker is stopped at any point of its trip, others take what it had, and it goes on.

The store is the judge: no row is made twice, and of what was made too late no record knows.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from ancestral.jobs import layout
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.orphans import collect
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.units import Unit
from tests.faults.fleet import LONG
from tests.faults.simulated_faults import Faults, Rates
from tests.faults.simulated_scene import LEASE_SECONDS, Scene
from tests.faults.simulated_world import Process, World
from tests.faults.simulation import play_scene

TRIALS = 1000 if LONG else 200
BATCH = 50

pytestmark = pytest.mark.chaos

#: Who is stopped.
ZOMBIE = "worker-1"

#: What should become of units that the zombie held, in some of the trials.
FATES = (
    "committed by the zombie",
    "committed by another",
    "committed by another, as a copy",
    "split by another",
    "drawn in vain by the zombie",
)

_seen: Counter[str] = Counter()


class OneZombie(Faults):
    """Nothing goes wrong but that one worker is stopped, before its call of that number or after
    its effect, for so many seconds."""

    def __init__(self, world: World, call: int, seconds: float) -> None:
        super().__init__(world, Rates(), budget=None)
        self._calls_left = call
        self._seconds = seconds

    def _wait(self, process: Process) -> None:
        if process.name == ZOMBIE:
            self._calls_left -= 1
            if self._calls_left == 0:
                self.world.freeze(process, self._seconds)
        super()._wait(process)


def staged(seed: int) -> Scene:
    """A job and some workers, of which one is stopped past its lease, or for so long that another
    takes a copy of what it holds."""
    world = World(seed)
    random = world.random
    # Of large units that are drawn slowly, somebody who drains leaves a part.
    large = random.random() < 0.3
    leases = random.choice([random.uniform(0.4, 0.9), random.uniform(1.2, 4.0)])
    scene = Scene(
        world,
        OneZombie(world, random.randint(1, 30), leases * LEASE_SECONDS),
        slots=1 if large else random.randint(1, 3),
        step_seconds=4.0 if large else 0.5,
        workers=2 if large else random.randint(2, 3),
        controllers=1,
        drains=0.3 if large else 0.0,
    )
    rows, unit_rows = (24, 6) if large else (random.randint(4, 12), random.randint(2, 6))
    scene.submit(["plain"] * rows, 1, unit_rows=unit_rows, max_attempts=1000)
    return scene


@pytest.mark.parametrize("first", range(0, TRIALS, BATCH))
def test_a_zombie_doubles_nothing(first: int) -> None:
    for seed in range(first, first + BATCH):
        # Given a worker that was stopped, and went on when the others had moved on.
        scene = staged(seed)
        outcome = play_scene(scene, story=True)
        assert outcome.violation is None, f"seed {seed}: {outcome.violation}"
        [job], store = scene.jobs, scene.oracle.store
        records = list(Ledger(store, job.job_id).records(job))

        # Then each row was committed once.
        ordinals = [row for record in records for row in range(record.start, record.end)]
        assert ordinals == list(range(job.rows)), f"seed {seed}"

        # And what no record names is garbage, and nothing else is.
        named = {fact.path for each in records for fact in (each.index_part, *each.packs)}
        written = {
            path
            for folder in (layout.packs_folder(job.job_id), layout.attempts_folder(job.job_id))
            for path in store.list(folder)
            if path != layout.packs_list_path(job.job_id)
        }
        assert collect(store, job.job_id, dry_run=True).objects == len(written - named)
        assert named <= written
        _see(outcome.story, Ledger(store, job.job_id), written - named)


def test_every_fate_was_seen() -> None:
    """In the trials of above; alone it makes them itself."""
    if not _seen:
        for first in range(0, TRIALS, BATCH):
            test_a_zombie_doubles_nothing(first)

    assert [fate for fate in FATES if not _seen[fate]] == []


def _see(story: tuple[str, ...], ledger: Ledger, garbage: set[str]) -> None:
    """Count what became of the units that the zombie began."""
    told = "\n".join(story)
    begun = rf"UnitStarted\(worker='{ZOMBIE}'.*start=(\d+), end=(\d+)\), attempt='(\w{{8}})"
    for start, end, attempt in re.findall(begun, told):
        _seen["drawn in vain by the zombie"] += any(attempt in path for path in garbage)
        record = ledger.lookup(Unit(int(start), int(end)))
        if record is None or record.worker == ZOMBIE:
            _seen["committed by the zombie"] += isinstance(record, RowsRecord)
        elif isinstance(record, RowsRecord):
            copied = rf"{record.worker} has job-0\[{start}, {end}\).*copy=True"
            how = ", as a copy" if re.search(copied, told) else ""
            _seen[f"committed by another{how}"] += 1
        else:
            _seen["split by another"] += 1
