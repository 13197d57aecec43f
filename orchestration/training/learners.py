"""Networks that learn otherwise than step by step: at once, or something before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

#: An event as symbols (T,) int64, whole and without padding, and its fields.
RawExample = tuple[Tensor, Mapping[str, Any]]


@runtime_checkable
class ClosedForm(Protocol):
    """A network that is fitted at once, not step by step."""

    def fit(self, x: Sequence[Tensor]) -> None:
        """To events `x`, each (*E)."""


@runtime_checkable
class LearnsFirst(Protocol):
    """A network that has something to learn before it can say what it is trained on, like the
    durations of letters in speech.

    What it learnt are parameters without gradients and buffers, so that it is in checkpoints and
    bundles.
    """

    @property
    def learns_first(self) -> bool:
        """Whether it has; a family may have networks with and without."""

    def learn_first(
        self, examples: Iterable[RawExample], *, seed: int, report: Callable[[str], None]
    ) -> None:
        """From all training events, which can be gone through several times; `report` is told in a
        line how far it is, now and then."""


def learner(network: nn.Module) -> LearnsFirst | None:
    """The network, if it has something to learn first."""
    return network if isinstance(network, LearnsFirst) and network.learns_first else None
