"""Data-parallel training on a real Ray, of networks that take a moment."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Augmentation, Recipe, Training
from ancestral.jobs.registry import Registry
from ancestral.models import TrainProgress, load_bundle
from ancestral.models.optimizer import optimizers_of
from ancestral.models.visits import Place
from ancestral.orchestration.board import Began, News, Picture
from ancestral.orchestration.checkpoints import Checkpoint, Checkpoints
from ancestral.orchestration.errors import TrainingFailed
from ancestral.orchestration.examples import network
from ancestral.orchestration.interrupt import Interrupt, Stopped
from ancestral.orchestration.rank import Trained, train_settings
from ancestral.orchestration.recipe import find_recipe, shipped
from ancestral.orchestration.training import (
    TrainingRun,
    check_shares,
    check_training,
    end_training,
    plan_training,
    publish,
    recipe_digest,
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
    news: list[News]


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    run = plan(tmp_path_factory.mktemp("undisturbed"))
    progress, news = io.StringIO(), list[News]()
    trained = train(run, workers=2, stream=progress, interrupt=Interrupt(), listen=news.append)
    return Undisturbed(run, trained, progress.getvalue(), news)


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

    # And nothing of the run is left in the state once it has ended
    end_training(run)
    left = Path(run.state_uri, "training").rglob("*")
    assert not [path for path in left if path.is_file()]


@ray_test
def test_whoever_listens_hears_of_curves_and_sees_samples(undisturbed: Undisturbed) -> None:
    told = [each for each in undisturbed.news if isinstance(each, TrainProgress)]
    seen = [each for each in undisturbed.news if isinstance(each, Picture)]

    assert undisturbed.news[0] == Began(0)
    assert [each.step for each in told] == [10, 20, 30, 40]
    best = min(each.validation_bits_per_dim or math.inf for each in told)
    held_out = undisturbed.trained.metrics["held_out_bits_per_dim"]
    assert best == pytest.approx(held_out, rel=1e-5)
    # Of each label there are three rows of ten, enlarged, with gaps.
    assert [each.step for each in seen] == [10, 20, 30, 40]
    assert decode_image(seen[0].png)[0].shape == (3 * (8 + 4) + 4, 10 * (8 + 4) + 4)


@ray_test
def test_a_recipe_can_ask_for_all_of_it(ray_cluster: None, tmp_path: Path) -> None:
    # Given parts of steps, products in bfloat16, images that are shifted, and little patience
    asked = {"accumulate": 2, "precision": "bfloat16", "weight_decay": 0.01}
    run = plan(
        tmp_path,
        **asked,
        steps=60,
        learning_rate=1e-12,
        ema_decay=0.0,
        validations=30,
        patience=2,
        augmentation={"shift_pixels": 1, "turn_degrees": 5},
    )

    trained = train(run, workers=2, picture=False, stream=io.StringIO(), interrupt=Interrupt())

    # Then it ends two validations after the first, since nothing gets better
    assert trained.metrics["steps"] == 6
    card = trained.files["card.md"].decode()
    assert all(f"{key}: {value}" in card for key, value in asked.items())


@ray_test
def test_a_run_that_was_stopped_ends_in_the_same_model(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    # When the same training is stopped at its first checkpoint, and asked for again
    run = plan(tmp_path)
    checkpoints = Checkpoints(run.state_uri, run.name)
    at_a_checkpoint = AskedWhen(lambda: bool(checkpoints.steps()))
    with pytest.raises(Stopped, match="the same command goes on from the last checkpoint"):
        train(run, workers=2, picture=False, stream=io.StringIO(), interrupt=at_a_checkpoint)
    kept = checkpoints.steps()[-1]
    again = plan(tmp_path)
    news: list[News] = []
    resumed = train(
        again,
        workers=2,
        picture=False,
        stream=io.StringIO(),
        interrupt=Interrupt(),
        listen=news.append,
    )

    # Then
    assert (run.step, again.name, again.step) == (0, run.name, kept)
    assert (resumed.metrics["steps"], resumed.picture) == (40, None)
    assert news[0] == Began(again.step)
    assert digest(resumed) == digest(undisturbed.trained)


@ray_test
def test_a_run_that_was_stopped_without_a_checkpoint_begins_anew(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that it is stopped at the first look, before any rank has started
    monkeypatch.setattr("ancestral.orchestration.training.LOOK_SECONDS", 0.0)
    asked = AskedWhen(lambda: True)

    with pytest.raises(Stopped, match="the same command begins anew"):
        train(plan(tmp_path), workers=2, stream=io.StringIO(), interrupt=asked)


@ray_test
def test_training_that_diverges_is_said(ray_cluster: None, tmp_path: Path) -> None:
    run, news = plan(tmp_path, learning_rate=1e30, warmup_steps=1), list[News]()

    with pytest.raises(TrainingFailed, match=r"loss or the gradient of step .* is not finite"):
        train(
            run,
            workers=2,
            picture=False,
            stream=io.StringIO(),
            interrupt=Interrupt(),
            listen=news.append,
        )

    # And it is not tried again
    assert news.count(Began(0)) == 1
    assert not [each for each in news if isinstance(each, Began) and each.step > 0]


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
        ({"training": good.training.model_copy(update={"accumulate": 0})}, "accumulate must be"),
        ({"training": None}, "the key 'training' is missing"),
    ):
        with pytest.raises(SpecError, match=sentence):
            plan_training(good.model_copy(update=wrong), str(tmp_path / "state"))

    assert not (tmp_path / "state").exists()


def test_more_ranks_than_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="48 training rows cannot be shared by 49 workers"):
        train(plan(tmp_path), workers=49, stream=io.StringIO(), interrupt=Interrupt())


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "workers", "sentence"),
    [
        (8, None, 3, "'training.batch_size' is 8, which 3 workers .* evenly: 6 or 9 would do"),
        (1, None, 2, "evenly: 2 would do"),
        (8, 4, 4, "evenly in 4 parts each: 16 would do"),
    ],
)
def test_batches_that_ranks_cannot_share_are_refused(
    tmp_path: Path, batch_size: int, accumulate: int | None, workers: int, sentence: str
) -> None:
    run = plan(tmp_path, batch_size=batch_size, accumulate=accumulate)
    with pytest.raises(SpecError, match=sentence):
        train(run, workers=workers, stream=io.StringIO(), interrupt=Interrupt())


@pytest.mark.parametrize("name", shipped(".yaml"))
def test_batches_that_ship_are_shared_by_one_worker_or_two(name: str, tmp_path: Path) -> None:
    run = replace(plan(tmp_path), recipe=find_recipe(name))
    for workers in (1, 2):
        check_shares(run, workers)


def test_images_are_not_moved_away_from_their_maps(tmp_path: Path) -> None:
    # Given a network that is told what is where in its images
    told = recipe(tmp_path, augmentation={"shift_pixels": 1})
    model = {**told.model, "labels": [0, 1, 2], "map_shape": [3, 2, 2]}
    told = told.model_copy(update={"model": model})

    with pytest.raises(SpecError, match=r"'training\.augmentation' moves images, but not the maps"):
        check_training(told, network(told))


def test_only_images_are_augmented(tmp_path: Path) -> None:
    clips = moving_stripes(tmp_path)
    assert clips.training is not None
    wrong = clips.training.model_copy(update={"augmentation": Augmentation(shift_pixels=1)})

    with pytest.raises(SpecError, match=r"'training\.augmentation' is for images"):
        plan_training(clips.model_copy(update={"training": wrong}), str(tmp_path / "state"))


def test_a_run_is_known_by_its_recipe(tmp_path: Path) -> None:
    # Given a run that has come to step 12
    run = plan(tmp_path)
    Checkpoints(run.state_uri, run.name).save(checkpoint(run.recipe, 12))

    same, other = plan(tmp_path), plan(tmp_path, learning_rate=0.02)
    fresh = plan_training(recipe(tmp_path), run.state_uri, fresh=True)

    assert (same.name, same.step) == (run.name, 12)
    assert (other.name != run.name, other.step) == (True, 0)
    assert (fresh.name, fresh.step) == (run.name, 0)
    assert plan(tmp_path).step == 0


def checkpoint(recipe: Recipe, step: int) -> Checkpoint:
    """Of a network that was not trained."""
    assert recipe.training is not None
    net = network(recipe)
    weights = net.state_dict()
    optimizers = optimizers_of(net, train_settings(recipe.training))
    return Checkpoint(
        {
            "step": step,
            "network": weights,
            "average": weights,
            "optimizers": [each.state_dict() for each in optimizers],
        },
        1.0,
        [Place()],
    )


@pytest.mark.parametrize("change", [{"head": 9}, {"layers": 3}], ids=str)
def test_a_run_of_another_version_begins_anew_when_it_is_asked_to(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    # Given a checkpoint of the same recipe, by which another network was made then
    run = plan(tmp_path)
    other = run.recipe.model_copy(update={"model": {**run.recipe.model, **change}})
    Checkpoints(run.state_uri, run.name).save(checkpoint(other, 12))

    with pytest.raises(TrainingFailed, match=r"by another version .*: begin anew with --fresh"):
        plan(tmp_path)

    assert plan_training(recipe(tmp_path), run.state_uri, fresh=True).step == 0


def test_keys_that_are_not_given_are_no_part_of_what_a_run_is_known_by(tmp_path: Path) -> None:
    # Given a program of which recipes know one more key
    class Longer(Training):
        another: int | None = None

    class Later(Recipe):
        training: Longer | None = None

    now = recipe(tmp_path)
    later, asked = (
        Later(**{**now.model_dump(), "training": {**dict(now.training or ()), "another": another}})
        for another in (None, 1)
    )

    assert recipe_digest(later) == recipe_digest(now) != recipe_digest(asked)


def test_a_kept_recipe_is_plain_json(tmp_path: Path) -> None:
    run = plan(tmp_path)

    kept = json.loads((tmp_path / "state/training" / run.name / "recipe.json").read_bytes())

    assert kept["model"]["labels"] == [0, 1, 2]
