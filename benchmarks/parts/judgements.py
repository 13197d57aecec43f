"""What a classifier says of samples, beside what it says of real held-out items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from parts.classifiers import Augment, Classifier, Shape, named, taught
from parts.nearness import Nearness

#: Of a normal distribution, 95% lies within so many deviations.
DEVIATIONS = 1.959964


@dataclass(frozen=True)
class Labelled:
    """Examples (N, ...) and the class of each, (N,): which it is of, or was asked for."""

    examples: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Judgement:
    """One classifier's. In a confusion, rows are what was asked for (or is true), columns what it
    was named, both in the order of `classes`. `ratio` is that of the accuracies; intervals
    are of 95%."""

    condition: str
    classes: list[str]
    samples: int
    accuracy: float
    interval: tuple[float, float]
    held_out: int
    held_out_accuracy: float
    held_out_interval: tuple[float, float]
    ratio: float
    target: float
    confusion: list[list[int]]
    held_out_confusion: list[list[int]]
    training_items: int
    epochs: int

    @property
    def misses(self) -> bool:
        """Whether it stays below its target."""
        return self.accuracy < self.target


@dataclass(frozen=True)
class Fidelity:
    """All that is measured of one bundle."""

    case: str
    model: str
    digest: str
    temperature: float
    top_p: float | None
    guidance: float
    samples: int
    drawing_seconds: float
    judgements: list[Judgement]
    nearness: list[Nearness]


@dataclass(frozen=True)
class Task:
    """What one classifier is for: `augment` makes of its real training items what it sees of them,
    which has the form of what it judges."""

    condition: str
    classes: Sequence[str]
    training: Labelled
    shape: Shape
    augment: Augment
    epochs: int
    target: float

    def judge(self, samples: Labelled, held_out: Labelled) -> Judgement:
        """Learn from the real training items alone, then name the others."""
        torch.manual_seed(0)
        net = taught(
            Classifier(len(self.classes), self.shape),
            self.training.examples,
            self.training.labels,
            self.augment,
            epochs=self.epochs,
            seed=0,
        )
        drawn, real = (
            confusion(named(net, some.examples), some.labels, len(self.classes))
            for some in (samples, held_out)
        )
        right = [int(counts.trace()) for counts in (drawn, real)]
        accuracy, held_out_accuracy = right[0] / len(samples), right[1] / len(held_out)
        return Judgement(
            condition=self.condition,
            classes=list(self.classes),
            samples=len(samples),
            accuracy=accuracy,
            interval=interval(right[0], len(samples)),
            held_out=len(held_out),
            held_out_accuracy=held_out_accuracy,
            held_out_interval=interval(right[1], len(held_out)),
            ratio=accuracy / held_out_accuracy,
            target=self.target,
            confusion=drawn.tolist(),
            held_out_confusion=real.tolist(),
            training_items=len(self.training),
            epochs=self.epochs,
        )


def interval(right: int, count: int) -> tuple[float, float]:
    """Where the share lies of which `right` of `count` are a sample, with 95% confidence: Wilson
    1927, "Probable Inference, the Law of Succession, and Statistical Inference"."""
    share, square = right / count, DEVIATIONS**2 / count
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion(names: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How often each class (row) was named which (column): (K, K) int64."""
    return torch.bincount(labels * classes + names, minlength=classes**2).view(classes, classes)
