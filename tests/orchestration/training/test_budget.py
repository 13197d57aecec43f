"""A run's budget: how much of it is used, and when a checkpoint is due."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ancestral.jobs.recipe import Training
from ancestral.orchestration.training import budget as budget_module
from ancestral.orchestration.training.budget import Budget

CPU = torch.device("cpu")


class Time:
    """A watch that is set by hand."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    watch = Time()
    monkeypatch.setattr(budget_module, "time", watch)
    return watch


def training(**settings: Any) -> Training:
    return Training(batch_size=1, **settings)


def test_a_budget_of_seconds_is_used_by_the_watch(time: Time) -> None:
    # Given a run of which 5 s were used before it was interrupted
    budget = Budget(training(budget_seconds=20), 5.0, CPU)
    # And which took its time to get ready
    time.now += 1000
    assert budget.seconds == 5.0
    assert budget.fraction_done(2) == pytest.approx(0.25)
    assert not budget.save_due()

    time.now += 10

    assert budget.fraction_done(3) == pytest.approx(0.75)
    assert budget.seconds == 15.0


def test_a_budget_of_steps_is_used_by_steps(time: Time) -> None:
    budget = Budget(training(steps=8), 0.0, CPU)

    time.now += 1000

    assert budget.fraction_done(2) == 0.25


def test_checkpoints_are_due_by_the_watch_since_the_last_one(time: Time) -> None:
    budget = Budget(training(steps=100, checkpoint_seconds=30), 0.0, CPU)
    due = []
    for step in range(10):
        budget.fraction_done(step)
        due.append(budget.save_due())
        if due[-1]:
            budget.saved()
        time.now += 10

    assert due == [False, False, False, True] + 2 * [False, False, True]


def test_what_was_learnt_first_is_kept_at_once(time: Time) -> None:
    budget = Budget(training(steps=100), 0.0, CPU, at_once=True)
    budget.fraction_done(0)
    assert budget.save_due()

    budget.saved()
    budget.fraction_done(1)
    assert not budget.save_due()
