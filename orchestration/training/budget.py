"""The budget of a training run: the same to every rank, though each has a watch of its own."""

from __future__ import annotations

import math
import time

import torch
from torch import distributed

from ancestral.jobs.recipe import Training


class Budget:
    """Says how much of the budget is used, and when a checkpoint is due: by rank 0's watch, which
    runs from when it is asked for the first time, as the first step begins.

    `at_once`: a checkpoint is due before the first step.
    """

    def __init__(
        self,
        training: Training,
        seconds_before: float,
        device: torch.device,
        *,
        at_once: bool = False,
    ) -> None:
        self._training = training
        self._seconds_before = seconds_before
        self._start: float | None = None
        self._at_once = at_once
        self._saved = 0.0
        self._save_due = False
        self._shared = torch.zeros(2, dtype=torch.float64, device=device)

    @property
    def seconds(self) -> float:
        """Since training began, runs before an interruption included; by this rank's watch."""
        return self._seconds_at(time.monotonic())

    def fraction_done(self, step: int) -> float:
        """How much of the budget is used before that step. All ranks ask together."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
            self._saved = -math.inf if self._at_once else now
        due = now - self._saved >= self._training.checkpoint_seconds
        self._shared[0] = self._fraction(step, now)
        self._shared[1] = float(due)
        if distributed.is_initialized():
            distributed.broadcast(self._shared, src=0)
        fraction, due_to_all = self._shared.tolist()
        self._save_due = bool(due_to_all)
        return float(fraction)

    def save_due(self) -> bool:
        """Whether a checkpoint is, as of when `fraction_done` was last asked."""
        return self._save_due

    def saved(self) -> None:
        """A checkpoint was just made."""
        self._saved = time.monotonic()

    def _seconds_at(self, moment: float) -> float:
        return self._seconds_before + (moment - self._start if self._start is not None else 0.0)

    def _fraction(self, step: int, now: float) -> float:
        if self._training.budget_seconds is not None:
            return self._seconds_at(now) / self._training.budget_seconds
        assert self._training.steps is not None, "a recipe has one or the other"
        return step / self._training.steps
