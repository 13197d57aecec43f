"""Data-parallel training on a real Ray, of networks that take a moment."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ancestral.jobs.errors import SpecError
from ancestral.jobs.registry import Registry
from ancestral.models import load_bundle
from ancestral.orchestration.checkpoints import Checkpoints
from ancestral.orchestration.errors import TrainingFailed
from ancestral.orchestration.interrupt import Interrupt, Stopped
from ancestral.orchestration.rank import Trained
from ancestral.orchestration.training import (
    TrainingRun,
    plan_training,
    publish,
    resume_training,
    train,
    write_bundle,
    write_picture,
)
from ancestral.workers.images import decode_image
from tests.orchestration.stripes import digest, moving_stripes, plan, recipe, waves
from tests.orchestration.tiny import small_ray

ray_test = pytest.mark.ray


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


class AskedWhen(Interrupt):
    """Somebody asks to stop as soon as a condition holds."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        super().__init__()
        self._holds = holds

    @property
    def asked(self) -> bool:
        return self._holds()


@dataclass(frozen=True)
class Undisturbed:
    """A run of two ranks that nobody stopped, and what was said meanwhile."""

    run: TrainingRun
    trained: Trained
    progress: str


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    run = plan(tmp_path_factory.mktemp("undisturbed"))
    progress = io.StringIO()
    trained = train(run, workers=2, stream=progress, interrupt=Interrupt())
    return Undisturbed(run, trained, progress.getvalue())


