"""A sample is a function of its request alone, and it is what the naive sampler draws."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.errors import ConditionError, ConfigError, SlotsFull
from ancestral.models.naive import sample_naive
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.sampler import Sample, Sampler, SampleRequest
from tests.models import laws
from tests.models.nets import DIGITS, Case, all_cases, image_case

CASES = all_cases()

SETTINGS = (
    Settings(),
    Settings(temperature=0.7),
    Settings(top_k=3),
    Settings(temperature=1.3, top_p=0.8),
    Settings(top_k=5, top_p=0.9),
)


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def _requests(case: Case, count: int) -> list[SampleRequest]:
    """Requests with settings of every kind; of each six, two begin with the same given symbols."""
    levels = case.net.distribution.levels
    requests = []
    for number in range(count):
        settings = SETTINGS[number % len(SETTINGS)]
        fields = case.requests[number % len(case.requests)]
        prefix = None
        if number % 6 in (1, 4) and case.net.prefix(fields) is None:
            fields = case.requests[0]
            symbols = laws.random_event(case.net, fields, seed=number // 6).flatten()
            prefix = symbols[: 1 + len(symbols) * 2 // 3]
        requests.append(
            SampleRequest(
                key=number,
                fields=fields,
                seed=1_000_003 * number,
                sample=number % 3,
                settings=settings if levels else Settings(temperature=settings.temperature),
                prefix=prefix,
            )
        )
    return requests


def _by_key(samples: Sequence[Sample]) -> dict[object, Sample]:
    return {sample.key: sample for sample in samples}


def test_in_float64_it_draws_exactly_what_the_naive_sampler_draws(case: Case) -> None:
    # Given requests of every kind, more than there are slots
    requests = _requests(case, 10)
    net = copy.deepcopy(case.net).double()
    # When they are drawn in three slots
    samples = _by_key(list(Sampler(net, slots=3, dtype=torch.float64).sample(requests)))
    # Then symbols agree one by one, and so does the likelihood, three ways
    assert samples.keys() == set(range(10))
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
    samples = _by_key(list(Sampler(case.net, slots=10).sample(requests)))
    net = case.net
    for request in requests:
        if net.distribution.levels is None:
            _assert_close_to_naive(net, request, samples[request.key])
            continue
        symbols = samples[request.key].symbols.reshape(-1)
        naive = sample_naive(net, request.fields, request.seed).symbols.flatten().numpy()
        differing = np.flatnonzero(symbols != naive)
        if len(differing):
            _assert_u_on_a_step(net, request, naive, int(differing[0]))


def _assert_u_on_a_step(
    net: Autoregressive, request: SampleRequest, drawn: np.ndarray, position: int
) -> None:
    shape = net.event_shape(request.fields)
    x = torch.tensor(drawn).reshape(1, *shape)
    with torch.inference_mode():
        logits = net(x, net.conditions(request.fields)).flatten(2)[0, :, position]
    every = torch.arange(net.distribution.levels or 0)
    probabilities = net.distribution.log_prob(logits.double()[None, :, None], every[None]).exp()
    steps = probabilities[0].cumsum(0)
    place, channel = divmod(position, net.channels)
    u = uniform(torch.tensor([request.seed]), torch.tensor([0]), torch.tensor([place]), channel)
    assert float((steps - u.double()).abs().min()) < 1e-4


def _assert_close_to_naive(net: Autoregressive, request: SampleRequest, sample: Sample) -> None:
    """A Gaussian's symbols within 1e-5 of its standard deviations, which lie about 1."""
    naive = sample_naive(copy.deepcopy(net).double(), request.fields, request.seed)
    np.testing.assert_allclose(sample.symbols, naive.symbols.numpy(), rtol=1e-4, atol=1e-4)


@given(
    order=st.randoms(use_true_random=False),
    slots=st.sampled_from([1, 2, 7, 64, 100]),
    pauses=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    name=st.sampled_from(list(CASES)),
)
@settings(max_examples=30, deadline=None)
def test_bits_depend_on_no_slot_neighbour_order_or_pause(
    order: random.Random, slots: int, pauses: list[int], name: str
) -> None:
    case = CASES[name]
    requests = _requests(case, 12)
    # Given each request drawn alone
    alone = ALONE.setdefault(name, _by_key([_draw_alone(case, request) for request in requests]))
    # When they are admitted in any order, at any time, to any number of slots
    order.shuffle(requests)
    sampler = Sampler(case.net, slots=slots)
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
    for key, sample in _by_key(together).items():
        np.testing.assert_array_equal(sample.symbols, alone[key].symbols)
        assert sample.log_likelihood_nats == alone[key].log_likelihood_nats


