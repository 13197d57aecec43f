"""Every build gives the same bits: AVX-512, AVX2 and the plain one, wide and narrow."""

from __future__ import annotations

import copy

import pytest
import torch

from ancestral.models.sampling.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gaussian,
    LogisticMixture,
)
from ancestral.models.sampling.draw import LARGEST_TRUNCATED_ALPHABET, Settings
from ancestral.models.sampling.native import library
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models import laws
from tests.models.laws import needs_native
from tests.models.native.asked import (
    CASES,
    assert_same_bits,
    draw,
    drawn_alone,
    each_case,
    request_of,
)
from tests.models.native.one_draw import draw_each, generator, law_of, spread_seeds
from tests.models.native.watched import NARROW, WIDE
from tests.models.nets import Case

pytestmark = needs_native

each_build = pytest.mark.parametrize("build", library.available())


@each_case
@each_build
@pytest.mark.parametrize("slots", [3, 20], ids=["narrow", "wide"])
def test_a_build_draws_what_the_best_one_draws(case: Case, build: str, slots: int) -> None:
    # Given a build of the executor
    chosen = library.load(build)

    # When requests of every kind are drawn, some of them at the same time
    samples = draw(case, 14, slots=slots, build=chosen)

    # Then each is, bit for bit, what the best build draws of it alone
    for number, sample in enumerate(samples):
        assert sample.error is None
        assert_same_bits(sample, drawn_alone(case, number))


@pytest.mark.parametrize(
    "name", ["wavenet by both", "pixelcnn_pp", "gated_pixelcnn by map", "made"]
)
@pytest.mark.parametrize("louder", [8.0, 1e4, 1e-42], ids=["loud", "overflowing", "denormal"])
def test_builds_agree_where_numbers_are_extreme(name: str, louder: float) -> None:
    # Given weights that saturate every gate, or overflow, or are too small to be normal
    case = CASES[name]
    net = copy.deepcopy(case.net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(louder)

    # When each build draws with them
    drawn: list[list[Sample]] = []
    for build in library.available():
        requests = [SampleRequest(n, case.requests[n % len(case.requests)], n) for n in range(5)]
        sampler = Sampler(net, slots=9, executor=library.load(build))
        drawn.append(sorted(sampler.sample(requests), key=lambda sample: int(str(sample.key))))

    # Then all draw the same, or give up at the same position
    for others in drawn[1:]:
        for sample, other in zip(drawn[0], others, strict=True):
            assert_same_bits(sample, other)


@each_build
@pytest.mark.parametrize(
    "law",
    [Categorical(5), Categorical(256), Bernoulli(), Gaussian()]
    + [LogisticMixture(levels, 3) for levels in (2, 256, 65_536)]
    # More components than levels.
    + [LogisticMixture(2, 20)],
    ids=repr,
)
def test_builds_draw_the_same_from_any_parameters(law: Distribution, build: str) -> None:
    # Given parameters small and large, and settings of which each slot has others
    seeds, _ = spread_seeds(96)
    sizes = torch.logspace(-3, 2, len(seeds)).unsqueeze(1)
    parameters = sizes * torch.randn(len(seeds), law.parameters, generator=generator(0))
    asked: tuple[Settings, ...] = laws.SETTINGS
    if law.levels is None or law.levels > LARGEST_TRUNCATED_ALPHABET:
        asked = (Settings(), Settings(temperature=0.3))

    # When they are drawn by a build, and by the best one in units of the other width
    drawn, nats = draw_each(law_of(law), parameters, seeds, asked, slots=NARROW, build=build)
    expected, expected_nats = draw_each(law_of(law), parameters, seeds, asked, slots=WIDE)

    # Then every bit is the same
    assert drawn.tobytes() == expected.tobytes()
    assert nats.tobytes() == expected_nats.tobytes()


def test_a_request_that_was_drawn_once_is_drawn_the_same_again() -> None:
    # Given a sampler whose slots have been used
    case = CASES["wavenet mixture by both"]
    sampler = Sampler(case.net, slots=9, executor="native")
    requests = [request_of(case, number) for number in range(20)]

    first = {sample.key: sample for sample in sampler.sample(requests)}

    for sample in sampler.sample(reversed(requests)):
        assert_same_bits(sample, first[sample.key])
