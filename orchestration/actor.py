"""A sampler as a Ray actor: one process round one `workers.Worker`.

The worker does the trip; Ray places the process, and tells the fleet when it died. `run` lasts as
long as the worker works, so its reference is also the sign of life: it resolves when the worker has
drained, and raises when the process is gone.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ancestral.jobs.redis_queue import RedisQueue
from ancestral.orchestration.cluster import ray
from ancestral.workers.events import Event, describe

#: Lines kept until the fleet asks for them; of a flood, the latest.
LONGEST_NEWS = 100

#: A process that hangs leaves so much time for its last news to be asked for, and ends with this
#: exit code.
LAST_WORDS_SECONDS = 3.0
HUNG = 70

#: Calls that one actor answers at once: `run`, and `drain` or `news` beside it.
CONCURRENT_CALLS = 2


@dataclass(frozen=True)
class SamplerPlan:
    """What a sampler process needs in order to work; the same for a whole fleet.

    queue: where units come from.
    state_uri, cache_folder: where models are published, and where copies of them are kept.
    slots: rows drawn at the same time; None: as many as is best for the device.
    device: "cpu" or "cuda".
    gpus: with cuda, the share of a GPU that one sampler takes, in (0, 1].
    job_id: work for this job only, and end when it has no units left; None: for every job.
    """

    queue: RedisQueue
    state_uri: str
    cache_folder: Path
    slots: int | None
    device: str
    gpus: float = 1.0
    job_id: str | None = None


@dataclass(frozen=True)
class Introduction:
    """Who a sampler is to the queue, by the names of its worker and of its device; and the id of
    the node of Ray that it is on."""

    worker: str
    device: str
    node: str


@dataclass(frozen=True)
class News:
    """What a sampler has to tell: what people should hear of, a sentence each, and whether it has
    nothing in hand now."""

    lines: list[str]
    idle: bool


class SamplerActor:
    """Runs as a Ray actor; see `Fleet`."""

    def __init__(self, plan: SamplerPlan) -> None:
        # Here, so that who starts a fleet need not wait for torch.
        import torch

        from ancestral.jobs.registry import Registry
        from ancestral.workers.samplers import WarmSamplers
        from ancestral.workers.worker import Pace, Worker

        # A process per core is faster than threads that share it.
        torch.set_num_threads(1)
        self._news: deque[str] = deque(maxlen=LONGEST_NEWS)
        self._worker = Worker(
            plan.queue,
            WarmSamplers(
                Registry(plan.state_uri, plan.cache_folder),
                slots=plan.slots,
                device=plan.device,
                gpus=plan.gpus,
            ),
            job_id=plan.job_id,
            device=device_name(plan.device),
            listener=self._listen,
            on_hang=end_process,
            pace=Pace(beat_seconds=plan.queue.lease_seconds / 4),
        )

    def introduce(self) -> Introduction:
        """Who this is."""
        node = ray.get_runtime_context().get_node_id()
        return Introduction(self._worker.name, self._worker.device, node)

    def run(self) -> None:
        """Work until drained, or until the job has no units left. Raises JobRefused."""
        self._worker.run()

    def drain(self) -> None:
        """Claim no more and finish what is begun; `run` returns then."""
        self._worker.drain()

    def news(self) -> News:
        """What happened since the last call."""
        lines = []
        while self._news:
            lines.append(self._news.popleft())
        return News(lines, self._worker.held.empty)

    def _listen(self, event: Event) -> None:
        sentence = describe(event)
        if sentence is not None:
            self._news.append(sentence)


def end_process() -> None:
    """End a process that hangs, in which no exception gets where it hangs."""
    # That it does is among the news.
    time.sleep(LAST_WORDS_SECONDS)
    os._exit(HUNG)


def device_name(device: str) -> str:
    """The device of this process, told from those of all others: "node-3/cuda:2"."""
    if device == "cuda":
        # To a process the GPU that Ray gave it is the first one.
        device = f"cuda:{ray.get_gpu_ids()[0]}"
    return f"{socket.gethostname()}/{device}"
