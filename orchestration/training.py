"""Training on a Ray cluster: data-parallel ranks that Ray Train starts, watches and restarts.

    recipe ──► completed, checked ──► ranks (rank.py) ──► bundle files ──► registry, or a folder
               and kept                 │ a rank or its node died: all begin again from
                                        └ the last checkpoint, a few times;
                                          but not after an error that would come again

A run is known by its recipe: whoever trains by the same one goes on from its last checkpoint, until
its model is kept somewhere. Checkpoints lie in the state store, written by the same code as
everything else there; Ray Train has none of its own.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from ancestral.jobs.errors import SpecError, StoreDenied
from ancestral.jobs.recipe import Recipe
from ancestral.jobs.registry import ModelEntry, Registry
from ancestral.models import Autoregressive, ModelError, TrainProgress
from ancestral.models.optimizer import optimizers_of
from ancestral.models.train import take_up
from ancestral.orchestration.board import Board, GaveUp, News, Said
from ancestral.orchestration.checkpoints import Checkpoint, Checkpoints, other_version
from ancestral.orchestration.cluster import ray, ray_module
from ancestral.orchestration.completion import complete
from ancestral.orchestration.errors import TrainingFailed
from ancestral.orchestration.examples import Events, network
from ancestral.orchestration.interrupt import Interrupt, Stopped
from ancestral.orchestration.learners import ClosedForm, learner
from ancestral.orchestration.progress import ProgressLine, Rate, clock_text
from ancestral.orchestration.rank import (
    RankPlan,
    Trained,
    augmentation,
    train_rank,
    train_settings,
)
from ancestral.orchestration.tables import absolute_table

#: Times that a run begins again from its last checkpoint after ranks died.
RESTARTS = 3

#: For ranks to end when training is stopped.
ABORT_SECONDS = 10.0

#: For ranks to wait for each other.
WAIT_SECONDS = 86_400

#: Between two looks at the board, in seconds.
LOOK_SECONDS = 0.5

#: Rows of each split that are tried before a run begins; a later one that does not fit ends it.
CHECKED_ROWS = 10_000


@dataclass(frozen=True)
class TrainingRun:
    """A run that is about to begin, or to go on from `step`. `recipe` is complete."""

    name: str
    recipe: Recipe
    state_uri: str
    training_rows: int
    held_out_rows: int
    parameters: int
    step: int = 0


def plan_training(recipe: Recipe, state_uri: str, *, fresh: bool = False) -> TrainingRun:
    """The run of a recipe, checked on its rows: the one in the state store that did not come to its
    end, or a new one, which is kept there. With `fresh` it begins anew in any case.

    Raises SpecError when nothing can be trained by the recipe as it is, TrainingFailed when the run
    is there but of another version of this program, and StoreError when the state cannot be
    written.
    """
    data = recipe.data.model_copy(update={"path": absolute_table(recipe.data.path)})
    recipe = recipe.model_copy(update={"data": data})
    try:
        recipe = complete(recipe)
        net = network(recipe)
        check_training(recipe, net)
        learnt, held_out = (
            _checked(Events(recipe, net.signature, held_out=apart), net) for apart in (False, True)
        )
    except ModelError as error:
        raise SpecError(f"the recipe {recipe.name!r}: {error}") from error
    name = f"{recipe.name}-{recipe_digest(recipe)[:12]}"
    checkpoints = Checkpoints(state_uri, name)
    if fresh:
        checkpoints.end()
    if checkpoints.recipe() is None:
        checkpoints.begin(recipe)
    steps = checkpoints.steps()
    if steps:
        try:
            _take_up(checkpoints.load(steps[-1]), recipe, net)
        except ModelError as error:
            raise other_version(name) from error
    return TrainingRun(
        name=name,
        recipe=recipe,
        state_uri=state_uri,
        training_rows=learnt,
        held_out_rows=held_out,
        parameters=sum(weights.numel() for weights in net.parameters()),
        step=steps[-1] if steps else 0,
    )


def recipe_digest(recipe: Recipe) -> str:
    """What two recipes have in common only if they are the same.

    A key that a later version knows, too, changes nothing as long as it is not given.
    """
    document = json.dumps(recipe.model_dump(mode="json", exclude_none=True), sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()


def train(
    run: TrainingRun,
    *,
    workers: int,
    device: str = "cpu",
    picture: bool = True,
    restarts: int = RESTARTS,
    stream: TextIO,
    interrupt: Interrupt,
    listen: Callable[[News], None] = lambda news: None,
) -> Trained:
    """Train on the connected cluster, `workers` data-parallel ranks on "cpu" or "cuda".

    Progress goes to `stream`, and `listen` hears everything; with `picture`, samples are drawn at
    validations and at the end. After the death of a rank all begin again from the last checkpoint,
    `restarts` times. The run stays in the state store: see `end_training`.

    Raises SpecError when ranks cannot share rows or batches evenly, TrainingFailed when they keep
    dying or training diverges, and Stopped when interrupted.
    """
    check_shares(run, workers)
    # What shows progress and what starts ranks live and die with this process, and its node.
    here = ray_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
    plan = RankPlan(run.recipe, run.name, run.state_uri, picture)
    # As a task, because it blocks, and this process shows progress and listens for Ctrl-C.
    fitting = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=here)(_fit).remote(
        plan, board, workers, device, restarts
    )
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
            for news in ray.get(board.read.remote()):
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
        raise TrainingFailed(f"training broke down: {type(cause).__name__}: {cause}") from error
    assert isinstance(trained, Trained), "rank 0 returns what it trained"
    return trained


def end_training(run: TrainingRun) -> None:
    """Forget a run whose model is kept: who trains by its recipe again begins anew."""
    Checkpoints(run.state_uri, run.name).end()


def publish(trained: Trained, registry: Registry, name: str) -> ModelEntry:
    """The trained model in the registry, as the latest of that name."""
    with tempfile.TemporaryDirectory(prefix="ancestral-bundle-") as folder:
        write_bundle(trained, Path(folder))
        return registry.publish(folder, name)


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


def _checked(events: Events, net: Autoregressive) -> int:
    """How many events there are. Raises DataError when one of the first does not fit."""
    for number, example in enumerate(islice(events, CHECKED_ROWS)):
        # What has to learn something first does not know yet what it is trained on.
        if learner(net) is None:
            events.item(net, number, example)
    return len(events)


def check_training(recipe: Recipe, net: Autoregressive) -> None:
    """Raises SpecError or ConfigError when the network is not trained in that way."""
    training, at_once = recipe.training, isinstance(net, ClosedForm)
    if at_once and training is not None:
        raise SpecError(
            f"the recipe {recipe.name!r}: a {recipe.family} is fitted in closed form: leave out "
            "'training'"
        )
    if training is None:
        if not at_once:
            raise SpecError(f"the recipe {recipe.name!r}: the key 'training' is missing")
        return
    train_settings(training)
    if augmentation(training) is not None and net.signature["medium"] != "image":
        raise SpecError(
            f"the recipe {recipe.name!r}: 'training.augmentation' is for images, and a "
            f"{recipe.family} makes {net.signature['medium']}"
        )
    if training.augmentation is not None and any(
        field["type"] == "map" for field in net.signature["fields"].values()
    ):
        raise SpecError(
            f"the recipe {recipe.name!r}: 'training.augmentation' moves images, but not the maps "
            "that say what is where in them: leave out one of them"
        )
    if training.crop_samples is not None and len(net.signature["shape"]) > 1:
        raise SpecError(
            f"the recipe {recipe.name!r}: 'training.crop_samples' is for sounds and series, and a "
            f"{recipe.family} makes {net.signature['medium']}"
        )


def check_shares(run: TrainingRun, workers: int) -> None:
    """Raises SpecError when there are fewer rows than ranks, or when batches do not divide."""
    if run.training_rows < workers:
        raise SpecError(f"{run.training_rows} training rows cannot be shared by {workers} workers")
    training = run.recipe.training
    if training is None:
        return
    size, parts = training.batch_size, training.accumulate or 1
    shares = workers * parts
    if size % shares:
        less = size - size % shares
        raise SpecError(
            f"the recipe {run.recipe.name!r}: 'training.batch_size' is {size}, which {workers} "
            f"workers cannot share evenly{f' in {parts} parts each' if parts > 1 else ''}: "
            f"{f'{less} or ' if less else ''}{less + shares} would do"
        )


def _take_up(kept: Checkpoint, recipe: Recipe, net: Autoregressive) -> None:
    """Raises ModelError when training cannot go on from there."""
    assert recipe.training is not None, "what is fitted in closed form has no checkpoints"
    take_up(kept.state, net, net, optimizers_of(net, train_settings(recipe.training)))


def _abort(fitting: Any) -> None:
    """Ray Train takes this for Ctrl-C: it ends all ranks and gives back their places."""
    ray.cancel(fitting)
    ray.wait([fitting], timeout=ABORT_SECONDS)


def _fit(plan: RankPlan, board: Any, workers: int, device: str, restarts: int) -> Trained | None:
    """Run all ranks to the end, in a task of its own; what rank 0 returned."""
    # Here, because it takes seconds to import, and only this task needs it.
    ray_train, ray_torch = ray_module("ray.train"), ray_module("ray.train.torch")
    logging_config = ray_module("ray.train.v2.api.config").LoggingConfig(log_level="ERROR")
    with tempfile.TemporaryDirectory(prefix="ancestral-train-") as scratch:
        trainer = ray_torch.TorchTrainer(
            train_rank,
            train_loop_config={"plan": plan, "board": board},
            scaling_config=ray_train.ScalingConfig(num_workers=workers, use_gpu=device == "cuda"),
            # The others wait for what rank 0 learns first, which may take hours.
            torch_config=ray_torch.TorchConfig(timeout_s=WAIT_SECONDS),
            run_config=ray_train.RunConfig(
                name=plan.run,
                storage_path=scratch,
                failure_config=ray_train.FailureConfig(max_failures=restarts),
                logging_config=logging_config,
            ),
        )
        try:
            trained: Trained | None = trainer.fit().return_value
        except ray_train.TrainingFailedError as error:
            raise TrainingFailed(f"training ended without a model: {_cause(error)}") from error
    return trained


def _cause(error: Exception) -> str:
    """The last line of what the first failed rank says."""
    failures = getattr(error, "worker_failures", {})
    return str(next(iter(failures.values()), error)).strip().rpartition("\n")[2]
