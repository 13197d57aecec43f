"""What the tests of GPUs ask for, and how two samples are compared.

They need no pytest: each is a function whose parameters are named below, and whoever runs it gives
it one value of each: `conftest.py` under pytest, `benchmarks/parts/gpu/tests.py` where there is
none. On a processor the twins of the executors run, so that each test can be tried without a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models.nets import Case, all_cases

#: How far u may be from a step of the running probabilities where two executors part.
STEP_TOLERANCE = 1e-4
#: How far likelihoods of equal symbols may be from each other in float32, relative to 1 + nats.
LIKELIHOOD_TOLERANCE = 1e-4

#: Settings of every kind, by turns.
SETTINGS = (
    Settings(),
    Settings(temperature=0.7),
    Settings(top_k=3),
    Settings(temperature=1.3, top_p=0.8),
)

CASES = all_cases()
#: Each network once: what compiles four times a case has to end within minutes.
FUSED_CASES = (
    "pixelcnn in colour by label",
    "gated_pixelcnn by label",
    "gated_pixelcnn by map",
    "pixelcnn_pp in colour by label and latent",
    "wavenet by both",
    "wavenet by text and speaker",
    "wavenet mixture by both",
)

#: Enough to try every test in seconds: a sound that is asked in every way.
FEW = ("wavenet by both",)


def values(device: str, *, few: bool) -> Mapping[str, Sequence[str]]:
    """The values of each parameter that a test can have."""
    return {
        "device": [device],
        "case": [name for name in CASES if not few or name in FEW],
        "fused_case": [name for name in FUSED_CASES if not few or name in FEW],
        "fused": ["fused"] if few else ["fused", "fused-few"],
    }


def requests_of(case: Case, count: int, *, plain: bool = False) -> list[SampleRequest]:
    """Requests of all kinds that the case has; with settings of every kind, unless plain."""
    requests = []
    for number in range(count):
        settings = Settings() if plain else SETTINGS[number % len(SETTINGS)]
        if case.net.distribution.levels is None:
            settings = Settings(temperature=settings.temperature)
        fields = case.requests[number % len(case.requests)]
        seed = 1_000_003 * number + 17
        requests.append(SampleRequest(number, fields, seed, number % 3, settings))
    return requests


def drawn(
    case: Case,
    requests: Sequence[SampleRequest],
    *,
    device: str,
    executor: ExecutorName,
    dtype: torch.dtype = torch.float32,
    slots: int = 8,
) -> dict[Any, Sample]:
    """The samples of requests, by key."""
    sampler = Sampler(case.net, slots=slots, device=device, dtype=dtype, executor=executor)
    samples = {sample.key: sample for sample in sampler.sample(requests)}
    assert len(samples) == len(requests)
    assert all(sample.error is None for sample in samples.values())
    return samples


def same_bits(one: Sample, other: Sample) -> bool:
    """Whether two samples are the same event, to the last bit of the likelihood."""
    return (
        np.array_equal(one.symbols, other.symbols)
        and one.log_likelihood_nats == other.log_likelihood_nats
    )


def check_explained(case: Case, request: SampleRequest, found: Sample, expected: Sample) -> None:
    """Equal symbols and likelihood; or u lies on a step where the symbols first differ, which
    rounding can do. `request` has plain settings."""
    if case.net.distribution.levels is None:
        np.testing.assert_allclose(found.symbols, expected.symbols, rtol=1e-4, atol=1e-4)
        return
    differing = np.flatnonzero(found.symbols != expected.symbols)
    if len(differing):
        distance = distance_to_step(case, request, expected, int(differing[0]))
        assert distance < STEP_TOLERANCE, f"u lies {distance:.2e} from a step"
        return
    difference = abs(found.log_likelihood_nats - expected.log_likelihood_nats)
    assert difference <= LIKELIHOOD_TOLERANCE * (1 + abs(expected.log_likelihood_nats))


@torch.no_grad()
def distance_to_step(case: Case, request: SampleRequest, event: Sample, position: int) -> float:
    """How far u of a symbol lies from the nearest step of the running probabilities."""
    net = case.net
    symbols = torch.from_numpy(event.symbols).long().unsqueeze(0)
    parameters = net(symbols, net.conditions(request.fields)).flatten(2)
    every = torch.arange(net.distribution.levels or 0)
    here = parameters[0, :, position].double()[None, :, None]
    steps = net.distribution.log_prob(here, every[None]).exp()[0].cumsum(0)
    place, channel = divmod(position, net.channels)
    seed, sample = torch.tensor([request.seed]), torch.tensor([request.sample])
    u = uniform(seed, sample, torch.tensor([place]), channel)
    return float((steps - u.double()).abs().min())


@torch.no_grad()
def exact_nats(case: Case, request: SampleRequest, event: Sample) -> float:
    """log p of an event by the network itself, all symbols at once, in float32."""
    symbols = torch.from_numpy(event.symbols).unsqueeze(0)
    return float(case.net.log_prob(symbols, case.net.conditions(request.fields)))


def drawn_symbols(samples: Sequence[Sample]) -> int:
    """How many symbols the likelihoods of samples count."""
    return sum(math.prod(sample.symbols.shape) for sample in samples)
