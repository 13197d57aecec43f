"""Requests of every kind, and what each of them draws alone: what the tests here compare with."""

from __future__ import annotations

from functools import cache

import pytest

from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.native.library import Library
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models import laws
from tests.models.nets import Case, all_cases

CASES = all_cases()

each_case = pytest.mark.parametrize(
    "case", [pytest.param(case, id=name.replace(" ", "-")) for name, case in CASES.items()]
)

#: How much of an event is given, as a share; the rest is drawn.
GIVEN = (0.0, 0.7, 0.0, 0.35, 0.0, 0.99, 0.02)


def request_of(case: Case, number: int) -> SampleRequest:
    """One of endlessly many requests: each field, setting and length of prefix comes up."""
    settings = laws.SETTINGS[number % len(laws.SETTINGS)]
    if case.net.distribution.levels is None:
        settings = Settings(temperature=settings.temperature)
    fields = case.requests[number % len(case.requests)]
    prefix = None
    share = GIVEN[number % len(GIVEN)]
    if share and case.net.prefix(fields) is None:
        # Some begin alike, so that they share what is remembered of it.
        symbols = laws.random_event(case.net, fields, seed=number % 3).flatten()
        prefix = symbols[: min(1 + int(share * len(symbols)), len(symbols) - 1)]
    return SampleRequest(number, fields, 1_000_003 * number, number % 4, settings, prefix)


def drawn_alone(case: Case, number: int) -> Sample:
    """What that request draws in a sampler of its own, of a single slot, by the best build."""
    return _alone(_names()[id(case)], number)


def draw(case: Case, count: int, *, slots: int, build: Library | None = None) -> list[Sample]:
    """So many requests, drawn together and sorted by number."""
    sampler = Sampler(case.net, slots=slots, executor=build or "native")
    samples = sampler.sample(request_of(case, number) for number in range(count))
    return sorted(samples, key=lambda sample: int(str(sample.key)))


def assert_same_bits(sample: Sample, other: Sample) -> None:
    """Of a worthless event the likelihood says nothing."""
    assert sample.key == other.key
    if other.error is None:
        assert laws.same_bits(sample, other)
    else:
        assert sample.error == other.error
        assert sample.symbols.tobytes() == other.symbols.tobytes()


@cache
def _alone(name: str, number: int) -> Sample:
    case = CASES[name]
    (sample,) = Sampler(case.net, slots=1, executor="native").sample([request_of(case, number)])
    return sample


@cache
def _names() -> dict[int, str]:
    return {id(case): name for name, case in CASES.items()}
