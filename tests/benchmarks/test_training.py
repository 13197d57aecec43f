"""The training benchmark compares loops that do the same work."""

from __future__ import annotations

import importlib
from contextlib import nullcontext

import pytest

from ancestral.jobs.recipe import Recipe
from ancestral.models import TrainProgress
from ancestral.orchestration.training.recipe import find_recipe

PROGRESS = TrainProgress(
    step=9, fraction=1.0, learning_rate=0.0, bits_per_dim=1.0, gradient_norm=1.0,
    steps_per_second=1.0, seconds=9.0, seconds_waited=0.0, seconds_saved=0.0,
)  # fmt: skip


def test_neither_loop_augments(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a recipe that asks for augmentation, and loops that take no time
    training = importlib.import_module("training")
    digits = find_recipe("digits")
    assert digits.training is not None and digits.training.augmentation is not None
    trained: list[Recipe] = []

    def ours(recipe: Recipe, seconds: float) -> tuple[float, TrainProgress]:
        trained.append(recipe)
        return 45.0, PROGRESS

    def bare(recipe: Recipe, seconds: float) -> float:
        trained.append(recipe)
        return 50.0

    monkeypatch.setattr(training, "cluster", lambda cpus: nullcontext())
    monkeypatch.setattr(training, "ours", ours)
    monkeypatch.setattr(training, "bare", bare)

    (row,) = training.measure([digits], 1.0)

    # Then both learn from images as they are
    assert row.ratio == 0.9
    assert [each.training.augmentation for each in trained if each.training] == [None, None]
