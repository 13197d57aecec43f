"""A sample is a function of its request alone, and it is what the naive sampler draws."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.errors import ConditionError, ConfigError, SlotsFull
from ancestral.models.naive import sample_naive
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.native import available
from ancestral.models.sampling.native.structures import BLOCK
from ancestral.models.sampling.reference import TILE_SLOTS
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from ancestral.models.sampling.tile import Tile
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models import laws
from tests.models.alone import broken_for, check_broken_alone
from tests.models.laws import drawn_alone, on_each_executor, same_bits, varied_requests
from tests.models.nets import DIGITS, Case, all_cases, image_case, sound_case

CASES = all_cases()

#: Slots of a tile of the native executor where there are many, and of the reference.
TILES = {"native": BLOCK, "reference": TILE_SLOTS}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def _by_key(samples: Iterable[Sample]) -> dict[object, Sample]:
    return {sample.key: sample for sample in samples}


def test_in_float64_it_draws_exactly_what_the_naive_sampler_draws(case: Case) -> None:
    # Given requests of every kind, more than there are slots
    requests = varied_requests(case, 7)
    net = copy.deepcopy(case.net).double()
    sampler = Sampler(net, slots=3, dtype=torch.float64, executor="reference")
    # When they are drawn in three slots
    samples = _by_key(sampler.sample(requests))
    # Then symbols agree one by one, and so does the likelihood, three ways
    assert samples.keys() == set(range(7))
    for request in requests:
        naive = sample_naive(
            net, request.fields, request.seed, request.sample, request.settings, request.prefix
        )
        sample = samples[request.key]
        assert sample.error is None
        # Real numbers differ by rounding, and are equal when rounded.
        np.testing.assert_allclose(sample.symbols, naive.symbols.numpy(), rtol=0, atol=1e-9)
        assert sample.log_likelihood_nats == pytest.approx(naive.log_likelihood_nats, abs=1e-9)
        with torch.inference_mode():
            score = net.log_prob(naive.symbols[None], net.conditions(request.fields))
        if sample.drawn == sample.symbols.size:
            assert sample.log_likelihood_nats == pytest.approx(float(score), abs=1e-9)


def test_in_float32_it_departs_from_the_naive_sampler_only_where_u_lies_on_a_step(
    case: Case,
) -> None:
    # Given plain requests, so that a difference can only come from a step of the running weights
    requests = [SampleRequest(n, case.requests[n % len(case.requests)], seed=n) for n in range(10)]
    # When they are drawn side by side, on each executor
    executors: list[ExecutorName] = ["reference", "native"] if available() else ["reference"]
    drawn = [
        _by_key(Sampler(case.net, slots=10, executor=executor).sample(requests))
        for executor in executors
    ]
    # Then each is the naive sampler's, or departs from it there
    for request in requests:
        laws.check_departure(case.net, request, *(samples[request.key] for samples in drawn))


@given(
    order=st.randoms(use_true_random=False),
    slots=st.sampled_from([1, 2, 7, 64, 100]),
    pauses=st.lists(st.integers(0, 3), min_size=8, max_size=8),
    name=st.sampled_from(list(CASES)),
)
@settings(max_examples=30)
def test_bits_depend_on_no_slot_neighbour_order_or_pause(
    order: random.Random, slots: int, pauses: list[int], name: str
) -> None:
    case = CASES[name]
    requests = varied_requests(case, 8)
    # Given each request drawn alone
    alone = drawn_alone(name, "reference", 8)
    # When they are admitted in any order, at any time, to any number of slots
    order.shuffle(requests)
    sampler = Sampler(case.net, slots=slots, executor="reference")
    together: list[Sample] = []
    for request, pause in zip(requests, pauses, strict=True):
        for _ in range(pause):
            together += sampler.advance()
        while not sampler.free:
            together += sampler.advance()
        sampler.admit(request)
    while sampler.active:
        together += sampler.advance()
    # Then every bit is the same
    assert len(together) == len(requests)
    for sample in together:
        assert same_bits(sample, alone[sample.key])


@on_each_executor
def test_seeds_and_sample_numbers_tell_samples_apart(case: Case, executor: ExecutorName) -> None:
    fields = case.requests[0]
    requests = [SampleRequest((s, n), fields, seed=s, sample=n) for s in range(8) for n in range(8)]
    samples = list(Sampler(case.net, executor=executor).sample(requests))
    # Small events can be equal by chance.
    assert len({sample.symbols.tobytes() for sample in samples}) > 48


@on_each_executor
def test_conditioning_matters(executor: ExecutorName) -> None:
    case = CASES["gated_pixelcnn by label"]
    requests = [SampleRequest(n, fields, seed=5) for n, fields in enumerate(case.requests)]
    samples = list(Sampler(case.net, executor=executor).sample(requests))
    assert len({sample.symbols.tobytes() for sample in samples}) == len(requests)


def test_a_sampler_never_holds_more_than_its_slots() -> None:
    case = image_case(labels=DIGITS)
    sampler = Sampler(case.net, slots=2)
    first, second, third = varied_requests(case, 3)
    sampler.admit(first)
    sampler.admit(second)
    assert (sampler.active, sampler.free) == (2, 0)
    with pytest.raises(SlotsFull, match="2 slots"):
        sampler.admit(third)
    while sampler.active:
        sampler.advance()
    assert sampler.free == 2


@on_each_executor
def test_a_sampler_that_was_interrupted_in_a_chunk_goes_on_no_more(
    executor: ExecutorName, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a sampler with an event in it, and another's event on its way
    kind = type(Sampler(image_case().net, executor=executor)._executor)
    monkeypatch.setattr(kind, "chunk_positions", 6)
    sampler, other = (Sampler(image_case().net, slots=3, executor=executor) for _ in range(2))
    for each in (sampler, other):
        each.admit(SampleRequest("own", {}, seed=1))
    other.advance()
    moved = other.save("own")

    # When it is interrupted after its memory has changed, and before it knows
    run = kind.run

    def interrupted(self: Any, groups: Any) -> Any:
        run(self, groups)
        raise KeyboardInterrupt

    monkeypatch.setattr(kind, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sampler.advance()
    monkeypatch.setattr(kind, "run", run)

    # Then it draws nothing more, rather than something else
    calls: list[Callable[[], object]] = [
        sampler.advance,
        lambda: sampler.admit(SampleRequest("next", {}, seed=2)),
        lambda: sampler.save("own"),
        lambda: sampler.drop("own"),
        lambda: sampler.restore(moved),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match="in the middle of a call: make another"):
            call()


def test_a_sampler_that_was_interrupted_between_chunks_goes_on_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given an event that is taken out of its slot
    sampler = Sampler(image_case().net, slots=3)
    sampler.admit(SampleRequest("own", {}, seed=1))

    def interrupted(self: Tile, slot: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tile, "drop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sampler.drop("own")

    with pytest.raises(ConfigError, match="make another"):
        sampler.advance()


@on_each_executor
def test_steps_and_symbols_rise_while_it_draws_and_only_then(executor: ExecutorName) -> None:
    # Given many slots, and three images for them
    sampler = Sampler(image_case().net, slots=9, executor=executor)
    assert (sampler.advance(), sampler.steps, sampler.symbols, sampler.slot_symbols) == (
        [],
        0,
        0,
        0,
    )
    # When they are drawn side by side
    list(sampler.sample(SampleRequest(n, {}, seed=n) for n in range(3)))
    # Then the tile went through all positions once, and its slots drew three images' symbols
    assert sampler.steps == 5 * 6
    assert sampler.symbols == 3 * 5 * 6
    assert sampler.slot_symbols == TILES[executor] * 5 * 6


def test_the_events_of_two_half_empty_tiles_move_into_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ancestral.models.sampling.executor.Executor.chunk_positions", 20)
    # Given short and long sounds in one tile, and long ones in half of another
    case, size = sound_case(speaker=False, digit=False), TILE_SLOTS
    lengths = [20] * (size // 2) + [31] * size
    requests = [SampleRequest(n, {"seconds": length / 1000}, n) for n, length in enumerate(lengths)]
    expected = [next(Sampler(case.net, executor="reference").sample([r])) for r in requests[-3:]]
    # When the short ones have ended
    sampler = Sampler(case.net, slots=2 * size, executor="reference")
    samples = _by_key(sampler.sample(requests))
    # Then one tile is enough for the rest
    assert sampler.symbols == sum(lengths)
    assert sampler.slot_symbols == 2 * size * 20 + size * 11
    # And those that moved are what they would have been alone
    for alone in expected:
        assert same_bits(samples[alone.key], alone)


def test_more_events_than_it_pays_to_move_stay_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given two tiles of which each has half its slots free, as soon as the short sounds have ended
    monkeypatch.setattr("ancestral.models.sampling.executor.Executor.chunk_positions", 20)
    monkeypatch.setattr("ancestral.models.sampling.tiles.MOST_MOVED", TILE_SLOTS // 2 - 1)
    case, size = sound_case(speaker=False, digit=False), TILE_SLOTS
    lengths = [20] * (size // 2) + [31] * size
    requests = [SampleRequest(n, {"seconds": length / 1000}, n) for n, length in enumerate(lengths)]
    # When no more may move than one less than that
    sampler = Sampler(case.net, slots=2 * size, executor="reference")
    list(sampler.sample(requests))
    # Then both go on to the end
    assert sampler.slot_symbols == 2 * size * 31


@on_each_executor
def test_logits_that_are_not_finite_cost_one_request_and_no_neighbour(
    executor: ExecutorName,
) -> None:
    check_broken_alone(executor)


@on_each_executor
def test_a_prefix_of_logits_that_are_not_finite_fails_all_its_samples(
    executor: ExecutorName,
) -> None:
    # Given a network that breaks for one label, and samples that wait for a prefix of that label
    case = image_case(labels=DIGITS)
    prefix = laws.random_event(case.net, {"label": 2}, seed=3).flatten()[:18]
    requests = [SampleRequest(n, {"label": 2}, 7, n, prefix=prefix) for n in range(3)]
    # When they are drawn
    sampler = Sampler(broken_for(case, label=2), slots=4, executor=executor)
    samples = list(sampler.sample(requests))
    # Then each ends, and says that it is worthless
    assert len(samples) == 3
    for sample in samples:
        assert str(sample.error).startswith("the logits are not finite at position")
        assert not sample.symbols.any()


def test_the_callers_network_stays_as_it_was() -> None:
    net = image_case().net.train()
    Sampler(net, dtype=torch.float64)
    assert net.training
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


def test_a_request_that_does_not_fit_is_refused_before_it_takes_a_slot() -> None:
    sampler = Sampler(image_case(labels=DIGITS).net, slots=1)
    with pytest.raises(ConditionError):
        sampler.admit(SampleRequest(0, {"label": 99}, seed=0))
    assert sampler.free == 1


@pytest.mark.parametrize(
    "asked",
    [
        *({"seed": seed} for seed in (-1, 2**63, 1.5, True)),
        *({"seed": 1, "sample": sample} for sample in (-1, 2**32, 0.5, False)),
    ],
)
def test_numbers_that_the_random_source_has_no_room_for_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ConditionError, match=r"is a whole number in \[0, 2\*\*"):
        SampleRequest(0, {}, **asked)


@on_each_executor
def test_the_largest_numbers_that_can_be_asked_for_are_drawn(executor: ExecutorName) -> None:
    # Given the largest seed and sample number, and more of the likeliest symbols than there are
    case = image_case()
    largest = SampleRequest(0, {}, 2**63 - 1, 2**32 - 1, Settings(top_k=2**31 - 1, top_p=1.0))
    # When it is drawn
    (sample,) = Sampler(case.net, slots=1, executor=executor).sample([largest])
    # Then it is what the naive sampler draws from the whole alphabet
    naive = sample_naive(case.net, {}, largest.seed, largest.sample)
    np.testing.assert_array_equal(sample.symbols, naive.symbols.numpy())


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        (torch.zeros(30, dtype=torch.int64), "leaves nothing to draw of 30"),
        (torch.full((3,), 7), "not among 7 levels"),
    ],
)
def test_a_prefix_that_does_not_fit_is_refused(prefix: torch.Tensor, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        Sampler(image_case().net).admit(SampleRequest(0, {}, seed=0, prefix=prefix))


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no GPU here for device 'cuda': take 'cpu'"):
        Sampler(image_case().net, device="cuda")


def test_a_device_that_torch_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="torch knows no device 'xyz'"):
        Sampler(image_case().net, device="xyz")


@pytest.mark.parametrize(("asked", "message"), [("slots", "one slot"), ("threads", "one thread")])
def test_a_sampler_without_slots_or_threads_is_refused(asked: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"at least {message}, not 0"):
        Sampler(image_case().net, **{asked: 0})  # type: ignore[arg-type]


@on_each_executor
def test_the_thread_count_is_the_callers_again_afterwards(executor: ExecutorName) -> None:
    before = torch.get_num_threads()
    case = image_case()
    list(Sampler(case.net, executor=executor).sample(varied_requests(case, 1)))
    assert torch.get_num_threads() == before


def test_no_number_of_threads_changes_what_a_text_sounds_like() -> None:
    # Given a long text, whose front end is wide enough for several threads
    torch.manual_seed(0)
    config = WaveNetConfig(
        levels=16, characters=" ab", front_end=64, hop=2, residual=6, skip=10, depth=3, stacks=1
    )
    net = WaveNet(config).eval()
    request = SampleRequest(0, {"text": "ab ba " * 60}, seed=1)

    # When it is drawn by a process of one thread, and by one of two
    before, drawn = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn += Sampler(net).sample([request])
    finally:
        torch.set_num_threads(before)

    # Then
    first, second = drawn
    np.testing.assert_array_equal(first.symbols, second.symbols)
    assert first.log_likelihood_nats == second.log_likelihood_nats


@on_each_executor
def test_it_counts_events_and_the_symbols_that_they_have_to_learn(executor: ExecutorName) -> None:
    # Given an event of 30 symbols, and two that begin with the same 12
    case = image_case(labels=DIGITS)
    sampler = Sampler(case.net, slots=3, executor=executor)
    prefix = torch.zeros(12, dtype=torch.int64)
    for key, beginning in enumerate((None, prefix, prefix)):
        sampler.admit(SampleRequest(key, {"label": 1}, seed=key, prefix=beginning))

    # When all are drawn
    while sampler.active:
        sampler.advance()

    # Then what was taken in at once, or found, does not count among them
    assert sampler.events_begun == 3
    assert sampler.symbols_begun == sampler.symbols
    assert sampler.symbols == 30 + (18 + 18 if executor == "native" else 30 + 18)
