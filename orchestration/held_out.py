"""How well a network foretells what it did not learn from: its held-out figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ancestral.models import Autoregressive, Batch, Item, batches_in_order, bits_per_dim
from ancestral.orchestration.measures import HELD_OUT

#: Symbols that are scored at a time, in as many whole events as that makes.
SYMBOLS_AT_A_TIME = 36_000


def held_out_batches(items: Sequence[Item], device: torch.device) -> list[Batch]:
    """Every event once, whole, in batches that memory holds."""
    longest = max(item.x.numel() for item in items)
    batches = batches_in_order(items, max(1, SYMBOLS_AT_A_TIME // longest))
    return [batch.to(device) for batch in batches]


def held_out_metrics(net: Autoregressive, batches: Sequence[Batch]) -> dict[str, Any]:
    """Bits per dimension, and what kind of figure that is: exact, bound, or density.

    Real events do not tell the hidden symbols of a network that has some; what they are given is
    the bound of its `score`.
    """
    net.eval()
    kind = net.signature.get("likelihood_kind", "exact")
    if kind == "joint":
        return {HELD_OUT: _bound(net, batches), "held_out_kind": "bound"}
    return {HELD_OUT: bits_per_dim(net, batches), "held_out_kind": kind}


@torch.no_grad()
def _bound(net: Autoregressive, batches: Sequence[Batch]) -> float:
    nats = sum(float(net.score(batch.x, batch.conditions).sum()) for batch in batches)
    return -nats / (math.log(2) * sum(batch.x.numel() for batch in batches))
