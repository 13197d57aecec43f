"""A training that is killed twice, beside one that nobody disturbs.

python -m parts.killed FOLDER STEPS     trains in FOLDER, and writes what it tells to news.jsonl

The digits recipe, two ranks, for a number of steps. Of the disturbed run a rank is killed after a
third of them, and the process that started it after two thirds; then the same command is given
again. Both curves are what was told last of each step.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ancestral.jobs.registry import Registry
from ancestral.models import TrainProgress
from ancestral.orchestration.cluster import cluster
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.training.news import Began, News, as_document, news_in
from ancestral.orchestration.training.recipe import find_recipe
from ancestral.orchestration.training.run import plan_training
from ancestral.orchestration.training.train import train

STEPS, QUICK_STEPS = 600, 60
#: So that something is done again.
CHECKPOINT_SECONDS = 5.0
LOOK_SECONDS = 0.2
#: How Ray calls the process of a rank that trains.
RANK = "ray::RayTrainWorker"


@dataclass(frozen=True)
class Point:
    """Where a curve passes."""

    step: int
    bits_per_dim: float
    held_out_bits_per_dim: float | None


@dataclass(frozen=True)
class Kill:
    """What was killed after which step, and from which step it went on."""

    what: str
    after: int
    went_on_from: int


@dataclass(frozen=True)
class Killed:
    """Both curves."""

    undisturbed: list[Point]
    disturbed: list[Point]
    kills: list[Kill]

    @property
    def largest_difference(self) -> float:
        """Of bits per dimension at any step."""
        pairs = zip(self.undisturbed, self.disturbed, strict=True)
        return max(abs(one.bits_per_dim - other.bits_per_dim) for one, other in pairs)

    def sentence(self) -> str:
        """What came of it."""
        told = "; ".join(
            f"{kill.what} killed after step {kill.after}, went on from {kill.went_on_from}"
            for kill in self.kills
        )
        return (
            f"{self.undisturbed[-1].step} steps: {told}; the curves differ by at most "
            f"{self.largest_difference:g} bits per dimension"
        )


def compare(*, quick: bool) -> Killed:
    """Run both. Raises SystemExit when a training dies by itself."""
    steps = QUICK_STEPS if quick else STEPS
    with tempfile.TemporaryDirectory() as name:
        peace, trouble = Path(name, "peace"), Path(name, "trouble")
        _to_its_end(_start(peace, steps))
        first = _start(trouble, steps)
        kills = [_when(first, trouble, steps // 3, lambda: _kill_rank(first.pid))]
        kills.append(_when(first, trouble, 2 * steps // 3, first.kill))
        first.wait()
        _to_its_end(_start(trouble, steps))
        began = [news.step for news in _news(trouble) if isinstance(news, Began)]
        return Killed(
            _curve(peace),
            _curve(trouble),
            [
                Kill(what, after, went_on)
                for what, after, went_on in zip(
                    ("a rank", "the command"), kills, began[1:], strict=True
                )
            ],
        )


def _start(folder: Path, steps: int) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "parts.killed", str(folder), str(steps)],
        cwd=Path(__file__).parents[1],
    )


def _to_its_end(training: subprocess.Popen[bytes]) -> None:
    if training.wait() != 0:
        raise _died(training.returncode)


def _when(
    training: subprocess.Popen[bytes], folder: Path, step: int, kill: Callable[[], None]
) -> int:
    """Kill once that step was told of; the last step that was by then."""
    while (told := max((news.step for news in _news(folder)), default=0)) < step:
        if training.poll() is not None:
            raise _died(training.returncode)
        time.sleep(LOOK_SECONDS)
    kill()
    return told


def _died(exit_code: int) -> SystemExit:
    return SystemExit(
        f"a training ended by itself, with exit code {exit_code}: what it said is above"
    )


def _kill_rank(pid: int) -> None:
    rank = next(each for each in _descendants(pid) if _title(each) == RANK)
    os.kill(rank, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(file.parent.name))
    waiting = [pid]
    while waiting:
        found = children.get(waiting.pop(), [])
        yield from found
        waiting += found


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0].partition(".")[0].strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _news(folder: Path) -> list[Began | TrainProgress]:
    file = folder / "news.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    news = (news_in(json.loads(line)) for line in lines)
    return [each for each in news if isinstance(each, Began | TrainProgress)]


def _curve(folder: Path) -> list[Point]:
    told = {
        news.step: Point(news.step, news.bits_per_dim, news.validation_bits_per_dim)
        for news in _news(folder)
        if isinstance(news, TrainProgress)
    }
    return [told[step] for step in sorted(told)]


def main() -> None:
    """Train in a folder; what was interrupted there goes on."""
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    recipe = find_recipe("digits")
    assert recipe.training is not None
    update = {"budget_seconds": None, "steps": steps, "checkpoint_seconds": CHECKPOINT_SECONDS}
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update=update)})
    with (folder / "news.jsonl").open("a", buffering=1) as file, cluster(cpus=2):

        def listen(news: News) -> None:
            if isinstance(news, Began | TrainProgress):
                print(json.dumps(as_document(news)), file=file)

        with Interrupt() as interrupt:
            train(
                plan_training(recipe, Registry(str(folder / "state"), folder / "cache")),
                workers=2,
                picture=False,
                stream=sys.stderr,
                interrupt=interrupt,
                listen=listen,
            )


if __name__ == "__main__":
    main()
