"""A prefix that is taken in at once leaves what it leaves when it is taken in step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.linear import LinearAR, LinearConfig
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.native.compiled import FORCED_POSITIONS
from ancestral.models.sampling.native.executor import FORCED_STRETCH, NativeExecutor
from ancestral.models.sampling.native.forced import forced_step
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models import laws
from tests.models.laws import Fields, needs_native
from tests.models.native.asked import CASES, assert_same_bits, each_case
from tests.models.native.watched import (
    NARROW,
    WIDE,
    executor_of,
    start_of,
    stepped_memory,
    watched,
)
from tests.models.nets import Case, lively

pytestmark = needs_native

#: What a vector's position knows of those before it is not the same at each: nothing to take in.
BY_COLUMN = ("made", "made of levels by label", "darn", "darn with a local layer", "darn by label")


def test_every_family_with_a_period_below_its_event_takes_in_prefixes() -> None:
    forced = {name for name, case in CASES.items() if forced_step(case.net.program()) is not None}
    assert forced == CASES.keys() - set(BY_COLUMN)


@pytest.mark.parametrize("name", sorted(CASES.keys() - set(BY_COLUMN)))
def test_all_that_is_computed_is_the_same_bit_for_bit(name: str) -> None:
    # Given a program that also remembers the parameters of each position, and a whole event
    net, plain = CASES[name].net, CASES[name].net.program()
    for fields in CASES[name].requests:
        x = laws.random_event(net, fields, seed=3).flatten()
        program, _ = watched(plain, len(x) // net.channels)
        narrow, wide = executor_of(program, slots=NARROW), executor_of(program, slots=WIDE)
        start = start_of(net, fields, x, positions=plain.period)

        # When more and more of it is taken in, at once and step by step
        for symbols in _whole_periods(net, len(x)):
            at_once = narrow.prefilled(start, symbols)
            by_steps = stepped_memory(wide, start, symbols)

            # Then all that is remembered is the same, the parameters among it
            assert at_once is not None
            assert at_once.symbols == by_steps.symbols == symbols
            assert all(map(torch.equal, at_once.grids, by_steps.grids))


@each_case
def test_samples_that_follow_a_prefix_are_the_same_bit_for_bit(case: Case) -> None:
    # Given prefixes of every length
    fields = case.requests[0]
    symbols = laws.random_event(case.net, fields, seed=5).flatten()
    requests = [
        SampleRequest(length, fields, seed=length, settings=Settings(1.1), prefix=symbols[:length])
        for length in range(1, len(symbols))
    ]

    # When they are taken in at once, or step by step in slots
    at_once = _by_key(Sampler(case.net, slots=7, executor="native").sample(requests))
    with patch.object(NativeExecutor, "prefilled", return_value=None):
        by_steps = _by_key(Sampler(case.net, slots=9, executor="native").sample(requests))

    # Then what follows is the same
    for request in requests:
        assert_same_bits(at_once[request.key], by_steps[request.key])


@pytest.mark.parametrize(
    "length",
    [
        *(FORCED_POSITIONS + more for more in (-1, 0, 1)),
        *(2 * FORCED_POSITIONS + more for more in (-1, 0, 1)),
        300,
    ],
)
@pytest.mark.parametrize("spoken", [False, True], ids=["plain", "conditioned"])
def test_sounds_longer_than_the_past_that_is_read(spoken: bool, length: int) -> None:
    # Given a sound longer than what is forced at once, and more so than what a layer reads
    net, fields = _long_sounds(spoken)
    x = laws.random_event(net, fields, seed=0).flatten()
    assert len(x) > 300
    executor = executor_of(net.program(), slots=NARROW)
    start = start_of(net, fields, x, positions=1)

    # When some of it is taken in
    at_once = executor.prefilled(start, length)

    # Then it leaves what the steps leave
    assert at_once is not None
    for own, other in zip(
        at_once.grids, stepped_memory(executor, start, length).grids, strict=True
    ):
        assert torch.equal(own, other)


@pytest.mark.parametrize("more", [-1, 0, 1, 77])
def test_prefixes_longer_than_one_call_takes(more: int) -> None:
    net = LinearAR(LinearConfig(order=5))
    with torch.no_grad():
        net.coefficients.copy_(torch.tensor([0.5, -0.3, 0.2, 0.1, -0.1]))
    length = FORCED_STRETCH + more
    x = torch.randn(length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    executor = executor_of(net.program(), slots=NARROW)
    start = start_of(net, {"length": length + 1, "initial": None}, x, positions=1)

    at_once = executor.prefilled(start, length)

    assert at_once is not None
    assert torch.equal(at_once.grids[0], stepped_memory(executor, start, length).grids[0])
    assert torch.equal(at_once.grids[0].flatten(), (x[-5:] - net.mean).float())


def _whole_periods(net: Autoregressive, symbols: int) -> Iterator[int]:
    period = net.program().period * net.channels
    return iter(range(period, symbols + 1, period))


def _long_sounds(spoken: bool) -> tuple[WaveNet, Fields]:
    """Sounds of more than 300 samples, the conditioned ones of more columns than a piece has."""
    case = CASES["wavenet by both" if spoken else "wavenet"]
    config = case.net.config
    assert isinstance(config, WaveNetConfig)
    if not spoken:
        return lively(WaveNet, config), {"seconds": 0.33}  # type: ignore[return-value]
    longer = replace(config, seconds=((0.4,) * len(config.digits),) * len(config.speakers))
    return lively(WaveNet, longer), case.requests[1]  # type: ignore[return-value]


def _by_key(samples: Iterator[Sample]) -> dict[object, Sample]:
    return {sample.key: sample for sample in samples}
