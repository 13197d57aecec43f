"""The workers of a simulated world, and who replaces those that die."""

from __future__ import annotations

import contextlib

from ancestral.jobs.errors import QueueError
from ancestral.jobs.store import Store
from ancestral.workers.events import Event, Hiccup
from ancestral.workers.worker import Pace, Worker
from tests.faults.simulated_models import SimulatedModels
from tests.faults.simulated_queue import QueueDoor
from tests.faults.simulated_scene import STALL_SECONDS, Scene, device_of
from tests.faults.simulated_store import StoreDoor
from tests.faults.simulated_world import Process

#: Seconds between two looks of a station that found nothing to do.
IDLE = 4.0

PACE = Pace(idle_seconds=IDLE, stall_seconds=STALL_SECONDS)


class SimulatedWorker:
    """A real `Worker`, whose stations are tasks that take turns as the world has it."""

    def __init__(self, scene: Scene, name: str, device: str) -> None:
        self._scene = scene
        self._world = scene.world
        self.device = device
        self.process = Process(name, mortal=True)
        scene.processes.append(self.process)
        store = Store("sim://lake", StoreDoor(scene.oracle.objects, scene.faults, self.process))
        queue = QueueDoor(scene.queue, scene.oracle, scene.faults, self.process)
        self.worker = Worker(
            queue,
            SimulatedModels(scene.slots, self._draw),
            name,
            device=device,
            listener=self._listen,
            pace=PACE,
            opener=lambda uri: store,
            on_hang=lambda: self._world.kill(self.process),
            clock=self._world.clock_of(self.process),
            sleep=self._world.sleep,
        )
        self._sampling = True
        self._drew = False
        for station in (self._take_in, self._sample, self._write, self._beat):
            self._world.start(self.process, station)

    def _draw(self) -> None:
        self._drew = True
        self._world.sleep(self._scene.step_seconds * self._world.random.uniform(0.5, 1.5))
        if self.device == self._scene.sick:
            raise OSError("an error that only this device makes")

    def _take_in(self) -> None:
        while (wait := self.worker.intake.step()) is not None:
            self._world.sleep(wait)

    def _sample(self) -> None:
        while self.worker.turn(wait=False):
            # Where something is drawn, that takes its time by itself.
            self._world.sleep(0.0 if self._drew else IDLE)
            self._drew = False
        self._sampling = False

    def _write(self) -> None:
        while True:
            sampling = self._sampling
            if self.worker.writer.step(wait=False):
                self._world.sleep(0.0)
            elif sampling:
                self._world.sleep(IDLE)
            else:
                # The worker has ended, in good order.
                self._world.kill(self.process)
                return

    def _beat(self) -> None:
        while True:
            self._world.sleep(PACE.beat_seconds)
            self.worker.heartbeat.beat()

    def _listen(self, event: Event) -> None:
        if not isinstance(event, Hiccup):
            self._world.tell(f"{event}")


class SimulatedFleet:
    """Keeps so many workers alive: a dead one is reported, mostly, and replaced after a while."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._workers: list[SimulatedWorker] = []
        self._hired = 0
        process = Process("fleet")
        self._queue = QueueDoor(scene.queue, scene.oracle, scene.faults, process)
        scene.world.start(process, self._manage)

    def _manage(self) -> None:
        random = self._scene.world.random
        self._workers = [self._hire(place) for place in range(self._scene.workers)]
        while True:
            for place, worker in enumerate(self._workers):
                if not worker.process.alive:
                    self._bury(worker)
                    self._workers[place] = self._hire(place)
                elif self._scene.faults.happens(self._scene.drains):
                    worker.worker.drain()
            self._scene.world.sleep(random.uniform(1.0, 10.0))

    def _hire(self, place: int) -> SimulatedWorker:
        self._hired += 1
        # The device of the one that is replaced, or that of another machine.
        device = place + self._scene.world.random.choice([0, self._scene.workers])
        return SimulatedWorker(self._scene, f"worker-{self._hired}", device_of(device))

    def _bury(self, worker: SimulatedWorker) -> None:
        if self._scene.world.random.random() < 0.7:
            # Else its leases run out.
            with contextlib.suppress(QueueError):
                self._queue.expire(worker.process.name)
