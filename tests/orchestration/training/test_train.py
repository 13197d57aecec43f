"""Data-parallel training on a real Ray, of networks that take a moment."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ancestral.jobs.errors import SpecError, StoreDenied
from ancestral.jobs.registry import Registry
from ancestral.models import (
    Conditions,
    ConfigError,
    GatedPixelCNN,
    TrainProgress,
    load_bundle,
)
from ancestral.orchestration.errors import Stopped, TrainingFailed
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.training.examples import network
from ancestral.orchestration.training.news import Began, News, Picture
from ancestral.orchestration.training.rank import Trained, _Rank, train_rank
from ancestral.orchestration.training.run import TrainingRun, plan_training
from ancestral.orchestration.training.train import (
    _failure,
    end_training,
    publish,
    train,
    write_bundle,
    write_picture,
)
from ancestral.workers.images import decode_image
from tests.orchestration.home import Home
from tests.orchestration.tiny import AskedWhen, small_ray
from tests.orchestration.training.stripes import (
    digest,
    moving_stripes,
    plan,
    recipe,
    registry_in,
    waves,
)

ray_test = pytest.mark.ray

#: What a recipe can ask of a training beyond the usual.
ASKED = {"accumulate": 2, "precision": "bfloat16", "weight_decay": 0.01}


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


@dataclass(frozen=True)
class Undisturbed:
    """A run of two ranks that nobody stopped, and what was said meanwhile."""

    run: TrainingRun
    trained: Trained
    progress: str
    news: list[News]

    @property
    def told(self) -> list[TrainProgress]:
        return [each for each in self.news if isinstance(each, TrainProgress)]


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    # Given parts of steps, products in bfloat16, images that are shifted, and little patience
    run = plan(
        tmp_path_factory.mktemp("undisturbed"),
        **ASKED,
        steps=2000,
        validations=200,
        patience=2,
        augmentation={"shift_pixels": 1, "turn_degrees": 5},
    )
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
    assert trained.metrics["workers"] == 2
    assert trained.metrics["held_out_bits_per_dim"] < 1.5
    first = undisturbed.told[0]
    assert first.validation_bits_per_dim is not None
    assert f"step 10 · {first.bits_per_dim:.3f} bits/dim" in undisturbed.progress
    assert f"held-out {first.validation_bits_per_dim:.3f}" in undisturbed.progress

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
    told, steps = undisturbed.told, undisturbed.trained.metrics["steps"]
    seen = [each for each in undisturbed.news if isinstance(each, Picture)]

    assert undisturbed.news[0] == Began(0)
    assert [each.step for each in told] == list(range(10, steps + 1, 10))
    best = min(each.validation_bits_per_dim or math.inf for each in told)
    held_out = undisturbed.trained.metrics["held_out_bits_per_dim"]
    assert best == pytest.approx(held_out, rel=1e-5)
    # Of each label there are three rows of ten, enlarged, with gaps.
    assert [each.step for each in seen] == [each.step for each in told]
    assert decode_image(seen[0].png)[0].shape == (3 * (8 + 4) + 4, 10 * (8 + 4) + 4)


@ray_test
def test_a_recipe_can_ask_for_all_of_it(undisturbed: Undisturbed) -> None:
    # It ends two validations after the best one, since nothing gets better
    bits = [each.validation_bits_per_dim or math.inf for each in undisturbed.told]
    assert bits.index(min(bits)) == len(bits) - 3
    assert undisturbed.trained.metrics["steps"] < 2000
    card = undisturbed.trained.files["card.md"].decode()
    assert all(f"{key}: {value}" in card for key, value in ASKED.items())


@ray_test
def test_a_run_that_was_stopped_without_a_checkpoint_begins_anew(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that it is stopped at the first look, before any rank has started
    monkeypatch.setattr("ancestral.orchestration.training.train.LOOK_SECONDS", 0.0)
    asked = AskedWhen(lambda: True)

    with pytest.raises(Stopped, match="the same command begins anew"):
        train(plan(tmp_path), workers=2, stream=io.StringIO(), interrupt=asked)


@ray_test
def test_training_that_diverges_is_said(ray_cluster: None, tmp_path: Path) -> None:
    run, news = plan(tmp_path, learning_rate=1e30, warmup_steps=1), list[News]()

    with pytest.raises(TrainingFailed, match=r"loss or the gradient of step .* is not finite"):
        train(
            run,
            workers=1,
            picture=False,
            stream=io.StringIO(),
            interrupt=Interrupt(),
            listen=news.append,
        )

    # And it is not tried again
    assert news.count(Began(0)) == 1
    assert not [each for each in news if isinstance(each, Began) and each.step > 0]


def trained_here(run: TrainingRun) -> Trained:
    """By a single rank, in this process: it needs Ray only to tell how far it is."""
    board = Mock(spec=["write"])
    with patch("ancestral.orchestration.training.rank.ray.get"):
        trained = _Rank(run, "cpu", picture=True, board=board, number=0, ranks=1).train()
    assert trained is not None
    return trained


def test_what_has_a_closed_form_is_fitted_at_once(tmp_path: Path) -> None:
    # Given series in which a value is 3/4 of the one before it, and unit noise
    run = plan_training(waves(tmp_path), registry_in(tmp_path))

    trained = trained_here(run)

    # Then the held-out figure is the density of what cannot be foretold: ½ log2(2πe) bits
    assert trained.metrics["held_out_bits_per_dim"] == pytest.approx(2.047, abs=0.03)
    assert (trained.metrics["held_out_kind"], trained.metrics["steps"]) == ("density", 1)
    assert "(density)" in trained.files["card.md"].decode()
    write_bundle(trained, tmp_path / "bundle")
    net = load_bundle(tmp_path / "bundle").net
    assert net.get_parameter("coefficients").item() == pytest.approx(0.75, abs=0.02)
    assert trained.picture is not None


def test_however_small_a_budget_is_a_step_is_taken(tmp_path: Path) -> None:
    run = plan_training(recipe(tmp_path).with_budget(1e-9), registry_in(tmp_path))

    assert trained_here(run).metrics["steps"] == 1


def test_a_model_of_a_few_steps_is_published_with_a_warning(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a recipe of as many steps as its learning rate rises over, and one of a step less
    monkeypatch.setattr(
        "ancestral.orchestration.commands.train._train",
        lambda settings, run, workers, device: trained_here(run),
    )
    enough = home.write(recipe(home.folder, steps=6, warmup_steps=6).document())
    assert "little was learnt" not in home.call("train", enough)[2]
    few = home.write(recipe(home.folder, steps=5, warmup_steps=6).document())

    code, out, err = home.call("train", few)

    assert (code, "stripes@" in out) == (0, True)
    assert "it took only 5 steps, and the learning rate rises over the first 6: little was" in err


def test_clips_are_trained_on(tmp_path: Path) -> None:
    run = plan_training(moving_stripes(tmp_path), registry_in(tmp_path))

    trained = trained_here(run)

    assert (run.training_rows, run.held_out_rows) == (8, 2)
    assert trained.metrics["held_out_bits_per_dim"] < 1
    assert trained.picture is not None


def test_an_error_of_a_family_is_said_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a network that hands torch what does not fit
    run = plan(tmp_path)

    def misfit(net: GatedPixelCNN, x: Tensor, conditions: Conditions) -> Tensor:
        return cross_entropy(torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64))

    monkeypatch.setattr(GatedPixelCNN, "forward", misfit)
    monkeypatch.setattr("torch.set_flush_denormal", lambda mode: True)

    place = rf"\(test_train\.py, line {misfit.__code__.co_firstlineno + 1}, in misfit\)"
    told = patch("ancestral.orchestration.training.rank.ray.get")
    with told, pytest.raises(TrainingFailed, match=rf"down: ValueError: Expected .* {place}$"):
        train_rank({"run": run, "device": "cpu", "picture": False, "board": Mock(spec=["write"])})


def test_of_many_ranks_the_first_that_failed_says_why() -> None:
    class RanksFailed(Exception):
        def __init__(self, failure: str) -> None:
            self.worker_failures = {1: f"Traceback ...:\n{failure}"}

    failed = RanksFailed("ancestral.orchestration.errors.TrainingFailed: so")
    assert _failure(failed) == "so"

    # And what no rank has told of is said to be the end
    unknown = "training ended without a model: ValueError: b"
    assert _failure(ValueError("a\nValueError: b")) == unknown


def test_without_a_folder_for_a_moment_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")

    with pytest.raises(StoreDenied, match="set TMPDIR to another folder"):
        publish(Trained({}, {}, None), registry_in(tmp_path), "stripes")


def test_without_a_folder_for_a_moment_a_rank_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(tmp_path)
    rank = _Rank(run, device="cpu", picture=False, board=None, number=0, ranks=1)
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")

    with pytest.raises(StoreDenied, match="set TMPDIR to another folder"):
        rank._finish(network(run.recipe), {})


def test_a_single_rank_has_the_device_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def device(asked: str) -> torch.device:
        return _Rank(plan(tmp_path), asked, False, None, number=0, ranks=1)._own_device()

    # Given a GPU that nobody asked for; and none, where one was
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert (device("cpu"), device("cuda")) == (torch.device("cpu"), torch.device("cuda:0"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch finds no GPU here"):
        device("cuda")


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