#: Filled by the test above, once a network.
ALONE: dict[str, dict[object, Sample]] = {}


def _draw_alone(case: Case, request: SampleRequest) -> Sample:
    (sample,) = Sampler(case.net, slots=1).sample([request])
    return sample


def test_seeds_and_sample_numbers_tell_samples_apart(case: Case) -> None:
    fields = case.requests[0]
    requests = [SampleRequest((s, n), fields, seed=s, sample=n) for s in range(8) for n in range(8)]
    samples = list(Sampler(case.net).sample(requests))
    # Small events can be equal by chance.
    assert len({sample.symbols.tobytes() for sample in samples}) > 48


def test_conditioning_matters() -> None:
    case = CASES["gated_pixelcnn by label"]
    requests = [SampleRequest(n, fields, seed=5) for n, fields in enumerate(case.requests)]
    samples = list(Sampler(case.net).sample(requests))
    assert len({sample.symbols.tobytes() for sample in samples}) == len(requests)


def test_a_sampler_never_holds_more_than_its_slots() -> None:
    case = image_case(labels=DIGITS)
    sampler = Sampler(case.net, slots=2)
    first, second, third = _requests(case, 3)
    sampler.admit(first)
    sampler.admit(second)
    assert (sampler.active, sampler.free) == (2, 0)
    with pytest.raises(SlotsFull, match="2 slots"):
        sampler.admit(third)
    while sampler.active:
        sampler.advance()
    assert sampler.free == 2


def test_steps_rise_while_it_draws_and_only_then() -> None:
    case = image_case()
    sampler = Sampler(case.net, slots=1)
    assert (sampler.advance(), sampler.steps) == ([], 0)
    list(sampler.sample(_requests(case, 1)))
    assert sampler.steps == 5 * 6


def test_logits_that_are_not_finite_cost_one_request_and_no_neighbour() -> None:
    # Given a network that breaks for one label
    case = image_case(labels=DIGITS)
    broken = copy.deepcopy(case.net)
    with torch.no_grad():
        broken.asked.label.weight[1] = torch.nan  # type: ignore[union-attr,operator]
    requests = _requests(case, 9)
    expected = _by_key(list(Sampler(case.net).sample(requests)))
    # When it draws that label among others, and then goes on in the same slots
    samples = _by_key(list(Sampler(broken, slots=2).sample(requests)))
    # Then only that label's requests fail, and say where
    for key, sample in samples.items():
        if requests[int(str(key))].fields["label"] == 1:
            assert sample.error == "the logits are not finite at position 0"
        else:
            assert sample.error is None
            np.testing.assert_array_equal(sample.symbols, expected[key].symbols)


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
    with pytest.raises(ConditionError, match=r"2\*\*63"):
        SampleRequest(0, {"label": 1}, seed=2**63)


def test_samples_of_one_prefix_share_its_prefill() -> None:
    # Given eight samples that begin with the first three rows of an image of five
    case = image_case()
    prefix = laws.random_event(case.net, {}, seed=3).flatten()[:18]
    requests = [SampleRequest(n, {}, seed=7, sample=n, prefix=prefix) for n in range(8)]
    apart = [next(iter(Sampler(case.net).sample([request]))) for request in requests]
    # When they are drawn together
    sampler = Sampler(case.net, slots=8)
    together = _by_key(list(sampler.sample(requests)))
    # Then the prefix is taken in once: three rows, and then two rows for all
    assert sampler.steps == 5 * 6
    # And each is, bit for bit, what it would have been alone
    for alone in apart:
        sample = together[alone.key]
        np.testing.assert_array_equal(sample.symbols, alone.symbols)
        np.testing.assert_array_equal(sample.symbols.reshape(-1)[:18], prefix.numpy())
        assert sample.log_likelihood_nats == alone.log_likelihood_nats
        assert sample.drawn == 12
    # And a later sample of the same prefix begins where it ends
    list(sampler.sample([SampleRequest(9, {}, seed=7, sample=9, prefix=prefix)]))
    assert sampler.steps == 5 * 6 + 2 * 6


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


def test_a_sampler_without_slots_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one slot"):
        Sampler(image_case().net, slots=0)


def test_the_thread_count_is_the_callers_again_afterwards() -> None:
    before = torch.get_num_threads()
    list(Sampler(image_case().net).sample(_requests(image_case(), 1)))
    assert torch.get_num_threads() == before
