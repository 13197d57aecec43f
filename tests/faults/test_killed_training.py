"""A rank of a training run, its node, or the process that started it is killed; and nobody helps,
but for giving the same command again. The curve is that of a run that nobody disturbed.
"""

from __future__ import annotations

import io
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ancestral.models import TrainProgress
from ancestral.orchestration.cluster import OBJECT_STORE_BYTES, cluster, ray_module
from ancestral.orchestration.errors import Stopped
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.training.checkpoints import Checkpoints
from ancestral.orchestration.training.news import Began, News
from ancestral.orchestration.training.rank import Trained
from ancestral.orchestration.training.train import TrainingRun, train
from tests.orchestration.shell import Shell, descendants
from tests.orchestration.tiny import AskedWhen
from tests.orchestration.training.event_curves import read_curve
from tests.orchestration.training.stripes import digest, plan, recipe

# Each starts many processes: on a busy machine that takes minutes.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

#: How Ray calls the process of a rank that trains, and of one that is alone.
RANK, ONLY_RANK = "ray::RayTrainWorker", "ray::_fit"

#: So many steps that no run is at its end when something of it is killed, even for the second time;
#: and checkpoints by the clock, at steps that are no validations. Both optimizers are at work.
SETTINGS = {"steps": 500, "checkpoint_seconds": 0.2, "optimizer": "muon"}

#: For a checkpoint, on a busy machine.
PATIENCE_SECONDS = 300.0

#: Bits per dimension of training batches and of what is held out, by step.
Curve = dict[int, tuple[float, float | None]]


@dataclass(frozen=True)
class Ran:
    """What came of a run, and what was told meanwhile."""

    trained: Trained
    news: list[News]

    @property
    def curve(self) -> Curve:
        """What was told last of each step: what is done again is told again."""
        return {
            each.step: (each.bits_per_dim, each.validation_bits_per_dim)
            for each in self.news
            if isinstance(each, TrainProgress)
        }

    @property
    def began(self) -> list[int]:
        return began_in(self.news)


def began_in(news: Sequence[News]) -> list[int]:
    """The steps at which all ranks set to work."""
    return [each.step for each in news if isinstance(each, Began)]


class Killer(Interrupt):
    """Looks on, and each time that ranks set to work kills something as soon as there is a
    checkpoint of theirs."""

    def __init__(self, run: TrainingRun, news: list[News], *kills: Callable[[], None]) -> None:
        super().__init__()
        self._checkpoints = Checkpoints(run.state_uri, run.name)
        self._news = news
        self._kills = kills
        self._killed = 0

    @property
    def killed(self) -> bool:
        """Whether all was killed that was to be."""
        return self._killed == len(self._kills)

    @property
    def asked(self) -> bool:
        began = began_in(self._news)
        if len(began) == self._killed + 1 and not self.killed:
            # On a busy machine there may be one from before the first step.
            if any(step > began[-1] for step in self._checkpoints.steps()):
                self._kills[self._killed]()
                self._killed += 1
        return False


def run_through(
    run: TrainingRun, interrupt: Interrupt, news: list[News], *, workers: int = 2
) -> Ran:
    """What is told is added to `news`."""
    trained = train(
        run,
        workers=workers,
        picture=False,
        stream=io.StringIO(),
        interrupt=interrupt,
        listen=news.append,
    )
    return Ran(trained, news)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Any]]:
    """Two nodes with room for both ranks on each, and a head without any, which we are on."""
    store = {"object_store_memory": OBJECT_STORE_BYTES}
    with pytest.MonkeyPatch.context() as patch:
        # The nodes are all on this machine, whose name need not resolve.
        patch.setenv("GLOO_SOCKET_IFNAME", "lo")
        together = ray_module("ray.cluster_utils").Cluster(
            initialize_head=True,
            head_node_args={**store, "num_cpus": 0, "include_dashboard": False},
        )
        try:
            others = [together.add_node(num_cpus=2, **store) for _ in range(2)]
            together.wait_for_nodes()
            with cluster(together.address):
                yield others
        finally:
            together.shutdown()


