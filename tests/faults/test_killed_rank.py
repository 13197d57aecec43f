"""A training rank is killed, and nobody helps."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ancestral.orchestration.checkpoints import Checkpoints
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.training import TrainingRun, train
from tests.orchestration.shell import descendants
from tests.orchestration.stripes import digest, plan
from tests.orchestration.tiny import small_ray

pytestmark = pytest.mark.ray

#: How Ray calls the process of a rank that trains.
RANK = "ray::RayTrainWorker"


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


class Killer(Interrupt):
    """Looks on, and kills a rank as soon as there is a checkpoint."""

    def __init__(self, run: TrainingRun) -> None:
        super().__init__()
        self._checkpoints = Checkpoints(run.state_uri, run.name)
        self.killed: int | None = None

    @property
    def asked(self) -> bool:
        if self.killed is None and self._checkpoints.load() is not None:
            self.killed = next(pid for pid in descendants(os.getpid()) if _title(pid) == RANK)
            os.kill(self.killed, signal.SIGKILL)
        return False


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0].partition(".")[0].strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_training_goes_on_from_the_last_checkpoint(tmp_path: Path) -> None:
    # Given
    undisturbed = train(
        plan(tmp_path, steps=300),
        workers=2,
        picture=False,
        stream=io.StringIO(),
        interrupt=Interrupt(),
    )
    run = plan(tmp_path, steps=300)
    killer = Killer(run)

    # When
    trained = train(run, workers=2, picture=False, stream=io.StringIO(), interrupt=killer)

    # Then
    assert killer.killed is not None
    assert trained.metrics["steps"] == 300
    assert digest(trained) == digest(undisturbed)
