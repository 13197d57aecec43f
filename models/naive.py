"""The slow sampler: a full forward pass for every symbol. It defines what sampling means.

Nothing is remembered, nothing is clever; every fast executor has to give the same symbols for the
same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.sampling.draw import Settings, SettingsBatch, draw
from ancestral.models.sampling.philox import uniform


@dataclass(frozen=True)
class NaiveSample:
    """`symbols` (*E) int64, and log p(x | c) in nats under the unadjusted model."""

    symbols: Tensor
    log_likelihood_nats: float


@torch.inference_mode()
def sample_naive(
    net: Autoregressive,
    fields: Mapping[str, Any],
    seed: int,
    sample: int = 0,
    settings: Settings | None = None,
) -> NaiveSample:
    """Draw one event by the chain rule, in the network's own dtype.

    Raises ConditionError when the fields do not fit the network.
    """
    conditions = net.conditions(fields)
    x = torch.zeros(1, *net.event_shape(fields), dtype=torch.int64)
    flat = x.view(1, -1)
    log_likelihood = 0.0
    batch = None
    for position in range(flat.shape[1]):
        logits = net(x, conditions).flatten(2)[:, :, position]
        if batch is None:
            batch = SettingsBatch.of([settings or Settings()], logits.shape[1], logits.dtype)
        u = uniform(torch.tensor([seed]), torch.tensor([sample]), torch.tensor([position]))
        symbol = draw(logits, u, batch)
        log_likelihood += float(torch.log_softmax(logits.double(), dim=1)[0, symbol])
        flat[0, position] = symbol
    return NaiveSample(x[0], log_likelihood)