@pytest.fixture(scope="module")
def undisturbed(nodes: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run_through(plan(tmp_path_factory.mktemp("peace"), **SETTINGS), Interrupt(), [])


@pytest.fixture(scope="module")
def undisturbed_alone(nodes: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The same by a single rank."""
    run = plan(tmp_path_factory.mktemp("peace"), **SETTINGS)
    return run_through(run, Interrupt(), [], workers=1)


def check(disturbed: Ran, undisturbed: Ran) -> None:
    first, *later = disturbed.began
    assert (first, undisturbed.began) == (0, [0])
    assert later and min(later) > 0
    assert disturbed.curve == undisturbed.curve
    assert len(undisturbed.curve) >= SETTINGS["steps"] / 10
    assert digest(disturbed.trained) == digest(undisturbed.trained)


def kill_one(name: str) -> None:
    """A process of that title which this one started."""
    os.kill(next(pid for pid in descendants(os.getpid()) if title(pid) == name), signal.SIGKILL)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run is not at its end when something is to be killed for the second time."""
    monkeypatch.setattr("ancestral.orchestration.training.train.LOOK_SECONDS", 0.05)


def test_a_rank_and_then_its_node(tmp_path: Path, nodes: list[Any], undisturbed: Ran) -> None:
    def kill_node() -> None:
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        [busy] = [pid for pid in raylets if any(title(one) == RANK for one in descendants(pid))]
        # All that runs there ends with it.
        for pid in [busy, *descendants(busy)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    run, news = plan(tmp_path, **SETTINGS), list[News]()
    killer = Killer(run, news, partial(kill_one, RANK), kill_node)
    disturbed = run_through(run, killer, news)

    # Then all began again, twice
    assert killer.killed and len(disturbed.began) == 3
    check(disturbed, undisturbed)


def test_the_only_rank(tmp_path: Path, undisturbed_alone: Ran) -> None:
    # Given one that is killed, goes on by itself, and is stopped then
    run, news = plan(tmp_path, **SETTINGS), list[News]()
    killer = Killer(run, news, partial(kill_one, ONLY_RANK))
    stopper = AskedWhen(lambda: killer.asked or len(began_in(news)) > 1)
    with pytest.raises(Stopped, match="goes on from the last checkpoint"):
        train(
            run,
            workers=1,
            picture=False,
            stream=io.StringIO(),
            interrupt=stopper,
            listen=news.append,
        )

    # When the same command is given again
    disturbed = run_through(plan(tmp_path, **SETTINGS), Interrupt(), news, workers=1)

    # Then it goes on a second time
    assert killer.killed and len(disturbed.began) == 3
    check(disturbed, undisturbed_alone)


def test_the_process_that_was_started(tmp_path: Path, undisturbed: Ran) -> None:
    # Given a command that is killed once there is a checkpoint
    shell = Shell(tmp_path)
    file = shell.write("recipe.yaml", recipe(tmp_path, **SETTINGS).document())
    command = ("train", file, "--output", str(tmp_path / "model"))
    first = shell.start(*command)
    try:
        checkpoints = "home/state/training/*/checkpoints/0*"
        eventually(lambda: any(int(path.name) for path in tmp_path.glob(checkpoints)))
    finally:
        first.kill()
        first.communicate()
    assert not list((tmp_path / "model").iterdir())

    # When the same one is given again
    second = shell.start(*command)
    _, told = second.communicate(timeout=PATIENCE_SECONDS)

    # Then it goes on, to the same model by the same curve
    assert second.returncode == 0, told
    went_on = re.search("goes on from step ([0-9,]+)", told)
    assert went_on is not None, told
    [folder] = tmp_path.glob("home/runs/*")
    curve = read_curve(folder, "bits_per_dim/train")
    expected = {step: bits for step, (bits, _) in undisturbed.curve.items()}
    # What the first process had not been told of when it was killed, nobody knows.
    assert curve == pytest.approx({step: expected[step] for step in curve}, rel=1e-6)
    step = int(went_on[1].replace(",", ""))
    assert 0 < step < SETTINGS["steps"]
    assert {each for each in expected if each > step} <= set(curve)
    config = (tmp_path / "model" / "config.json").read_bytes()
    assert config == undisturbed.trained.files["config.json"]
    left = (tmp_path / "home" / "state" / "training").rglob("*")
    assert not [path for path in left if path.is_file()]


def eventually(look: Callable[[], Any]) -> Any:
    """What is seen once there is something to see."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return seen


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0].partition(".")[0].strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
