"""The slow sampler: a full forward pass for every symbol. It defines what sampling means.

Nothing is remembered, nothing is clever; every fast executor has to give the same symbols for the
same seeds.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive, beginning
from ancestral.models.sampling.draw import Settings, SettingsBatch
from ancestral.models.sampling.philox import uniform


@dataclass(frozen=True)
class NaiveSample:
    """`symbols` (*E), and log p(x | c) in nats of the drawn ones, under the unadjusted model."""

    symbols: Tensor
    log_likelihood_nats: float


@torch.inference_mode()
def sample_naive(
    net: Autoregressive,
    fields: Mapping[str, Any],
    seed: int,
    sample: int = 0,
    settings: Settings | None = None,
    prefix: Tensor | None = None,
) -> NaiveSample:
    """Draw one event by the chain rule, in the network's own dtype and evaluation mode.

    The symbols of `prefix` (n,), or of what the fields fix, are given and not drawn. Raises
    ConditionError when the fields do not fit the network, or the prefix the fields.
    """
    if net.training:
        # A copy, so that the caller's network keeps its own mode.
        net = copy.deepcopy(net).eval()
    conditions = net.conditions(fields)
    given = beginning(net, fields, prefix)
    known = 0 if given is None else len(given)
    law, channels = net.distribution, net.channels
    x = torch.zeros(1, *net.event_shape(fields), dtype=law.symbol_dtype)
    flat = x.view(1, -1)
    if given is not None:
        flat[0, :known] = given
    log_likelihood = 0.0
    batch = None
    for symbol in range(known, flat.shape[1]):
        parameters = net(x, conditions).flatten(2)[:, :, symbol]
        if batch is None:
            batch = SettingsBatch.of([settings or Settings()], law.levels, parameters.dtype)
        position, channel = divmod(symbol, channels)
        u = uniform(torch.tensor([seed]), torch.tensor([sample]), torch.tensor([position]), channel)
        flat[0, symbol] = law.draw(parameters, u, batch)[0]
        log_likelihood += float(law.log_prob(parameters.double(), flat[:, symbol]))
    return NaiveSample(x[0], log_likelihood)
