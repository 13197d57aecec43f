"""Who looks after the jobs of a simulated world: controllers, users, and the weather."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

from ancestral.jobs import recovery
from ancestral.jobs.client import Client
from ancestral.jobs.errors import (
    JobError,
    QueueError,
    QueueUnavailable,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import Queue
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.states import State
from ancestral.jobs.status import status_of
from ancestral.jobs.store import Store
from ancestral.orchestration.controller import Controller
from tests.faults.simulated_queue import QueueDoor
from tests.faults.simulated_scene import Scene
from tests.faults.simulated_store import StoreDoor
from tests.faults.simulated_world import Process, Violation
from tests.jobs.moves import can_follow

#: Seconds between two looks of a controller.
LOOK_SECONDS = 5.0


#: A full server still does what needs no memory.
QUEUE_SERVICES = ("queue", "queue that grows")


class SimulatedControllers:
    """Keeps so many controllers alive, each of which looks after all jobs."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._hired = 0
        self._processes = [self._hire() for _ in range(scene.controllers)]
        scene.world.start(Process("cluster"), self._manage)

    def _manage(self) -> None:
        while True:
            for number, process in enumerate(self._processes):
                if not process.alive:
                    self._processes[number] = self._hire()
            self._scene.world.sleep(self._scene.world.random.uniform(1.0, 20.0))

    def _hire(self) -> Process:
        self._hired += 1
        process, scene = Process(f"controller-{self._hired}", mortal=True), self._scene
        store = Store("sim://lake", StoreDoor(scene.oracle.objects, scene.faults, process))
        queue = QueueDoor(scene.queue, scene.oracle, scene.faults, process)
        scene.processes.append(process)
        clock = scene.world.clock_of(process)
        controllers = [
            Controller(queue, store, job, scene.world.tell, clock=clock) for job in scene.jobs
        ]

        def look_after() -> None:
            while controllers:
                for controller in list(controllers):
                    scene.world.sleep(scene.world.random.uniform(0.5, 1.5) * LOOK_SECONDS)
                    try:
                        if controller.look() is None:
                            continue
                        queue.forget(controller.job.job_id)
                        controllers.remove(controller)
                    except (QueueError, StoreError) as error:
                        scene.world.tell(f"{process.name} could not look: {error!r}")

        scene.world.start(process, look_after)
        return process

    def watched_audit(self, queue: Queue, store: Store, job: Job) -> bool:
        """An audit, which the oracle knows of."""
        name = self._scene.world.running.name
        self._scene.oracle.auditing.add(name)
        try:
            return recovery.audit(queue, store, job)
        finally:
            self._scene.oracle.auditing.discard(name)


class SimulatedUser:
    """Pauses, resumes and cancels jobs, recovers and finishes them by hand; once it is calm, wants
    them to be done."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        process = Process("user")
        self.store = Store("sim://lake", StoreDoor(scene.oracle.objects, scene.faults, process))
        self._queue = QueueDoor(scene.queue, scene.oracle, scene.faults, process)
        settings = Settings(Path("nowhere"), "memory://nowhere")
        with mock.patch("ancestral.jobs.client.open_store", lambda uri: self.store):
            self._client = Client(settings, self._queue)
        scene.world.start(process, self._live)

    def _live(self) -> None:
        world, faults = self._scene.world, self._scene.faults
        while True:
            world.sleep(world.random.uniform(0.5, 1.5))
            job_id = world.random.choice(self._scene.jobs).job_id
            try:
                if faults.calm:
                    world.sleep(30.0)
                    self._settle(job_id)
                elif faults.happens(self._scene.whims):
                    self._act(job_id)
            except JobError as error:
                world.tell(f"the user failed: {error!r}")

    def _act(self, job_id: str) -> None:
        match self._scene.world.random.randrange(5):
            case 0:
                self._want(job_id, Wanted.PAUSE, self._client.pause)
            case 1:
                self._want(job_id, Wanted.RUN, self._client.resume)
            case 2:
                self._want(job_id, Wanted.CANCEL, self._client.cancel)
            case 3:
                self._client.recover(job_id)
            case _:
                finalise(self.store, job_id)

    def _want(self, job_id: str, wanted: Wanted, ask: Callable[[str, str | None], bool]) -> None:
        self._scene.oracle.believed(job_id, None)
        ask(job_id, "a whim")
        self._scene.oracle.believed(job_id, wanted)

    def _settle(self, job_id: str) -> None:
        for device in self._queue.drained_devices():
            if device != self._scene.sick:
                self._queue.pardon(device)
        if self._client.status(job_id).state in (State.PAUSED, State.FAILED):
            self._want(job_id, Wanted.RUN, self._client.resume)


class Observer:
    """Looks at devices and jobs, now and then, and sees that the states of these follow one
    another."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._seen: dict[str, State] = {}
        scene.world.start(Process("observer"), self._watch)

    def _watch(self) -> None:
        while True:
            self._scene.world.sleep(self._scene.world.random.uniform(1.0, 20.0))
            for job in self._scene.jobs:
                self._look(job)
            for device, units in self._scene.queue.drained_devices().items():
                self._scene.world.tell(f"{device} is drained for {units}")

    def _look(self, job: Job) -> None:
        status = status_of(job, self._scene.oracle.store, self._scene.queue)
        before = self._seen.get(job.job_id, State.PENDING)
        if not can_follow(before, status.state):
            raise Violation(f"job {job.job_id} was {before}, and is {status.state} now")
        if status.state is not State.RUNNING and status.reason is None:
            raise Violation(f"job {job.job_id} is {status.state} for no reason")
        self._seen[job.job_id] = status.state


class Weather:
    """What befalls whole services: outages, restarts, and jumping clocks."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._kept = scene.queue.snapshot()
        scene.world.start(Process("weather"), self._blow)

    def _blow(self) -> None:
        scene, faults = self._scene, self._scene.faults
        rates, random = faults.rates, scene.world.random
        while not faults.calm:
            scene.world.sleep(random.uniform(0.5, 1.5))
            long = random.uniform(1.0, 200.0)
            if random.random() < 0.03:
                self._kept = scene.queue.snapshot()
            if faults.happens(rates.store_away / 5):
                faults.go_away("store", long, StoreUnavailable("the store is away"))
            if faults.happens(rates.store_denied / 5):
                faults.go_away("store", long, StoreDenied("the store says no"))
            if faults.happens(rates.queue_full / 5):
                faults.go_away("queue that grows", long, QueueUnavailable("the queue is full"))
            if faults.happens(rates.queue_away / 5, charging=True):
                for service in QUEUE_SERVICES:
                    faults.go_away(service, long, QueueUnavailable("the queue is away"))
            if faults.happens(rates.server_jumps / 5, charging=True):
                scene.world.tell(f"the server's clock jumps by {long:.0f} s")
                scene.server_clock.ahead += long
            if faults.happens(rates.clock_jumps / 5):
                process = random.choice(scene.processes)
                process.clock_ahead += long
                scene.world.tell(f"the clock of {process.name} jumps by {long:.0f} s")
            if faults.happens(rates.queue_restarted / 5):
                self._restart(self._kept)
            if faults.happens(rates.queue_flushed / 5):
                self._restart(None)

    def _restart(self, snapshot: object | None) -> None:
        what = "is empty" if snapshot is None else "restarted with an older state"
        self._scene.world.tell(f"the queue {what}")
        self._scene.queue.restart(snapshot)
        self._scene.oracle.forgot()
        for service in QUEUE_SERVICES:
            self._scene.faults.lose_memory(service)