@ray_test
def test_two_ranks_train_a_model_that_is_published(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    # Given that it learnt something, and said so
    run, trained = undisturbed.run, undisturbed.trained
    assert (run.training_rows, run.held_out_rows) == (48, 12)
    assert (trained.metrics["steps"], trained.metrics["workers"]) == (40, 2)
    assert trained.metrics["held_out_bits_per_dim"] < 1.5
    assert "step 40" in undisturbed.progress
    assert f"held-out {trained.metrics['held_out_bits_per_dim']:.3f}" in undisturbed.progress

    # Then the bundle is one, with a card, in the registry and as a folder
    registry = Registry(run.state_uri, tmp_path / "cache")
    entry = publish(trained, registry, run.recipe.name)
    assert registry.resolve("stripes") == entry
    write_bundle(trained, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.digest == entry.digest == digest(trained)
    assert bundle.net.signature["fields"]["label"]["values"] == [0, 1, 2]
    card = trained.files["card.md"].decode()
    assert "CC0" in card and f"{trained.metrics['held_out_bits_per_dim']:.4f}" in card
    assert "labels: [0, 1, 2]" in card

    # And there is a picture: three rows of ten images, enlarged, with gaps
    write_picture(trained, tmp_path / "pictures" / "samples.png")
    picture, _ = decode_image((tmp_path / "pictures" / "samples.png").read_bytes())
    assert picture.shape == (3 * (8 + 4) + 4, 10 * (8 + 4) + 4)

    # And nothing of the run is left in the state
    left = Path(run.state_uri, "training").rglob("*")
    assert not [path for path in left if path.is_file()]


@ray_test
def test_a_run_that_was_stopped_ends_in_the_same_model(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    # When the same run is stopped at its first checkpoint, and resumed by its name alone
    run = plan(tmp_path)
    checkpoints = Checkpoints(run.state_uri, run.name)
    at_a_checkpoint = AskedWhen(lambda: checkpoints.load() is not None)
    with pytest.raises(Stopped, match=f"--resume {run.name}"):
        train(run, workers=2, picture=False, stream=io.StringIO(), interrupt=at_a_checkpoint)
    kept = checkpoints.load()
    assert kept is not None
    progress = io.StringIO()
    resumed = train(
        resume_training(run.name, run.state_uri),
        workers=2,
        picture=False,
        stream=progress,
        interrupt=Interrupt(),
    )

    # Then
    assert (resumed.metrics["steps"], resumed.picture) == (40, None)
    assert "step 10 " not in progress.getvalue()
    assert digest(resumed) == digest(undisturbed.trained)


@ray_test
def test_training_that_diverges_is_said(ray_cluster: None, tmp_path: Path) -> None:
    run = plan(tmp_path, learning_rate=1e30, warmup_steps=1)

    with pytest.raises(TrainingFailed, match=r"loss of step .* is not finite"):
        train(
            run,
            workers=1,
            picture=False,
            restarts=0,
            stream=io.StringIO(),
            interrupt=Interrupt(),
        )


@ray_test
def test_what_has_a_closed_form_is_fitted_at_once(ray_cluster: None, tmp_path: Path) -> None:
    # Given series in which a value is 3/4 of the one before it, and unit noise
    run = plan_training(waves(tmp_path), str(tmp_path / "state"))

    trained = train(run, workers=2, stream=io.StringIO(), interrupt=Interrupt())

    # Then the held-out figure is the density of what cannot be foretold: ½ log2(2πe) bits
    assert trained.metrics["held_out_bits_per_dim"] == pytest.approx(2.047, abs=0.03)
    assert (trained.metrics["held_out_kind"], trained.metrics["steps"]) == ("density", 1)
    assert "(density)" in trained.files["card.md"].decode()
    write_bundle(trained, tmp_path / "bundle")
    net = load_bundle(tmp_path / "bundle").net
    assert net.get_parameter("coefficients").item() == pytest.approx(0.75, abs=0.02)
    assert trained.picture is not None


@ray_test
def test_clips_are_trained_on(ray_cluster: None, tmp_path: Path) -> None:
    run = plan_training(moving_stripes(tmp_path), str(tmp_path / "state"))

    trained = train(run, workers=2, stream=io.StringIO(), interrupt=Interrupt())

    assert (run.training_rows, run.held_out_rows) == (8, 2)
    assert trained.metrics["held_out_bits_per_dim"] < 1
    assert trained.picture is not None


def test_a_closed_form_takes_no_steps(tmp_path: Path) -> None:
    steps = recipe(tmp_path).training
    wrong = waves(tmp_path).model_copy(update={"training": steps})

    with pytest.raises(SpecError, match="linear is fitted in closed form: leave out 'training'"):
        plan_training(wrong, str(tmp_path / "state"))


def test_a_run_is_checked_before_it_begins(tmp_path: Path) -> None:
    good = recipe(tmp_path)
    assert good.training is not None
    for wrong, sentence in (
        ({"model": {**good.model, "layerss": 3}}, "no 'layerss'"),
        ({"model": {**good.model, "height": 5}}, "has 16 bytes, not 5 x 4 bytes"),
        ({"model": {**good.model, "labels": [0, 1]}}, "label cannot be 2"),
        ({"training": good.training.model_copy(update={"ema_decay": 2.0})}, "ema_decay"),
        ({"training": good.training.model_copy(update={"crop_samples": 4})}, "makes image"),
        ({"training": None}, "the key 'training' is missing"),
    ):
        with pytest.raises(SpecError, match=sentence):
            plan_training(good.model_copy(update=wrong), str(tmp_path / "state"))

    assert not (tmp_path / "state").exists()


def test_more_ranks_than_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="48 training rows cannot be shared by 49 workers"):
        train(plan(tmp_path), workers=49, stream=io.StringIO(), interrupt=Interrupt())


def test_an_unknown_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no training run 'stripes-1'"):
        resume_training("stripes-1", str(tmp_path / "state"))


def test_a_run_can_be_resumed_for_another_time(tmp_path: Path) -> None:
    run = plan(tmp_path)

    resumed = resume_training(run.name, run.state_uri, budget_seconds=7.0)

    assert resumed.recipe.budget_seconds == 7.0
    assert resumed.recipe.model == run.recipe.model


def test_a_kept_recipe_is_plain_json(tmp_path: Path) -> None:
    run = plan(tmp_path)

    kept = json.loads((tmp_path / "state/training" / run.name / "recipe.json").read_bytes())

    assert kept["model"]["labels"] == [0, 1, 2]
