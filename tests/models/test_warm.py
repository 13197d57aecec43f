"""What is kept warm: by digest, the latest used, within its room; and it changes no bit."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from ancestral.models.sampling.warm import WarmCache, WarmCounters, digest_of
from tests.models import laws
from tests.models.laws import on_each_executor, same_bits
from tests.models.nets import DIGITS, Case, all_cases, image_case

CASES = all_cases()

Kept = TypeVar("Kept")


def test_what_was_used_longest_ago_is_the_first_to_go() -> None:
    # Given a cache with room for two, and the older of them used again
    cache = WarmCache[str](kept_bytes=10)
    cache.keep(b"a", "first", 5)
    cache.keep(b"b", "second", 5)
    assert cache.get(b"a") == "first"
    # When a third comes
    cache.keep(b"c", "third", 5)
    # Then the other one went
    assert (b"a" in cache, b"b" in cache, b"c" in cache) == (True, False, True)
    assert cache.get(b"b") is None
    assert cache.counters == WarmCounters(hits=1, misses=1, evictions=1, bytes=10)


def test_what_was_let_go_takes_no_room() -> None:
    cache = WarmCache[str](10)
    cache.keep(b"a", "a", 6)

    cache.clear()

    assert cache.get(b"a") is None and cache.counters.bytes == 0
    cache.keep(b"b", "b", 10)
    assert cache.get(b"b") == "b" and cache.counters.evictions == 0


def test_what_is_kept_already_is_kept_once() -> None:
    cache = WarmCache[str](kept_bytes=10)
    cache.keep(b"a", "first", 5)
    cache.keep(b"a", "again", 5)
    assert cache.get(b"a") == "first"
    assert cache.counters.bytes == 5


def test_something_large_takes_the_room_of_several() -> None:
    cache = WarmCache[int](kept_bytes=10)
    for number in range(5):
        cache.keep(bytes([number]), number, 2)
    cache.keep(b"large", 9, 7)
    assert [number for number in range(5) if bytes([number]) in cache] == [4]
    assert cache.counters == WarmCounters(evictions=4, bytes=9)


def test_what_is_larger_than_all_the_room_is_not_kept_and_nothing_goes_for_it() -> None:
    cache = WarmCache[str](kept_bytes=10)
    cache.keep(b"a", "small", 5)
    cache.keep(b"b", "large", 11)
    assert (b"a" in cache, b"b" in cache) == (True, False)
    assert cache.counters == WarmCounters(bytes=5)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12)), max_size=60))
def test_it_keeps_what_a_list_in_order_of_use_would(lookups: list[tuple[int, int]]) -> None:
    """Each lookup makes what it does not find, as a sampler does."""
    cache, room = WarmCache[int](kept_bytes=10), 10
    expected: OrderedDict[int, int] = OrderedDict()
    for name, size in lookups:
        found = cache.get(bytes([name]))
        assert found == (name if name in expected else None)
        if name in expected:
            expected.move_to_end(name)
            continue
        cache.keep(bytes([name]), name, size)
        if size <= room:
            expected[name] = size
        while sum(expected.values()) > room:
            expected.popitem(last=False)
        assert cache.counters.bytes == sum(expected.values()) <= room
    assert cache.counters.hits + cache.counters.misses == len(lookups)


def test_equal_tensors_have_equal_digests_and_others_have_others() -> None:
    tensor = torch.arange(6.0)
    others: list[dict[str, Tensor]] = [
        {},
        {"a": tensor},
        {"b": tensor},
        {"a": tensor, "b": tensor},
        {"a": tensor, "b": tensor + 1},
        {"a": tensor + 1, "b": tensor},
        {"a": tensor.double()},
        {"a": tensor.view(2, 3)},
        {"a": tensor.view(3, 2)},
    ]
    assert len({digest_of(each) for each in others}) == len(others)
    # However they lie in memory, and in whatever order they come
    assert digest_of({"a": torch.arange(12.0)[::2] / 2}) == digest_of({"a": tensor})
    assert digest_of({"b": tensor + 1, "a": tensor}) == digest_of({"a": tensor, "b": tensor + 1})


@on_each_executor
@pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(" ", "-") for name in CASES])
def test_samples_of_one_prefix_find_what_the_first_of_them_made(
    case: Case, executor: ExecutorName
) -> None:
    # Given requests of one beginning: two thirds of an event
    fields = case.requests[0]
    symbols = laws.random_event(case.net, fields, seed=1).flatten()
    prefix = symbols[: len(symbols) * 2 // 3]
    requests = [SampleRequest(n, fields, 7, n, prefix=prefix) for n in range(5)]
    sampler = Sampler(case.net, slots=6, executor=executor)
    # When they are drawn
    list(sampler.sample(requests))
    first = copy.copy(sampler.warm)
    # Then conditioning, and the prefix where it fills a period, were each made once
    program = case.net.program()
    kinds = 2 if len(prefix) >= program.period * program.channels else 1
    assert first == WarmCounters(hits=4 * kinds, misses=kinds, evictions=0, bytes=first.bytes)
    # And when more of them are asked for, nothing is made
    list(sampler.sample([SampleRequest("later", fields, 7, 9, prefix=prefix)]))
    assert sampler.warm == WarmCounters(
        hits=5 * kinds, misses=kinds, evictions=0, bytes=first.bytes
    )


@on_each_executor
def test_samples_of_one_prefix_share_its_prefill(executor: ExecutorName) -> None:
    # Given eight samples that begin with the first three rows of an image of five
    case = image_case()
    prefix = laws.random_event(case.net, {}, seed=3).flatten()[:18]
    requests = [SampleRequest(n, {}, seed=7, sample=n, prefix=prefix) for n in range(8)]
    apart = [next(Sampler(case.net, executor=executor).sample([each])) for each in requests]
    # When they are drawn together
    sampler = Sampler(case.net, slots=8, executor=executor)
    together = {sample.key: sample for sample in sampler.sample(requests)}
    # Then the prefix is taken in once, at once or in a slot, and two rows are drawn for each
    taken_in = {"native": 0, "reference": 18}[executor]
    assert sampler.symbols == taken_in + 8 * 12
    # And each is, bit for bit, what it would have been alone
    for alone in apart:
        sample = together[alone.key]
        assert same_bits(sample, alone)
        np.testing.assert_array_equal(sample.symbols.reshape(-1)[:18], prefix.numpy())
        assert sample.drawn == 12
    # And a later sample of the same prefix begins where it ends
    list(sampler.sample([SampleRequest(9, {}, seed=7, sample=9, prefix=prefix)]))
    assert sampler.symbols == taken_in + 9 * 12


@on_each_executor
def test_a_prefix_of_other_conditions_is_another_prefix(executor: ExecutorName) -> None:
    # Given one beginning for three labels
    case = image_case(labels=DIGITS)
    prefix = laws.random_event(case.net, case.requests[0], seed=3).flatten()[:12]
    sampler = Sampler(case.net, slots=8, executor=executor)
    # When each is drawn
    list(
        sampler.sample(
            SampleRequest(n, each, 7, prefix=prefix) for n, each in enumerate(case.requests)
        )
    )
    # Then none found what was made for another
    assert (sampler.warm.misses, sampler.warm.hits) == (6, 0)


@on_each_executor
@pytest.mark.parametrize("room", [0, 3000])
def test_what_there_is_no_room_for_is_made_again_and_is_the_same(
    executor: ExecutorName, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given samples of two prefixes in turn, drawn where everything is kept
    case = image_case(labels=DIGITS)
    fields = case.requests[0]
    prefixes = [laws.random_event(case.net, fields, seed).flatten()[:18] for seed in range(2)]
    requests = [SampleRequest(n, fields, 7, n, prefix=prefixes[n % 2]) for n in range(6)]
    roomy = Sampler(case.net, slots=4, executor=executor)
    expected = {sample.key: sample for sample in roomy.sample(requests)}

    class Small(WarmCache[Kept]):
        def __init__(self) -> None:
            super().__init__(room)

    monkeypatch.setattr("ancestral.models.sampling.sampler.WarmCache", Small)
    # When they are drawn where there is no room, or hardly any
    sampler = Sampler(case.net, slots=4, executor=executor)
    samples = list(sampler.sample(requests))
    # Then they are the same
    assert len(samples) == 6
    assert all(same_bits(sample, expected[sample.key]) for sample in samples)
    assert sampler.warm.misses > roomy.warm.misses
    assert sampler.warm.bytes <= room
