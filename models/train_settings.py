"""How weights move in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ancestral.models.errors import ConfigError

#: What may move the weights: models/optimizer.py.
OPTIMIZERS = ("adamw", "muon")

#: What products may be computed in; weights, their average and the optimizer stay float32.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class TrainSettings:
    """How the weights move."""

    #: One of OPTIMIZERS.
    optimizer: str = "adamw"
    #: The highest learning rate, reached after the warm-up; it falls to 0 as a cosine.
    learning_rate: float = 4e-3
    #: Steps over which the learning rate rises.
    warmup_steps: int = 30
    #: Adam's memory of the gradient and of its square.
    betas: tuple[float, float] = (0.9, 0.95)
    #: By what share of the learning rate matrices shrink at each step; biases never do.
    weight_decay: float = 0.0
    #: The longest gradient (2-norm of all weights together) that is taken as it is.
    gradient_clip: float = 1.0
    #: Batches of one step: memory holds activations of one at a time, and the step is that of all
    #: together.
    accumulate: int = 1
    #: Of products: one of PRECISIONS.
    precision: str = "float32"
    #: What the running average of weights keeps at each step; it is shorter in the first steps.
    ema_decay: float = 0.99
    #: Steps between reports.
    report_every: int = 10
    #: How often the held-out batches are scored, evenly over the training; the last is at its end.
    validations: int = 4
    #: Training ends after so many validations without a better figure. None: with its budget.
    patience: int | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError for a setting that trains nothing."""
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("warmup_steps", "accumulate", "report_every", "validations", "patience"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        if not all(0 <= value < 1 for value in (self.ema_decay, *self.betas)):
            raise ConfigError("ema_decay and betas must be at least 0 and below 1")
        if not 0 <= self.weight_decay < 1:
            raise ConfigError(f"weight_decay is at least 0 and below 1, not {self.weight_decay}")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer is adamw or muon, not {self.optimizer!r}")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision is float32 or bfloat16, not {self.precision!r}")
