"""Events that are drawn no further, and the steps within which the others end."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.errors import ConditionError
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models import laws
from tests.models.laws import drawn_alone, on_each_executor, same_bits, varied_requests
from tests.models.nets import all_cases, image_case

CASES = all_cases()


@pytest.fixture(scope="module", autouse=True)
def short_advances() -> Iterator[None]:
    """Samplers stop often, so that events are dropped at many places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ancestral.models.sampling.executor.Executor.chunk_positions", 4)
        yield


@on_each_executor
@given(
    rng=st.randoms(use_true_random=False),
    slots=st.sampled_from([1, 2, 7, 40]),
    name=st.sampled_from(list(CASES)),
)
@settings(max_examples=25)
def test_who_is_dropped_leaves_its_slot_and_its_neighbours_as_they_were(
    executor: ExecutorName, rng: random.Random, slots: int, name: str
) -> None:
    # Given samples of every kind, in slots or waiting for a prefix
    expected = drawn_alone(name, executor, 8)
    sampler = Sampler(CASES[name].net, slots=slots, executor=executor)
    waiting = varied_requests(CASES[name], 8)
    samples: list[Sample] = []
    dropped: set[object] = set()
    underway: dict[object, int] = {}
    rng.shuffle(waiting)
    # When some of them are dropped at any time, and others take their slots
    while waiting or sampler.active:
        while waiting and sampler.free:
            request = waiting.pop()
            underway[request.key] = sampler.steps + sampler.admit(request)
        for sample in sampler.advance():
            # Then each of the others ends within its time
            assert sampler.steps <= underway.pop(sample.key)
            samples.append(sample)
        if underway and rng.random() < 0.3:
            key = rng.choice(list(underway))
            free = sampler.free
            sampler.drop(key)
            assert sampler.free == free + 1
            del underway[key]
            dropped.add(key)
    # And every bit of it is as if it had been drawn alone
    assert {sample.key for sample in samples} == expected.keys() - dropped
    assert len(samples) + len(dropped) == len(expected)
    assert all(same_bits(sample, expected[sample.key]) for sample in samples)


def test_who_waited_for_a_prefix_takes_it_in_when_the_first_was_dropped() -> None:
    # Given three samples of one prefix, of which the first is taking it in
    case = image_case()
    prefix = laws.random_event(case.net, {}, seed=3).flatten()[:18]
    requests = [SampleRequest(n, {}, seed=7, sample=n, prefix=prefix) for n in range(3)]
    expected = [next(Sampler(case.net, executor="reference").sample([r])) for r in requests]
    sampler = Sampler(case.net, slots=3, executor="reference")
    for request in requests:
        sampler.admit(request)
    sampler.advance()
    # When it is dropped, and one that waits is, too
    sampler.drop(0)
    sampler.drop(2)
    # Then the other one ends as it should
    samples = list(sampler.sample([]))
    assert [sample.key for sample in samples] == [1]
    assert same_bits(samples[0], expected[1])


def test_what_is_not_being_drawn_cannot_be_dropped() -> None:
    sampler = Sampler(image_case().net, slots=2)
    sampler.admit(SampleRequest("here", {}, seed=0))
    with pytest.raises(ConditionError, match="no event of key 'there' is being drawn"):
        sampler.drop("there")
    sampler.drop("here")
    with pytest.raises(ConditionError, match="no event of key 'here' is being drawn"):
        sampler.drop("here")
    assert sampler.free == 2
