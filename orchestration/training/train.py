"""Training on a Ray cluster: data-parallel ranks that Ray Train starts, watches and restarts.

    run (run.py) ──────────► ranks (rank.py) ──► bundle files ──► registry, or a folder
                                │ a rank or its node died: all begin again from the last
                                │ checkpoint, a few times;
                                └ but not after an error that would come again

Of several ranks, each is an actor that Ray Train's controller watches, and this process starts that
controller by a task. A single rank needs no others: it is the task, which Ray itself starts again.

Checkpoints lie in the state store, written by the same code as everything else there; Ray Train has
none of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ancestral.jobs.errors import JobError, StoreDenied
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.registry import ModelEntry, Registry
from ancestral.jobs.scratch import scratch_folder
from ancestral.models import TrainProgress
from ancestral.orchestration.cluster import ray, ray_module
from ancestral.orchestration.errors import Stopped, TrainingFailed
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.progress import ProgressLine, Rate
from ancestral.orchestration.training.board import Board
from ancestral.orchestration.training.checkpoints import Checkpoints
from ancestral.orchestration.training.examples import train_settings
from ancestral.orchestration.training.news import GaveUp, News, Said, news_in
from ancestral.orchestration.training.rank import Trained, train_rank, train_rank_of_many
from ancestral.orchestration.training.run import TrainingRun, check_shares
from ancestral.orchestration.wording import clock_text, counted

#: Times that a run begins again from its last checkpoint after ranks died.
RESTARTS = 3

#: What a single rank is tried again after, beside its death: what may pass by itself. The recipe
#: was checked before, so that an error of its table is one of reading it.
_RETRIED = {"max_retries": RESTARTS, "retry_exceptions": [JobError, OSError]}

#: For ranks to end when training is stopped.
ABORT_SECONDS = 10.0

#: For ranks to wait for each other.
WAIT_SECONDS = 86_400

#: Between two looks at the board, in seconds.
LOOK_SECONDS = 0.5


def train(
    run: TrainingRun,
    *,
    workers: int,
    device: str = "cpu",
    picture: bool = True,
    stream: TextIO,
    interrupt: Interrupt,
    listen: Callable[[News], None] = lambda news: None,
) -> Trained:
    """Train on the connected cluster, `workers` data-parallel ranks on "cpu" or "cuda".

    Progress goes to `stream`, and `listen` hears everything; with `picture`, samples are drawn at
    validations and at the end. After the death of a rank all begin again from the last checkpoint,
    RESTARTS times. The run stays in the state store: see `end_training`.

    Raises SpecError when ranks cannot share rows or batches evenly, TrainingFailed when they keep
    dying or training diverges, and Stopped when interrupted.
    """
    check_shares(run, workers)
    # What shows progress and what starts ranks live and die with this process, and its node.
    here = ray_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
    config = {"run": run, "device": device, "picture": picture, "board": board}
    if workers > 1:
        placed = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": here}
    else:
        placed = {"num_cpus": 1, "num_gpus": int(device == "cuda"), **_RETRIED}
    # As a task, because it blocks, and this process shows progress and listens for Ctrl-C. Its
    # process runs no other: a Ctrl-C that comes to it late would hit that.
    fitting = ray.remote(max_calls=1, **placed)(_fit).remote(config, workers)
    with ProgressLine(f"train {run.recipe.name}", 1.0, stream) as line:
        watch = _Watch(line)
        fitted: list[Any] = []
        while not fitted:
            fitted, _ = ray.wait([fitting], timeout=LOOK_SECONDS)
            if interrupt.asked:
                _abort(fitting)
                kept = Checkpoints(run.state_uri, run.name).steps()
                then = "goes on from the last checkpoint" if kept else "begins anew"
                raise Stopped(f"training was stopped; the same command {then}")
            for news in map(news_in, ray.get(board.read.remote())):
                if isinstance(news, GaveUp):
                    _abort(fitting)
                    raise TrainingFailed(f"training ended without a model: {news.text}")
                watch(news)
                listen(news)
    try:
        trained = ray.get(fitting)
    except ray.exceptions.RayError as error:
        # Ray raises a copy of what was raised there; its text is the traceback of that process.
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, TrainingFailed):
            raise cause from error
        words = str(cause).partition("\n")[0]
        raise TrainingFailed(f"training broke down: {type(cause).__name__}: {words}") from error
    assert isinstance(trained, Trained), "rank 0 returns what it trained"
    return trained


def cut_short(recipe: Recipe, trained: Trained) -> str | None:
    """What is to be said of a model whose training ended within its warm-up; None if it went on."""
    if recipe.training is None:
        return None
    steps, warmup = trained.metrics["steps"], train_settings(recipe.training).warmup_steps
    if steps >= warmup:
        return None
    return (
        f"it took only {counted(steps, 'step')}, and the learning rate rises over the first "
        f"{warmup:,}: little was learnt; give it a larger budget"
    )


def end_training(run: TrainingRun) -> None:
    """Forget a run whose model is kept: who trains by its recipe again begins anew."""
    Checkpoints(run.state_uri, run.name).end()


def publish(trained: Trained, registry: Registry, name: str) -> ModelEntry:
    """The trained model in the registry, as the latest of that name.

    Raises StoreError when it cannot be kept, here on its way or there.
    """
    with scratch_folder() as folder:
        write_bundle(trained, folder)
        return registry.publish(str(folder), name)


def write_bundle(trained: Trained, folder: Path) -> None:
    """The trained model as a folder, made if it is not there; what it held is replaced.

    Raises StoreDenied when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in trained.files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise StoreDenied(f"{folder}: cannot be written ({error.strerror})") from error


