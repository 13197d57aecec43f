"""Training runs before they begin: what is refused, what goes on, and what starts from a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ancestral.jobs.errors import ModelUnreadable, SpecError
from ancestral.jobs.recipe import Augmentation, Recipe, Training
from ancestral.models import ConfigError, load_bundle, save_bundle
from ancestral.models.optimizer import optimizers_of
from ancestral.models.train import take_up
from ancestral.models.visits import Place
from ancestral.orchestration.errors import TrainingFailed
from ancestral.orchestration.training.checkpoints import Checkpoint, Checkpoints
from ancestral.orchestration.training.examples import network, train_settings
from ancestral.orchestration.training.recipe import find_recipe, shipped
from ancestral.orchestration.training.run import (
    check_shares,
    check_training,
    plan_training,
    recipe_digest,
)
from tests.orchestration.home import Home
from tests.orchestration.training.stripes import moving_stripes, plan, recipe, registry_in, waves


def test_a_closed_form_takes_no_steps(tmp_path: Path) -> None:
    steps = recipe(tmp_path).training
    wrong = waves(tmp_path).model_copy(update={"training": steps})

    with pytest.raises(SpecError, match="linear is fitted in closed form: leave out 'training'"):
        plan_training(wrong, registry_in(tmp_path))


def test_a_run_is_checked_before_it_begins(tmp_path: Path) -> None:
    good = recipe(tmp_path)
    assert good.training is not None
    for wrong, sentence in (
        ({"model": {**good.model, "layerss": 3}}, "no 'layerss'"),
        ({"model": {**good.model, "height": 5}}, "has 16 bytes, not 5 x 4 bytes"),
        ({"model": {**good.model, "labels": [0, 1]}}, "label cannot be 2"),
        ({"data": good.data.model_copy(update={"loudness_dbfs": -3.0})}, "_pixelcnn makes images"),
        (
            {"data": good.data.model_copy(update={"fields": {"shape": "label"}})},
            "a gated_pixelcnn is asked for label, not for shape: write {label: label}",
        ),
        (
            {"data": good.data.model_copy(update={"fields": {"lable": "label"}})},
            "is asked for label, not for lable; did you mean 'label'",
        ),
        (
            {"model": {**good.model, "labels": []}},
            "names label, of which 'model.labels' lists no values: leave that out",
        ),
        ({"training": good.training.model_copy(update={"ema_decay": 2.0})}, "ema_decay"),
        ({"training": good.training.model_copy(update={"crop_samples": 4})}, "makes images$"),
        ({"training": good.training.model_copy(update={"accumulate": 0})}, "accumulate must be"),
        ({"training": None}, "the key 'training' is missing"),
    ):
        with pytest.raises(SpecError, match=sentence):
            plan_training(good.model_copy(update=wrong), registry_in(tmp_path))

    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", shipped(".yaml"))
def test_batches_that_ship_are_shared_by_one_worker_or_two(name: str, tmp_path: Path) -> None:
    run = replace(plan(tmp_path), recipe=find_recipe(name))
    for workers in (1, 2):
        check_shares(run, workers)


@pytest.mark.parametrize(
    ("batch_size", "options", "workers"), [(9, [], 2), (8, ["--workers", "3"], 3)]
)
def test_workers_that_cannot_share_are_refused_before_ray_starts(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    batch_size: int,
    options: list[str],
    workers: int,
) -> None:
    monkeypatch.setattr("ancestral.orchestration.cluster.cluster", pytest.fail)
    file = home.write(recipe(home.folder, batch_size=batch_size).document())

    code, _, said = home.call("train", file, *options)

    assert code == 2
    assert f"which {workers} workers cannot share evenly" in said


def test_what_workers_cannot_share_keeps_nothing_and_ends_no_run(tmp_path: Path) -> None:
    # Given a run that waits to be gone on with
    run = plan(tmp_path, batch_size=9)
    kept = sorted((tmp_path / "state").rglob("*"))

    # When more workers are to begin it anew, or another one
    for batch_size in (9, 7):
        with pytest.raises(SpecError, match="which 2 workers cannot share evenly"):
            plan_training(
                recipe(tmp_path, batch_size=batch_size),
                registry_in(tmp_path),
                workers=2,
                fresh=True,
            )

    # Then
    assert any(run.name in path.parts for path in kept)
    assert sorted((tmp_path / "state").rglob("*")) == kept


def test_images_are_not_moved_away_from_their_maps(tmp_path: Path) -> None:
    # Given a network that is told what is where in its images
    told = recipe(tmp_path, augmentation={"shift_pixels": 1})
    model = {**told.model, "labels": [0, 1, 2], "map_shape": [3, 2, 2]}
    told = told.model_copy(update={"model": model})

    with pytest.raises(ConfigError, match=r"'training\.augmentation' moves images, but not the"):
        check_training(told, network(told))


def test_only_images_are_augmented(tmp_path: Path) -> None:
    clips = moving_stripes(tmp_path)
    assert clips.training is not None
    wrong = clips.training.model_copy(update={"augmentation": Augmentation(shift_pixels=1)})

    with pytest.raises(SpecError, match=r"'training\.augmentation' is for images"):
        plan_training(clips.model_copy(update={"training": wrong}), registry_in(tmp_path))


def test_rows_of_other_splits_are_told_of(tmp_path: Path) -> None:
    # Given a table in which three rows are of no split that is known, and one of none
    stripes, clips = recipe(tmp_path), moving_stripes(tmp_path)
    rows = pq.read_table(stripes.data.path).to_pylist()
    assert plan(tmp_path).rows_text == "48 rows to learn from, 12 held out"
    for number, split in ((1, "trian"), (2, "trian"), (3, "valid"), (4, None)):
        rows[number]["split"] = split
    pq.write_table(pa.Table.from_pylist(rows), stripes.data.path)

    run = plan_training(stripes, registry_in(tmp_path))

    others = "4 of other splits are left out ('trian', 'valid', None)"
    assert run.rows_text == f"44 rows to learn from, 12 held out; {others}"

    # But not where rows are not counted, for clips are made from them
    run = plan_training(clips, registry_in(tmp_path))
    assert run.rows_text == "8 rows to learn from, 2 held out"


def test_a_run_is_known_by_its_recipe(tmp_path: Path) -> None:
    # Given a run that has come to step 12
    run = plan(tmp_path)
    Checkpoints(run.state_uri, run.name).save(checkpoint(run.recipe, 12))

    same, other = plan(tmp_path), plan(tmp_path, learning_rate=0.02)
    fresh = plan_training(recipe(tmp_path), registry_in(tmp_path), fresh=True)

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

    assert plan_training(recipe(tmp_path), registry_in(tmp_path), fresh=True).step == 0


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


def base(folder: Path) -> Path:
    """A model of the network that stripes are learnt by, which was not trained, as a bundle."""
    run = plan(folder)
    save_bundle(folder / "base", network(run.recipe), card="", metrics={})
    return folder / "base"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_starts_from_a_model_in_the_registry(tmp_path: Path, optimizer: str) -> None:
    # Given a model that is published, and a recipe that names it, and nothing of its network
    entry = registry_in(tmp_path).publish(base(tmp_path))
    starts = recipe(tmp_path, optimizer=optimizer).model_copy(update={"start": "base", "model": {}})

    run = plan_training(starts, registry_in(tmp_path))

    # Then it begins with those weights, and its recipe says which version they are of
    checkpoints = Checkpoints(run.state_uri, run.name)
    assert (checkpoints.steps(), run.step) == ([0], 0)
    assert run.recipe.start == f"base@{entry.digest[:12]}"
    net = network(run.recipe)
    kept = checkpoints.load(0)
    take_up(kept.state, net, net, optimizers_of(net, train_settings(run.recipe.training)))
    weights = load_bundle(tmp_path / "base").net.state_dict()
    assert all(torch.equal(weights[name], each) for name, each in net.state_dict().items())
    assert kept.place(1, 2) == Place()

    # And after its first checkpoint it goes on from that, as long as the model is the latest
    Checkpoints(run.state_uri, run.name).save(checkpoint(run.recipe, 12))
    assert plan_training(starts, registry_in(tmp_path)).step == 12


def test_a_run_starts_from_a_bundle_in_a_folder(tmp_path: Path) -> None:
    folder = str(base(tmp_path))

    starts = recipe(tmp_path).model_copy(update={"start": folder})

    run = plan_training(starts, registry_in(tmp_path))
    assert run.recipe.start == folder

    # And it is another run when another bundle lies there
    torch.manual_seed(1)
    save_bundle(Path(folder), network(run.recipe), card="", metrics={})
    assert plan_training(starts, registry_in(tmp_path)).name != run.name


def test_what_cannot_start_from_a_model_is_refused(tmp_path: Path) -> None:
    folder = str(base(tmp_path))
    stripes = recipe(tmp_path)
    for wrong, error, sentence in (
        (stripes.model_copy(update={"start": "nobody"}), ModelUnreadable, "nobody"),
        (
            stripes.model_copy(update={"start": folder, "family": "made"}),
            SpecError,
            "'start' is a gated_pixelcnn, which a made cannot start from",
        ),
        (
            stripes.model_copy(update={"start": folder, "model": {"channels": 7}}),
            SpecError,
            "the weights of .*base do not fit what 'model' says",
        ),
        (
            waves(tmp_path).model_copy(update={"start": folder}),
            SpecError,
            "'start' is a gated_pixelcnn",
        ),
    ):
        with pytest.raises(error, match=sentence):
            plan_training(wrong, registry_in(tmp_path))


def test_what_has_a_closed_form_starts_from_nothing(tmp_path: Path) -> None:
    fitted = plan_training(waves(tmp_path), registry_in(tmp_path)).recipe
    save_bundle(tmp_path / "base", network(fitted), card="", metrics={})
    starts = fitted.model_copy(update={"start": str(tmp_path / "base")})

    with pytest.raises(SpecError, match="fitted in closed form: leave out 'start'"):
        plan_training(starts, registry_in(tmp_path))
