"""What a request draws beside others is what it draws alone, on any executor."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models.laws import drawn_alone, same_bits, varied_requests
from tests.models.nets import DIGITS, Case, all_cases, image_case


def samples_of(
    net: Autoregressive, requests: Iterable[SampleRequest], slots: int, executor: ExecutorName
) -> dict[object, Sample]:
    """What a network draws in so many slots, in its own dtype."""
    dtype = next(net.parameters()).dtype
    sampler = Sampler(net, slots=slots, dtype=dtype, executor=executor)
    return {sample.key: sample for sample in sampler.sample(requests)}


def assert_same(one: Mapping[object, Sample], other: Mapping[object, Sample]) -> None:
    """Every sample has the same bits in both."""
    assert one.keys() == other.keys()
    for key, sample in one.items():
        assert same_bits(sample, other[key]), f"sample {key}"


def check_independence(name: str, executor: ExecutorName, tile_slots: int) -> None:
    """Bits depend on no slot, tile, neighbour or order, where tiles have so many slots."""
    # Given requests, each drawn alone
    case = all_cases()[name]
    alone = drawn_alone(name, executor, 5)
    # When they are drawn in other slots, among the many of more than a tile, in another order
    many = [SampleRequest(("else", n), case.requests[0], seed=n) for n in range(tile_slots + 2)]
    requests = [*many, *reversed(varied_requests(case, 5))]
    together = samples_of(case.net, requests, tile_slots + 6, executor)
    # Then nothing is different
    assert_same({key: together[key] for key in alone}, alone)


def broken_for(case: Case, label: int) -> Autoregressive:
    """The network of labelled images, which gives no finite logits for one label."""
    broken = copy.deepcopy(case.net)
    with torch.no_grad():
        broken.asked.label.weight[label] = torch.nan  # type: ignore[union-attr,operator]
    return broken


def check_broken_alone(executor: ExecutorName) -> None:
    """Logits that are not finite cost one request and no neighbour."""
    # Given a network that breaks for one label
    case = image_case(labels=DIGITS)
    requests = varied_requests(case, 9)
    healthy = samples_of(case.net, requests, 9, executor)
    # When it draws that label among others, and then goes on in the same slots
    found = samples_of(broken_for(case, label=2), requests, 2, executor)
    # Then only that label's requests fail, and say where
    failed = {key for key, sample in found.items() if sample.error is not None}
    assert failed == {2, 5, 8}
    assert {found[key].error for key in failed} == {"the logits are not finite at position 0"}
    whole = found.keys() - failed
    assert_same({key: found[key] for key in whole}, {key: healthy[key] for key in whole})