def write_picture(trained: Trained, path: Path) -> None:
    """The picture of samples that was asked for. Raises StoreDenied when it cannot be written."""
    assert trained.picture is not None, "no picture was asked for"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(trained.picture)
    except OSError as error:
        raise StoreDenied(f"{path}: cannot be written ({error.strerror})") from error


class _Watch:
    """Shows how far training is."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._rate = Rate()
        self._held_out = ""

    def __call__(self, news: News) -> None:
        if isinstance(news, Said):
            self._line.show(0.0, news.text)
        if isinstance(news, TrainProgress):
            self._show(news)

    def _show(self, progress: TrainProgress) -> None:
        if progress.validation_bits_per_dim is not None:
            self._held_out = f", held-out {progress.validation_bits_per_dim:.3f}"
        parts = [
            f"step {progress.step:,}",
            f"{progress.bits_per_dim:.3f} bits/dim{self._held_out}",
        ]
        rate = self._rate(progress.fraction)
        if rate > 0 and progress.fraction < 1:
            parts.append(f"{clock_text((1 - progress.fraction) / rate)} left")
        self._line.show(progress.fraction, " · ".join(parts))


def _abort(fitting: Any) -> None:
    """Ctrl-C to the task: Ray Train ends all ranks for it and gives back their places; a single
    rank is the task."""
    ray.cancel(fitting)
    ray.wait([fitting], timeout=ABORT_SECONDS)


def _fit(config: dict[str, Any], workers: int) -> Trained | None:
    """Run all ranks to the end, in a task of its own; what rank 0 returned."""
    if workers == 1:
        return train_rank(config)
    # Here, because it takes seconds to import, and only this task needs it.
    ray_train, ray_torch = ray_module("ray.train"), ray_module("ray.train.torch")
    logging_config = ray_module("ray.train.v2.api.config").LoggingConfig(log_level="ERROR")
    with tempfile.TemporaryDirectory(prefix="ancestral-train-") as scratch:
        trainer = ray_torch.TorchTrainer(
            train_rank_of_many,
            train_loop_config=config,
            scaling_config=ray_train.ScalingConfig(
                num_workers=workers, use_gpu=config["device"] == "cuda"
            ),
            # The others wait for what rank 0 learns first, which may take hours.
            torch_config=ray_torch.TorchConfig(timeout_s=WAIT_SECONDS),
            run_config=ray_train.RunConfig(
                name=config["run"].name,
                storage_path=scratch,
                failure_config=ray_train.FailureConfig(max_failures=RESTARTS),
                logging_config=logging_config,
            ),
        )
        try:
            trained: Trained | None = trainer.fit().return_value
        except ray_train.TrainingFailedError as error:
            raise TrainingFailed(_failure(error)) from error
    return trained


def _failure(error: Exception) -> str:
    """What the first failed rank raised, if it is a TrainingFailed; else the last line of it."""
    failures = getattr(error, "worker_failures", {})
    last = str(next(iter(failures.values()), error)).strip().rpartition("\n")[2]
    ours = f"{TrainingFailed.__module__}.{TrainingFailed.__name__}: "
    if last.startswith(ours):
        return last.removeprefix(ours)
    return f"training ended without a model: {last}"
