"""What must hold for every network, whatever its family. Each law is a function that asserts it.

    causality       changing a symbol changes no parameter of it or of a symbol before it
    sameness        the emitted program gives the parameters of forward, position by position
    definition      the fast sampler draws what the naive one draws, symbol by symbol
    departure       in float32, but where u lies on a step of the running weights
    normalisation   the probabilities of all events sum to one
    log_prob        is the float64 sum, over the steps, of the log-probability of what was drawn

A symbol's parameters are what its distribution takes: the logits of a softmax, say.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive, Conditions
from ancestral.models.naive import sample_naive
from ancestral.models.sampling import native
from ancestral.models.sampling.distributions import Distribution
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import TILE_SLOTS, ReferenceTile
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from ancestral.models.sampling.step import TileStep
from ancestral.models.sampling.tile import Start
from tests.models.nets import Case, all_cases

Fields = Mapping[str, Any]

needs_native = pytest.mark.skipif(not native.available(), reason="the native executor is not built")

#: The test runs once on each executor, of which `executor` is the name.
on_each_executor = pytest.mark.parametrize(
    "executor", ["reference", pytest.param("native", marks=needs_native)]
)

#: Settings of every kind.
SETTINGS = (
    Settings(),
    Settings(temperature=0.7),
    Settings(top_k=3),
    Settings(temperature=1.3, top_p=0.8),
    Settings(top_k=5, top_p=0.9),
)

#: How far a float32 program may be from forward, relative to 1 + the largest logit.
FLOAT32_TOLERANCE = 1e-5


def random_event(net: Autoregressive, fields: Fields, seed: int) -> Tensor:
    """Uniformly random symbols, or normal real numbers, (1, *E) of the shape that is asked for."""
    generator = torch.Generator().manual_seed(seed)
    shape, levels = (1, *net.event_shape(fields)), net.distribution.levels
    if levels is None:
        return torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.randint(0, levels, shape, generator=generator)


def varied_requests(case: Case, count: int) -> list[SampleRequest]:
    """Requests with settings of every kind; of each six, two begin with the same given symbols."""
    levels = case.net.distribution.levels
    requests = []
    for number in range(count):
        settings = SETTINGS[number % len(SETTINGS)]
        fields = case.requests[number % len(case.requests)]
        prefix = None
        if number % 6 in (1, 4) and case.net.prefix(fields) is None:
            fields = case.requests[0]
            symbols = random_event(case.net, fields, seed=number // 6).flatten()
            prefix = symbols[: 1 + len(symbols) * 2 // 3]
        requests.append(
            SampleRequest(
                key=number,
                fields=fields,
                seed=1_000_003 * number,
                sample=number % 3,
                settings=settings if levels else Settings(temperature=settings.temperature),
                prefix=prefix,
            )
        )
    return requests


def drawn_alone(name: str, executor: ExecutorName, count: int) -> dict[object, Sample]:
    """What each of so many varied requests of a case draws in a sampler of its own."""
    return {number: _drawn_alone(name, executor, number) for number in range(count)}


@cache
def _drawn_alone(name: str, executor: ExecutorName, number: int) -> Sample:
    case = all_cases()[name]
    request = varied_requests(case, number + 1)[number]
    (sample,) = Sampler(case.net, slots=1, executor=executor).sample([request])
    return sample


def same_bits(one: Sample, other: Sample) -> bool:
    """Whether two samples are the same event, to the last bit of the likelihood."""
    return (
        np.array_equal(one.symbols, other.symbols)
        and one.symbols.dtype == other.symbols.dtype
        and (one.log_likelihood_nats, one.error, one.drawn)
        == (other.log_likelihood_nats, other.error, other.drawn)
    )


@torch.no_grad()
def check_causality(net: Autoregressive, fields: Fields, position: int, seed: int) -> None:
    """`position` counts in the order of drawing, modulo the event."""
    x, conditions = random_event(net, fields, seed), net.conditions(fields)
    position %= x.numel()
    changed = x.clone()
    changed.view(-1)[position] += 1
    if net.distribution.levels is not None:
        changed %= net.distribution.levels

    before, after = net(x, conditions).flatten(2), net(changed, conditions).flatten(2)

    assert torch.equal(before[..., : position + 1], after[..., : position + 1])


@torch.no_grad()
def check_sameness(net: Autoregressive, requests: Sequence[Fields], seed: int) -> None:
    """All requests run at once, each in a slot of its own beside the others."""
    events = [random_event(net, fields, seed + slot) for slot, fields in enumerate(requests)]

    stepped = program_parameters(net, requests, events)

    for fields, x, program in zip(requests, events, stepped, strict=True):
        forward = net(x, net.conditions(fields)).flatten(2)[0]
        allowed = FLOAT32_TOLERANCE * (1 + forward.abs().max())
        assert program.shape == forward.shape
        assert (program - forward).abs().max() <= allowed


def check_definition(
    net: Autoregressive,
    fields: Fields,
    seed: int,
    settings: Settings | None = None,
    prefix: Tensor | None = None,
) -> None:
    """In float64 the symbols are equal, and the likelihoods to nine digits."""
    exact = copy.deepcopy(net).double()
    settings = settings or Settings()

    slow = sample_naive(exact, fields, seed, 0, settings, prefix)
    request = SampleRequest("one", fields, seed, 0, settings, prefix)
    sampler = Sampler(exact, slots=1, dtype=torch.float64, executor="reference")
    (fast,) = sampler.sample([request])

    assert fast.error is None
    if net.distribution.levels is None:
        np.testing.assert_allclose(fast.symbols, slow.symbols.numpy(), atol=1e-9)
    else:
        np.testing.assert_array_equal(fast.symbols, slow.symbols.numpy())
    difference = abs(fast.log_likelihood_nats - slow.log_likelihood_nats)
    assert difference <= 1e-9 * (1 + abs(slow.log_likelihood_nats))


def check_departure(net: Autoregressive, request: SampleRequest, *drawn: Sample) -> None:
    """What executors draw in float32 for a request with plain settings, and no prefix. Real
    numbers lie within 1e-4 of the naive sampler's in float64: their deviations are about 1."""
    assert all(sample.error is None for sample in drawn)
    if net.distribution.levels is None:
        exact = sample_naive(copy.deepcopy(net).double(), request.fields, request.seed)
        for sample in drawn:
            np.testing.assert_allclose(sample.symbols, exact.symbols.numpy(), rtol=1e-4, atol=1e-4)
        return
    naive = sample_naive(net, request.fields, request.seed, request.sample)
    for sample in drawn:
        differing = np.flatnonzero(sample.symbols != naive.symbols.numpy())
        if len(differing):
            assert _distance_to_step(net, request, naive.symbols, int(differing[0])) < 1e-4
            continue
        difference = abs(sample.log_likelihood_nats - naive.log_likelihood_nats)
        assert difference <= FLOAT32_TOLERANCE * (1 + abs(naive.log_likelihood_nats))


