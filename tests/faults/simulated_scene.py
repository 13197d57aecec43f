"""What one seed plays: the jobs, the fleet, the faults."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ancestral.jobs import layout
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.request_shards import Request, write_shards
from ancestral.jobs.spec import Job, JobSpec, ModelReference, Shard
from tests.faults.simulated_faults import Faults, Rates
from tests.faults.simulated_models import BAD, POISON, SIGNATURE, SOUND
from tests.faults.simulated_oracle import Oracle
from tests.faults.simulated_world import Process, World

LEASE_SECONDS = 60.0
STALL_SECONDS = 90.0


class ServerClock:
    """The clock of the queue's server, which jumps ahead now and then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ahead = 0.0

    def __call__(self) -> float:
        # No two calls come at the same instant.
        self.ahead += 1e-6
        return self._world.now + self.ahead


@dataclass
class Scene:
    """One seed's world, with everything in it but those who act."""

    world: World
    faults: Faults
    #: Rows that a worker draws at the same time, and what a step of theirs takes.
    slots: int
    step_seconds: float
    workers: int
    controllers: int
    #: How often a worker is drained, a share of looks at the fleet.
    drains: float = 0.0
    #: How often users want something else of a job, a share of seconds.
    whims: float = 0.0
    #: A device on which everything breaks.
    sick: str | None = None
    #: Whether somebody collects the garbage before the end is checked.
    collects: bool = False
    jobs: list[Job] = field(default_factory=list)
    #: Those that may die, and those that did.
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server_clock = ServerClock(self.world)
        self.queue = MemoryQueue(LEASE_SECONDS, STALL_SECONDS, self.server_clock)
        self.oracle = Oracle(self.world, self.queue)

    @staticmethod
    def drawn(seed: int) -> Scene:
        """The scene of a seed. A job with poison rows has a careful world: only then is it known
        that all other rows are drawn."""
        world = World(seed)
        random = world.random
        workers = random.randint(1, 3)
        sick = workers > 1 and random.random() < 0.2
        poison = POISON if random.random() < 0.5 else ()
        attempts, budget = 1000, None
        if poison:
            # One attempt can be lost by sharing the slots with a poison row.
            budget = random.randint(0, 2)
            attempts = budget + 2
        if poison and sick:
            # And some on the sick device, while the others are gone: a row that hangs takes long.
            poison, attempts = tuple(each for each in POISON if each != "hang"), attempts + 3
        scene = Scene(
            world,
            Faults(world, Rates.drawn(random), budget),
            slots=random.randint(1, 5),
            step_seconds=random.choice([0.5, 2.0, 8.0]),
            workers=workers,
            controllers=random.randint(1, 2),
            drains=random.choice([0.0, 0.0, 0.03]),
            whims=random.choice([0.0, 0.0, 0.02, 0.06]),
            sick=device_of(0) if sick else None,
            collects=random.random() < 0.5,
        )
        for _ in range(random.choice([1, 1, 1, 2])):
            samples = random.choice([1, 1, 2])
            labels = random.choices(SOUND, k=random.randint(4, 24) // samples)
            bad = random.choices(BAD, k=random.randint(0, 3))
            if poison:
                bad += random.choices(poison, k=random.randint(0, 2))
            for label in bad:
                labels[random.randrange(len(labels))] = label
            scene.submit(labels, samples, unit_rows=random.randint(1, 8), max_attempts=attempts)
        return scene

    def submit(
        self, labels: Sequence[str], samples: int, *, unit_rows: int, max_attempts: int
    ) -> None:
        """Accept a job of a request for each label."""
        random, job_id = self.world.random, f"job-{len(self.jobs)}"
        requests = [
            Request(f"r{number}", random.getrandbits(32), {"label": label})
            for number, label in enumerate(labels)
        ]
        spec = {
            "name": job_id,
            "model": "model",
            "input": "requests.jsonl",
            "output": "sim://lake",
            "sampling": {"samples": samples},
            "max_attempts": max_attempts,
            "priority": random.randint(0, 1),
            # Whoever comes later goes first, mostly.
            "deadline": "1h" if self.jobs else None,
        }
        job = Job(
            job_id=job_id,
            spec=JobSpec.model_validate(spec),
            model=ModelReference(
                name="model", uri="sim://model", digest="0" * 64, family="simulated"
            ),
            signature=SIGNATURE,
            requests=len(labels),
            rows=len(labels) * samples,
            unit_rows=unit_rows,
            shards=self._shards(job_id, requests),
            inputs=(),
            submitted_at="2026-01-02T03:04:05Z",
        )
        self.oracle.objects.create(layout.spec_path(job_id), job.to_json())
        self.oracle.objects.create(layout.state_job_path(job_id), b'{"output": "sim://lake"}')
        self.oracle.accepted(job)
        self.jobs.append(job)

    def _shards(self, job_id: str, requests: Sequence[Request]) -> tuple[Shard, ...]:
        shards = []
        with tempfile.TemporaryDirectory() as folder:
            for number, local in enumerate(write_shards(requests, Path(folder))):
                path, data = layout.shard_path(job_id, "submit", number), local.path.read_bytes()
                self.oracle.objects.create(path, data)
                shards.append(
                    Shard(
                        path=path,
                        first_request=local.first_request,
                        requests=local.requests,
                        sha256=hashlib.sha256(data).hexdigest(),
                    )
                )
        return tuple(shards)


def device_of(number: int) -> str:
    """The name of a device."""
    return f"node-{number}/cpu"
