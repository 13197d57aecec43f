"""Samples that begin alike: they share one prefill, or each brings its own prefix.

fork        given ──▶ drawn 0       one prefix, taken in once; the others wait, and go on from
                 ├──▶ drawn 1       what was then remembered
                 └──▶ drawn 2

kept        the same again: the prefill is still remembered, so nothing waits

separate    given 0 ──▶ drawn 0     as many different prefixes, so nothing can be shared
            given 1 ──▶ drawn 1
            given 2 ──▶ drawn 2
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest


@dataclass(frozen=True)
class Taken:
    """How long it took, and what was looked up in the sampler's warm cache: prefixes, and what the
    layers add for a request, as far as the network is asked for anything."""

    seconds: float
    hits: int
    misses: int


@dataclass(frozen=True)
class Forked:
    """All three ways, of one sampler."""

    numerics: str
    fork: Taken
    kept: Taken
    separate: Taken


def fork(
    net: Autoregressive, fields: Mapping[str, Any], samples: int, given: int, seed: int
) -> Forked:
    """Draw so many samples from prefixes of `given` symbols, in a sampler that knows none of them
    before."""
    sampler = Sampler(net, slots=samples)

    def draw(prefixes: Sequence[Tensor], seed: int) -> Taken:
        requests = (
            SampleRequest(number, fields, seed=seed, sample=number, prefix=prefix)
            for number, prefix in enumerate(prefixes)
        )
        hits, misses = sampler.warm.hits, sampler.warm.misses
        began = time.perf_counter()
        for _ in sampler.sample(requests):
            pass
        seconds = time.perf_counter() - began
        return Taken(seconds, sampler.warm.hits - hits, sampler.warm.misses - misses)

    warms_up, shared, *others = _prefixes(net, samples + 2, given, seed)
    draw([warms_up] * samples, seed)
    return Forked(
        numerics=sampler.numerics,
        fork=draw([shared] * samples, seed),
        kept=draw([shared] * samples, seed + 1),
        separate=draw(others, seed),
    )


def _prefixes(net: Autoregressive, count: int, given: int, seed: int) -> list[Tensor]:
    levels = net.distribution.levels
    assert levels is not None
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randint(levels, (count, given), generator=generator))
