"""Simulated worlds, seed by seed: real workers, queue, ledger, controllers and finalisers, in one
thread, on a clock, a store and a wire that are not real, where everything goes wrong.

    python -m tests.faults.simulation --seeds 10000 --first-seed 0 --jobs 2
    python -m tests.faults.simulation --seeds 1 --first-seed 4711 --story

A world has two halves. First faults come as they like; then it is calm, and every job has to end.
What must hold at every step, `simulated_oracle.py` says; what must hold in the end, `_check_end`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from unittest import mock

from ancestral.jobs.fsck import fsck
from ancestral.jobs.orphans import collect
from ancestral.jobs.results import Results
from ancestral.jobs.spec import Job
from ancestral.jobs.status import status_of
from tests.faults.simulated_fleet import SimulatedFleet
from tests.faults.simulated_models import SOUND, picture_sha256
from tests.faults.simulated_people import Observer, SimulatedControllers, SimulatedUser, Weather
from tests.faults.simulated_scene import Scene
from tests.faults.simulated_world import Violation

#: Within so many seconds of calm, every job has to end.
CALM_SECONDS = 10_000.0

#: For so long a finished job is watched: somebody may still be at work on it.
LATE_SECONDS = 40.0


@dataclass(frozen=True)
class Outcome:
    """What became of one seed's world."""

    seed: int
    steps: int
    #: Equal when the same happened.
    digest: str
    #: What must not happen and did; None in a sound world.
    violation: str | None
    story: tuple[str, ...]


def play(seed: int, *, story: bool = False) -> Outcome:
    """Play the world of a seed."""
    return play_scene(Scene.drawn(seed), story=story)


def play_scene(scene: Scene, *, story: bool = False) -> Outcome:
    """Play a world to its end."""
    world = scene.world
    world.story = [] if story else None
    violation = None
    with mock.patch("ancestral.jobs.store.READ_AHEAD", 0), world.chance_replaced():
        try:
            _run(scene)
            for job in scene.jobs:
                _check_end(scene, job)
        except (Exception, Violation) as error:  # noqa: BLE001
            violation = _described(error)
        finally:
            world.bury()
    return Outcome(world.seed, world.steps, world.digest, violation, tuple(world.story or ()))


def _run(scene: Scene) -> None:
    world = scene.world
    controllers = SimulatedControllers(scene)
    SimulatedFleet(scene)
    user = SimulatedUser(scene)
    Observer(scene)
    Weather(scene)

    def done() -> bool:
        return not scene.oracle.unfinished

    with ExitStack() as patches:
        patches.enter_context(
            mock.patch("ancestral.orchestration.controller.audit", controllers.watched_audit)
        )
        # Nobody else opens stores by their URI.
        patches.enter_context(
            mock.patch("ancestral.jobs.client.open_store", lambda uri: user.store)
        )
        world.run(done, world.random.uniform(30.0, 700.0))
        scene.faults.calm = True
        world.tell("it is calm")
        if not world.run(done, CALM_SECONDS):
            states = [status_of(job, scene.oracle.store, scene.queue) for job in scene.jobs]
            raise Violation(f"not every job ended within {CALM_SECONDS:.0f} s of calm: {states}")
        world.tell("every job has ended")
        # Whoever was frozen comes back to a world that has moved on.
        world.run(lambda: False, LATE_SECONDS + max(0.0, world.latest_thaw - world.now))


def _check_end(scene: Scene, job: Job) -> None:
    """What is in the store, and nothing else, says that all is well."""
    store = scene.oracle.store
    if scene.collects:
        # What nobody needs is gone then, and nothing else.
        collect(store, job.job_id, dry_run=False)
    report = fsck(store, job.job_id)
    if not report.finished or not report.sound:
        raise Violation(f"fsck of {job.job_id}: {report.problems}")
    for row in Results(store, job).table().to_pylist():
        label, status = row["condition_label"], row["status"]
        sound = status == "ok" and row["symbols_sha256"] == picture_sha256(row["seed"])
        if sound != (label in SOUND):
            which = f"{label} row {row['ordinal']} of {job.job_id}"
            raise Violation(f"a {which} is {status}: {row['error']}")


def _described(error: BaseException) -> str:
    if isinstance(error, Violation):
        return str(error)
    return "".join(traceback.format_exception(error))


def main() -> int:
    """Exit code 1 when a seed's world was violated."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--story", action="store_true", help="print what happened")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    violated = steps = 0
    with multiprocessing.Pool(given.jobs) as pool:
        for outcome in pool.imap(partial(play, story=given.story), seeds):
            steps += outcome.steps
            for line in outcome.story:
                print(line)  # noqa: T201
            if outcome.violation is not None:
                violated += 1
                print(f"seed {outcome.seed}: {outcome.violation}", flush=True)  # noqa: T201
    print(f"{given.seeds} seeds, {steps} steps: {violated} violated")  # noqa: T201
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
