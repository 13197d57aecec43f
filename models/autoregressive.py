"""The contract of every network.

A network gives p(x | c) = Π_t p(x_t | x_<t, c). What is drawn, the event, is an array of symbols,
and its order in memory is the order of drawing:

    (T,)         a sound, or a series of real numbers
    (H, W)       a grey image, row by row
    (H, W, 3)    a colour image: the red, green and blue of a pixel, then the next pixel
    (F, H, W)    a clip, frame by frame
    (N,)         a vector, like the hidden code of a DARN and then its visible symbols

Shapes: B batch, E the event, P parameters of a symbol's distribution, F columns of an aligned
sequence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ancestral.models.errors import ConditionError
from ancestral.models.sampling.distributions import Distribution
from ancestral.models.sampling.program import StepProgram

#: A batch of numeric conditions by name: categories (B,) int64, aligned features (B, C, F) floats.
Conditions = Mapping[str, Tensor]


@dataclass(frozen=True)
class Projection:
    """Conditioning as the layers add it: computed once per event, not once per symbol.

    `fixed` is (B, G), the same at every position; `aligned` is (B, F, A), one column for every
    `hop` positions of a sound, or the cells of a spatial map in raster order. Either may be None.
    """

    fixed: Tensor | None = None
    aligned: Tensor | None = None

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(tensor.nbytes for tensor in (self.fixed, self.aligned) if tensor is not None)


class Autoregressive(nn.Module, ABC):
    """A deep autoregressive network."""

    #: The name under which bundles and recipes know the family.
    family: ClassVar[str]

    #: What the network was built from. A family's class takes it, a frozen dataclass, as its only
    #: argument and keeps it: bundles hold it, and the network is built from it again.
    config: Any

    @property
    @abstractmethod
    def signature(self) -> dict[str, Any]:
        """What the model can be asked for and what it makes, as plain JSON (docs/signature.md)."""

    @property
    @abstractmethod
    def distribution(self) -> Distribution:
        """What the parameters of a symbol mean."""

    @property
    def channels(self) -> int:
        """Symbols of a position: the colours of a pixel, else 1."""
        return 1

    @abstractmethod
    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Teacher-forced parameters (B, P, *E) for all positions of `x` (B, *E) at once."""

    @abstractmethod
    def project(self, conditions: Conditions) -> Projection:
        """What the layers add for these conditions, all layers side by side."""

    def piece(self, conditions: Conditions, first: int, columns: int) -> Conditions:
        """The conditions of a piece of a sound: so many aligned columns from the first on, with
        zeros behind the end. Without an aligned sequence they are the conditions."""
        return conditions

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

    def prefix(self, fields: Mapping[str, Any]) -> Tensor | None:
        """Symbols (n,) that the fields fix at the start of the event; None when they fix none.

        Raises ConditionError when they do not fit the signature.
        """
        return None

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
        parameters = self.forward(x, conditions).double()
        return self.distribution.log_prob(parameters, x).flatten(1).sum(1)

    def score(self, x: Tensor, conditions: Conditions) -> Tensor:
        """log p of real events `x` in nats, (B,) float64: a bound where there are hidden symbols.

        In evaluation mode it is the same for the same arguments.
        """
        return self.log_prob(x, conditions)

    def training_nats(self, x: Tensor, conditions: Conditions) -> Tensor:
        """What training minimises: nats (B, *E) of each symbol of real events `x`, in float32 at
        least, whatever products are of."""
        parameters = self.forward(x, conditions)
        wide = torch.promote_types(parameters.dtype, torch.float32)
        return -self.distribution.log_prob(parameters.to(wide), x)


def beginning(
    net: Autoregressive, fields: Mapping[str, Any], prefix: Tensor | None
) -> Tensor | None:
    """The symbols (n,) that an event begins with and that are not drawn: a given prefix, else what
    the fields fix; None when there is neither.

    Raises ConditionError when the prefix does not begin with what the fields fix.
    """
    fixed = net.prefix(fields)
    if fixed is None or prefix is None:
        return fixed if prefix is None else prefix
    # In the precision of what was given, which may be less.
    if not torch.equal(prefix[: len(fixed)], fixed.to(prefix)):
        raise ConditionError("the prefix does not begin with what the fields fix")
    return prefix


class TrainingLoss(nn.Module):
    """A network as it is called in training: `training_nats` behind `forward`, which is what a
    wrapper for several ranks passes on."""

    def __init__(self, network: Autoregressive) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        return self.network.training_nats(x, conditions)
