"""Checkpoints are created once, hold plain values, and go when nobody needs them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from ancestral.jobs.store import open_store
from ancestral.models.visits import Place
from ancestral.orchestration.errors import TrainingFailed
from ancestral.orchestration.training.checkpoints import Checkpoint, Checkpoints
from tests.orchestration.training.stripes import recipe

PLACES = [Place(2, 0, 7), Place(2, 1, 0)]


def checkpoint(step: int, seconds: float = 1.5) -> Checkpoint:
    state: dict[str, Any] = {"step": step, "network": {"weight": torch.full((3,), float(step))}}
    return Checkpoint(state, seconds, PLACES)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(str(tmp_path), "run")


def test_the_last_two_are_kept(checkpoints: Checkpoints) -> None:
    assert checkpoints.steps() == []
    for step in (0, 30, 200, 1000):
        checkpoints.save(checkpoint(step))

    assert checkpoints.steps() == [200, 1000]
    kept = checkpoints.load(1000)
    assert (kept.step, kept.seconds, kept.places) == (1000, 1.5, PLACES)
    assert kept.state["network"]["weight"].tolist() == [1000.0] * 3


def test_ranks_go_on_at_their_places_and_others_in_the_next_epoch() -> None:
    kept = checkpoint(30)
    assert [kept.place(rank, 2) for rank in range(2)] == PLACES
    assert [kept.place(rank, 3) for rank in range(3)] == [Place(3)] * 3


def test_before_the_first_step_any_number_of_ranks_begins_at_the_beginning() -> None:
    kept = Checkpoint({"step": 0}, 0.0, [Place()])
    assert [kept.place(rank, 2) for rank in range(2)] == [Place()] * 2


def test_of_two_processes_that_train_one_run_one_is_stopped(checkpoints: Checkpoints) -> None:
    checkpoints.save(checkpoint(30, seconds=1.5))

    with pytest.raises(TrainingFailed, match="by another process as well"):
        checkpoints.save(checkpoint(30, seconds=1.7))

    assert checkpoints.load(30).seconds == 1.5


def test_a_checkpoint_whose_answer_was_lost_is_there(checkpoints: Checkpoints) -> None:
    checkpoints.save(checkpoint(30))
    checkpoints.save(checkpoint(30))

    assert checkpoints.steps() == [30]


def test_a_checkpoint_of_another_format_is_refused(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(checkpoint(30))
    monkeypatch.setattr("ancestral.orchestration.training.checkpoints.FORMAT", 2)

    with pytest.raises(TrainingFailed, match=r"run was made by another version of .* --fresh"):
        checkpoints.load(30)


def test_a_checkpoint_that_names_no_format_is_refused(checkpoints: Checkpoints) -> None:
    file = io.BytesIO()
    torch.save({"state": {"step": 30}, "seconds": 1.5, "places": []}, file)
    checkpoints._store.create("training/run/checkpoints/000000030", file.getvalue())

    with pytest.raises(TrainingFailed, match="another version"):
        checkpoints.load(30)


@pytest.mark.parametrize("name", [".nfs000000000012", ".DS_Store", "000000030 (copy)"])
def test_a_file_of_others_beside_them_is_no_checkpoint(
    checkpoints: Checkpoints, tmp_path: Path, name: str
) -> None:
    checkpoints.save(checkpoint(30))
    (tmp_path / "training" / "run" / "checkpoints" / name).write_bytes(b"")

    assert checkpoints.steps() == [30]


def test_a_run_is_there_until_it_has_ended(checkpoints: Checkpoints, tmp_path: Path) -> None:
    checkpoints.begin(recipe(tmp_path))
    checkpoints.save(checkpoint(5))
    assert "training/run/recipe.json" in open_store(str(tmp_path)).list("training")

    checkpoints.end()

    assert open_store(str(tmp_path)).list("training") == []
