"""A published model that draws in no time, and what is needed to run jobs of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from ancestral.jobs.registry import Registry
from ancestral.jobs.settings import Settings
from ancestral.models import GatedPixelCNN, GatedPixelCNNConfig, save_bundle
from ancestral.orchestration.cluster import cluster
from ancestral.orchestration.interrupt import Interrupt
from ancestral.workers.here import run_here

LABELS = tuple(range(10))


def tiny_settings(folder: Path) -> Settings:
    """A home of its own, with the model `tiny` in its registry."""
    settings = Settings(folder / "home", str(folder / "home" / "state"))
    publish_tiny(settings)
    return settings


def publish_tiny(settings: Settings, height: int = 5, width: int = 6) -> str:
    """Publishes `tiny`, with random weights, and returns its digest."""
    torch.manual_seed(0)
    config = GatedPixelCNNConfig(
        height=height,
        width=width,
        levels=8,
        labels=LABELS,
        embedding=4,
        channels=8,
        layers=2,
        first_reach=2,
        head=8,
    )
    net = GatedPixelCNN(config)
    # Larger weights than a fresh network's, so that labels and seeds make a difference.
    with torch.no_grad():
        for weights in net.parameters():
            weights.mul_(3)
    bundle = settings.home / "bundle"
    save_bundle(bundle, net.eval(), card="# tiny\n", metrics={"held_out_bits_per_dim": 3.0})
    return Registry(settings.state_uri, settings.cache_folder).publish(bundle, "tiny").digest


def tiny_spec(output: Path, samples: int = 3, **more: Any) -> dict[str, Any]:
    """A job of 10 * `samples` rows."""
    return {
        "name": "tiny job",
        "kind": "generate",
        "model": "tiny",
        "grid": {"label": list(LABELS)},
        "output": str(output),
        "sampling": {"seed": 5, "samples": samples},
        **more,
    }


def drawn_in_peace(settings: Settings, output: Path, samples: int) -> pa.Table:
    """The index of such a job, drawn in this process by a single worker."""
    return run_here(tiny_spec(output, samples=samples), settings=settings).table()


@contextmanager
def small_ray() -> Iterator[None]:
    """A local Ray with two places, whose processes find what the tests import."""
    with cluster(cpus=2):
        yield


class AskedWhen(Interrupt):
    """Somebody asks to stop as soon as a condition holds."""

    def __init__(self, holds: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self._holds = holds

    @property
    def asked(self) -> bool:
        return self._holds()

    def wait(self, seconds: float) -> bool:
        time.sleep(0.05)
        return self._holds()


def pid_of(worker: str) -> int:
    """The process of a worker, as its name tells: host, process, letters."""
    return int(worker.split("-")[-2])


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and was not waited for is none."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
