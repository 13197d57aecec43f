"""The contract of every network.

A network gives p(x | c) = Π_t p(x_t | x_<t, c) over symbols x_t in {0, ..., levels−1}, in raster
order for images (height, width) and in time for sounds.

Shapes: B batch, L levels, E the event ((T,) for a sound, (H, W) for an image), F columns of an
aligned sequence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ancestral.models.errors import ConditionError
from ancestral.models.sampling.program import StepProgram

#: A batch of numeric conditions by name: categories (B,) int64, aligned features (B, C, F) floats.
Conditions = Mapping[str, Tensor]


@dataclass(frozen=True)
class Projection:
    """Conditioning as the layers add it: computed once per event, not once per symbol.

    `fixed` is (B, G), the same at every position; `aligned` is (B, F, A), one column for every
    `hop` positions. Either may be None.
    """

    fixed: Tensor | None = None
    aligned: Tensor | None = None


class Autoregressive(nn.Module, ABC):
    """A deep autoregressive network over a discrete alphabet."""

    #: The name under which bundles and recipes know the family.
    family: ClassVar[str]

    @property
    @abstractmethod
    def signature(self) -> dict[str, Any]:
        """What the model can be asked for and what it makes, as plain JSON (docs/signature.md)."""

    @abstractmethod
    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Teacher-forced logits (B, L, *E) for all positions of symbols `x` (B, *E) at once."""

    @abstractmethod
    def project(self, conditions: Conditions) -> Projection:
        """What the layers add for these conditions, all layers side by side."""

    @abstractmethod
    def program(self) -> StepProgram:
        """How one position is computed when everything before it is remembered."""

    @abstractmethod
    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        """One request's checked fields as a batch of one.

        Raises ConditionError when they do not fit the signature.
        """

    @abstractmethod
    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        """The shape E of what this request makes."""

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """A real event, symbols `x` (*E) int64, as the network is trained on it: its symbols,
        padded at the end where the network needs that, and its conditions as a batch of one.

        Raises ConditionError when event or fields do not fit the signature.
        """
        if tuple(x.shape) != self.event_shape(fields):
            raise ConditionError(
                f"an event of {self.event_shape(fields)} was asked for, not {tuple(x.shape)}"
            )
        return x, self.conditions(fields)

    def log_prob(self, x: Tensor, conditions: Conditions) -> Tensor:
        """log p(x | c) in nats, (B,) float64, summed over the event of symbols `x` (B, *E)."""
        log_p = torch.log_softmax(self.forward(x, conditions).double(), dim=1)
        drawn = log_p.gather(1, x.unsqueeze(1).long()).squeeze(1)
        return drawn.flatten(1).sum(1)
