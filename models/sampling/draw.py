"""Logits and a uniform number to a symbol.

The order is temperature, then top-k, then top-p; ties go to the lower symbol. The drawn symbol is
the first whose running weight exceeds u · total, so it depends on its own row alone.

Shapes: S slots, L levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.models.errors import ConditionError
from ancestral.models.fields import is_whole

#: Truncation sorts the alphabet at each symbol; it is offered up to this many levels.
LARGEST_TRUNCATED_ALPHABET = 256
#: Top-p leaves at least so much, of weights the largest of which is 1: the likeliest symbol stays,
#: however little p is.
LEAST_SHARE = 1e-30
#: Below, only the likeliest symbols are drawn anyhow; above, all alike.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-6, 1e6


@dataclass(frozen=True)
class Settings:
    """How one request is drawn.

    temperature: divides the logits; below 1 is safer, above 1 is bolder.
    top_k: only the k likeliest symbols, k being a whole number below 2³¹; None for all.
    top_p: only the likeliest symbols that together hold the share p, 0 < p <= 1; None for all.

    Raises ConditionError for values outside these ranges.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not LOWEST_TEMPERATURE <= self.temperature <= HIGHEST_TEMPERATURE:
            raise ConditionError(
                f"temperature must lie in [{LOWEST_TEMPERATURE:g}, {HIGHEST_TEMPERATURE:g}], "
                f"not {self.temperature}"
            )
        if self.top_k is not None and not (is_whole(self.top_k) and 1 <= self.top_k < 2**31):
            raise ConditionError(
                f"top_k must be a whole number of at least 1 and below 2**31, not {self.top_k!r}"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConditionError(f"top_p must lie in (0, 1], not {self.top_p}")

    def check_alphabet(self, levels: int | None) -> None:
        """Raises ConditionError when truncation is asked of an alphabet too large for it.

        None stands for the real numbers.
        """
        large = levels is None or levels > LARGEST_TRUNCATED_ALPHABET
        if large and (self.top_k is not None or self.top_p is not None):
            raise ConditionError(
                f"top_k and top_p apply to alphabets of up to {LARGEST_TRUNCATED_ALPHABET} "
                f"symbols, not of {'real numbers' if levels is None else levels}"
            )


@dataclass(frozen=True)
class SettingsBatch:
    """The settings of S slots side by side; None where no slot asks for it."""

    temperature: Tensor | None
    top_k: Tensor | None
    top_p: Tensor | None

    @staticmethod
    def of(settings: Sequence[Settings], levels: int | None, dtype: torch.dtype) -> SettingsBatch:
        """The tensors, (S, 1) each, for that many slots."""
        temperature = top_k = top_p = None
        if any(s.temperature != 1 for s in settings):
            temperature = torch.tensor([[s.temperature] for s in settings], dtype=dtype)
        if any(s.top_k is not None for s in settings):
            top_k = torch.tensor([[s.top_k or levels or 1] for s in settings])
        if any(s.top_p is not None for s in settings):
            top_p = torch.tensor([[s.top_p or 1.0] for s in settings], dtype=dtype)
        return SettingsBatch(temperature, top_k, top_p)

    def to(self, device: torch.device) -> SettingsBatch:
        """The same on another device."""
        moved = (
            t if t is None else t.to(device) for t in (self.temperature, self.top_k, self.top_p)
        )
        return SettingsBatch(*moved)


def draw(logits: Tensor, u: Tensor, settings: SettingsBatch) -> Tensor:
    """The drawn symbols (S,) int64 for logits (S, L) and uniform numbers u (S,)."""
    scaled = logits if settings.temperature is None else logits / settings.temperature
    weights = torch.exp(scaled - scaled.amax(1, keepdim=True))
    if settings.top_k is not None or settings.top_p is not None:
        weights = _truncate(weights, settings.top_k, settings.top_p)
    running = weights.cumsum(1)
    threshold = u.to(running.dtype).unsqueeze(1) * running[:, -1:]
    # A row that is not finite may have no symbol at all; whoever asked has to look for that.
    return (running <= threshold).sum(1).clamp_max(logits.shape[1] - 1)


def _truncate(weights: Tensor, top_k: Tensor | None, top_p: Tensor | None) -> Tensor:
    """The weights with those outside top-k, then outside top-p, set to zero."""
    # A stable sort leaves the lower of two equal symbols first.
    ordered, symbols = weights.sort(dim=1, descending=True, stable=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if top_k is not None:
        keep &= torch.arange(ordered.shape[1], device=weights.device) < top_k
    if top_p is not None:
        kept = torch.where(keep, ordered, 0.0)
        running = kept.cumsum(1)
        # A symbol stays while those before it hold less than p; at p = 1 all stay.
        most = (top_p * running[:, -1:]).clamp_min(LEAST_SHARE)
        keep &= (running - kept < most) | (top_p == 1)
    return torch.where(torch.zeros_like(keep).scatter(1, symbols, keep), weights, 0.0)