@torch.no_grad()
def _distance_to_step(
    net: Autoregressive, request: SampleRequest, event: Tensor, position: int
) -> float:
    """How far u lies from the nearest step of the running probabilities."""
    parameters = net(event.unsqueeze(0), net.conditions(request.fields)).flatten(2)
    every = torch.arange(net.distribution.levels or 0)
    here = parameters[0, :, position].double()[None, :, None]
    steps = net.distribution.log_prob(here, every[None]).exp()[0].cumsum(0)
    place, channel = divmod(position, net.channels)
    seed, sample = torch.tensor([request.seed]), torch.tensor([request.sample])
    u = uniform(seed, sample, torch.tensor([place]), channel)
    return float((steps - u.double()).abs().min())


@torch.no_grad()
def check_normalisation(net: Autoregressive, fields: Fields) -> None:
    """Sums over every event there is: for the smallest shapes only."""
    shape, levels = net.event_shape(fields), net.distribution.levels
    assert levels is not None
    every = itertools.product(range(levels), repeat=math.prod(shape))
    x = torch.tensor(list(every)).view(-1, *shape)
    conditions = repeated(net.conditions(fields), len(x))
    assert abs(net.log_prob(x, conditions).exp().sum().item() - 1) < 1e-5


@torch.no_grad()
def check_log_prob(net: Autoregressive, fields: Fields, seed: int) -> None:
    x, conditions = random_event(net, fields, seed), net.conditions(fields)
    parameters = net(x, conditions).flatten(2).double()
    expected = 0.0
    for position in range(x.numel()):
        symbol = x.flatten()[position : position + 1]
        expected += float(net.distribution.log_prob(parameters[:, :, position], symbol))
    assert abs(net.log_prob(x, conditions).item() - expected) <= 1e-9 * (1 + abs(expected))


def repeated(conditions: Conditions, times: int) -> dict[str, Tensor]:
    """The conditions of one request for a batch of that many events."""
    return {name: torch.cat([tensor] * times) for name, tensor in conditions.items()}


def program_parameters(
    net: Autoregressive, requests: Sequence[Fields], events: Sequence[Tensor]
) -> list[Tensor]:
    """The parameters (P, T) that the program computes when it is told what was drawn."""
    tile = _ToldTile(net.program(), torch.device("cpu"), next(net.parameters()).dtype)
    for slot, (fields, x) in enumerate(zip(requests, events, strict=True)):
        projection = net.project(net.conditions(fields))
        start = Start(projection, x.numel(), 0, 0, Settings(), prefix=x.flatten())
        tile.admit(slot, start)
    while tile.active:
        tile.run(tile.positions_to_end)
    parameters = torch.stack(tile.told.seen, dim=-1)
    return [parameters[slot, :, : x.numel()] for slot, x in enumerate(events)]


class _ToldStep(TileStep):
    """The step, which keeps the parameters from which it would have drawn."""

    def __init__(self, program: StepProgram, memory: TileMemory) -> None:
        super().__init__(program, memory, TILE_SLOTS)
        self.seen: list[Tensor] = []

    def draw(self, padded: Tensor, distribution: Distribution, channel: int) -> None:
        self.seen.append(padded.clone())
        super().draw(padded, distribution, channel)


class _ToldTile(ReferenceTile):
    """The executor with such a step."""

    told: _ToldStep

    def _new_step(self, program: StepProgram, memory: TileMemory) -> TileStep:
        self.told = _ToldStep(program, memory)
        return self.told
