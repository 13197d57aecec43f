"""What must hold for every network, whatever its family. Each law is a function that asserts it.

    causality       changing a symbol changes no logit at or before it
    sameness        the emitted program gives the logits of forward, position by position
    normalisation   the probabilities of all events sum to one
    log_prob        is the float64 sum, over the steps, of the log-probability of what was drawn

The samplers' own law is in test_sampler.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive, Conditions
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.reference import ReferenceTile, Start

Fields = Mapping[str, Any]

#: How far a float32 program may be from forward, relative to 1 + the largest logit.
FLOAT32_TOLERANCE = 1e-5


def random_event(net: Autoregressive, fields: Fields, seed: int) -> Tensor:
    """Uniformly random symbols (1, *E) of the shape that `fields` ask for."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1, *net.event_shape(fields))
    return torch.randint(0, net.signature["levels"], shape, generator=generator)


@torch.no_grad()
def check_causality(net: Autoregressive, fields: Fields, position: int, seed: int) -> None:
    """`position` counts in the order of drawing, modulo the event."""
    x, conditions = random_event(net, fields, seed), net.conditions(fields)
    position %= x.numel()
    changed = x.clone()
    changed.view(-1)[position] = (x.view(-1)[position] + 1) % net.signature["levels"]

    before, after = net(x, conditions).flatten(2), net(changed, conditions).flatten(2)

    assert torch.equal(before[..., : position + 1], after[..., : position + 1])


@torch.no_grad()
def check_sameness(
    net: Autoregressive, requests: Sequence[Fields], seed: int, dtype: torch.dtype = torch.float32
) -> None:
    """All requests run at once, each in a slot of its own beside the others."""
    events = [random_event(net, fields, seed + slot) for slot, fields in enumerate(requests)]

    stepped = program_logits(net, requests, events)

    for fields, x, program in zip(requests, events, stepped, strict=True):
        forward = net(x, net.conditions(fields)).flatten(2)[0]
        allowed = FLOAT32_TOLERANCE * (1 + forward.abs().max())
        assert program.shape == forward.shape
        assert (program - forward).abs().max() <= allowed


@torch.no_grad()
def check_normalisation(net: Autoregressive, fields: Fields) -> None:
    """Sums over every event there is: for the smallest shapes only."""
    shape, levels = net.event_shape(fields), net.signature["levels"]
    every = itertools.product(range(levels), repeat=math.prod(shape))
    x = torch.tensor(list(every)).view(-1, *shape)
    conditions = repeated(net.conditions(fields), len(x))
    assert abs(net.log_prob(x, conditions).exp().sum().item() - 1) < 1e-5


@torch.no_grad()
def check_log_prob(net: Autoregressive, fields: Fields, seed: int) -> None:
    x, conditions = random_event(net, fields, seed), net.conditions(fields)
    logits = net(x, conditions).flatten(2)[0]
    expected = 0.0
    for position, symbol in enumerate(x.flatten().tolist()):
        column = logits[:, position].double()
        expected += float(column[symbol] - torch.logsumexp(column, 0))
    assert abs(net.log_prob(x, conditions).item() - expected) <= 1e-9 * (1 + abs(expected))


def repeated(conditions: Conditions, times: int) -> dict[str, Tensor]:
    """The conditions of one request for a batch of that many events."""
    return {name: torch.cat([tensor] * times) for name, tensor in conditions.items()}


def program_logits(
    net: Autoregressive, requests: Sequence[Fields], events: Sequence[Tensor]
) -> list[Tensor]:
    """The logits (L, T) that the program computes when it is told what was drawn."""
    tile = _ToldTile(net, events)
    for slot, (fields, x) in enumerate(zip(requests, events, strict=True)):
        projection = net.project(net.conditions(fields))
        tile.admit(slot, Start(projection, x.numel(), seed=0, sample=0, settings=Settings()))
    while tile.active:
        tile.run(tile.steps_to_end)
    logits = torch.stack(tile.seen, dim=-1)
    return [logits[slot, :, : x.numel()] for slot, x in enumerate(events)]


class _ToldTile(ReferenceTile):
    """The executor, which instead of drawing takes the next symbol of a given event."""

    def __init__(self, net: Autoregressive, events: Sequence[Tensor]) -> None:
        dtype = next(net.parameters()).dtype
        super().__init__(net.program(), torch.device("cpu"), dtype)
        self._events = [x.flatten() for x in events]
        self.seen: list[Tensor] = []

    def _draw(self, padded: Tensor) -> None:
        position = len(self.seen)
        self.seen.append(padded.clone())
        for slot, x in enumerate(self._events):
            if position < len(x):
                self._symbols[slot] = x[position]
