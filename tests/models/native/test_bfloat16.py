"""Products of bfloat16 numbers: a numerics class of its own, close to float32, and as exactly
repeatable."""

from __future__ import annotations

import pytest
import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling import native
from ancestral.models.sampling.distributions import LogisticMixture
from ancestral.models.sampling.native import library
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models import laws
from tests.models.laws import needs_native
from tests.models.native.asked import CASES, assert_same_bits, each_case, request_of
from tests.models.native.watched import NARROW, WIDE, stepped_parameters
from tests.models.nets import Case

needs_bfloat16 = pytest.mark.skipif(
    "avx512bf16" not in native.available(),
    reason="there is no avx512bf16 build here: it takes a C++ compiler and AVX-512 BF16",
)

#: How much the likelihood of what float32 drew may drift, in nats a symbol: of a softmax or a bit,
#: and of mixtures, whose scales are narrow.
DRIFT_NATS, MIXTURE_DRIFT_NATS = 0.005, 0.03


@needs_bfloat16
def test_it_is_a_numerics_class_of_its_own() -> None:
    net = CASES["wavenet"].net
    exact, rounded = (Sampler(net, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))

    assert "/native/bfloat16/" in rounded.numerics
    assert rounded.numerics == exact.numerics.replace("float32", "bfloat16")


@needs_bfloat16
@each_case
def test_the_likelihood_of_what_was_drawn_in_float32_drifts_little(case: Case) -> None:
    # Given events that were drawn in float32
    net, fields = case.net, case.requests[0]
    requests = [SampleRequest(number, fields, seed=number) for number in range(WIDE)]
    samples = Sampler(net, executor="native").sample(requests)
    events = [torch.from_numpy(sample.symbols).unsqueeze(0) for sample in samples]

    # When they are scored by the parameters that either dtype gives them
    def nats_per_symbol(dtype: torch.dtype) -> float:
        seen = stepped_parameters(net, [fields] * len(events), events, slots=WIDE, dtype=dtype)
        return sum(
            float(net.distribution.log_prob(parameters[None].double(), x.flatten(1)).mean())
            for parameters, x in zip(seen, events, strict=True)
        ) / len(events)

    # Then the likelihoods differ, by little
    drift = abs(nats_per_symbol(torch.bfloat16) - nats_per_symbol(torch.float32))
    mixture = isinstance(net.distribution, LogisticMixture)
    assert 0 < drift < (MIXTURE_DRIFT_NATS if mixture else DRIFT_NATS)


@needs_bfloat16
@each_case
def test_every_bit_is_as_when_drawn_alone(case: Case) -> None:
    # Given requests, each drawn alone
    requests = [request_of(case, number) for number in range(20)]
    alone = [_draw(case, [number], slots=1)[number] for number in range(len(requests))]

    # When they are drawn together, in units of either width and on any number of threads
    for slots, threads in ((7, 1), (8, 3), (20, 1), (20, 2)):
        together = _draw(case, range(len(requests)), slots=slots, threads=threads)
        # Then every bit is the same
        for number, sample in enumerate(alone):
            assert_same_bits(together[number], sample)


@needs_bfloat16
@each_case
def test_parameters_do_not_depend_on_the_width_of_units(case: Case) -> None:
    fields = case.requests[0]
    events = [laws.random_event(case.net, fields, seed) for seed in range(3)]
    wide, narrow = (
        stepped_parameters(
            case.net, [fields] * len(events), events, slots=slots, dtype=torch.bfloat16
        )
        for slots in (WIDE, NARROW)
    )
    assert all(map(torch.equal, wide, narrow))


@needs_native
@pytest.mark.parametrize(
    "build", [name for name in native.available() if name != "avx512bf16"] or ["generic"]
)
def test_builds_without_such_products_refuse_it(build: str) -> None:
    with pytest.raises(ConfigError, match="AVX-512 BF16: draw in float32"):
        Sampler(CASES["wavenet"].net, dtype=torch.bfloat16, executor=library.load(build))


def _draw(case: Case, numbers: range | list[int], **asked: int) -> dict[int, Sample]:
    sampler = Sampler(case.net, dtype=torch.bfloat16, **asked)  # type: ignore[arg-type]
    samples = sampler.sample(request_of(case, number) for number in numbers)
    return {int(str(sample.key)): sample for sample in samples}
