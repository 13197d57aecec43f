"""The laws of sampling on the native executor: the definition with settings of every kind, and with
prefixes; the likelihood; and what is not finite stays where it is.

tests/models/test_sampler.py has plain requests on each executor.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.sampling.draw import SettingsBatch
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from tests.models.laws import needs_native
from tests.models.native.ailing import ailing, ails
from tests.models.native.asked import (
    CASES,
    assert_same_bits,
    draw,
    drawn_alone,
    each_case,
    request_of,
)
from tests.models.nets import Case

pytestmark = needs_native

#: Cases whose requests differ in what they ask for, not in their length alone.
CONDITIONED = [name for name in CASES if " by " in name]


@each_case
def test_each_symbol_is_the_one_that_the_definition_draws_after_those_before(case: Case) -> None:
    net, law = case.net, case.net.distribution
    # Given events with settings and prefixes of every kind, drawn together
    for number, sample in enumerate(draw(case, 12, slots=12)):
        request = request_of(case, number)
        first = sample.symbols.size - sample.drawn
        x = torch.from_numpy(sample.symbols).unsqueeze(0)

        # When each symbol is drawn once more, from what forward says of it, in float64
        with torch.inference_mode():
            parameters = net(x, net.conditions(request.fields)).double().flatten(2)[0].t()
        every = _allowed(net, request, parameters)[:, first:]

        # Then it is the same, but where u, or the share kept, lies on a threshold
        drawn = x.flatten()[first:]
        if law.levels is None:
            assert ((drawn - every[0]).abs() <= 1e-5 * (1 + drawn.abs())).all()
        else:
            assert (every == drawn).any(0).all()


@each_case
def test_likelihoods_are_those_that_the_network_gives_what_was_drawn(case: Case) -> None:
    for number, sample in enumerate(draw(case, 10, slots=10)):
        request = request_of(case, number)
        x = torch.from_numpy(sample.symbols).unsqueeze(0)
        with torch.inference_mode():
            parameters = case.net(x, case.net.conditions(request.fields)).flatten(2).double()
        each = case.net.distribution.log_prob(parameters, x.flatten(1))[0]

        # Then they are of the drawn symbols alone, whatever settings drew them
        expected = float(each[x.numel() - sample.drawn :].sum())
        assert sample.log_likelihood_nats == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("slots", [4, 20], ids=["narrow", "wide"])
@pytest.mark.parametrize("name", CONDITIONED)
def test_what_is_not_finite_costs_its_own_request_and_no_neighbour(name: str, slots: int) -> None:
    # Given a network that breaks for what one kind of request asks for, at once or half-way
    case = CASES[name]
    fields = case.requests[-1]
    broken = ailing(case.net, fields)
    requests = [request_of(case, number) for number in range(26)]
    bad = {request.key for request in requests if ails(case.net, fields, request.fields)}

    # When it draws that and more, in slots that have drawn it before
    sampler = Sampler(broken, slots=slots, executor="native")
    samples = {sample.key: sample for sample in sampler.sample(requests)}

    # Then the others are what the healthy network draws, bit for bit
    assert samples.keys() == {request.key for request in requests}
    assert 0 < len(bad) < len(requests)
    for number, sample in ((int(str(key)), sample) for key, sample in samples.items()):
        if sample.key not in bad:
            assert_same_bits(sample, drawn_alone(case, number))
            continue
        # And the broken ones say so, at the position where they would alone
        (alone,) = Sampler(broken, slots=1, executor="native").sample([request_of(case, number)])
        assert sample.error is not None
        assert "not finite at position" in sample.error
        assert_same_bits(sample, alone)


def test_an_error_says_where_it_began() -> None:
    # Given a sound whose third column of features, of four samples each, is not finite
    case = CASES["wavenet by digit"]
    broken = ailing(case.net, case.requests[0])
    request = SampleRequest("bad", case.requests[0], seed=0)

    # Then the first position of that column is named, in units of any width
    for slots in (1, 16):
        (sample,) = Sampler(broken, slots=slots, executor="native").sample([request])
        assert sample.error == "the logits are not finite at position 8"


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FC00001, 0xFFC00155 - 2**32, 0x7F800001])
@pytest.mark.parametrize("name", ["wavenet", "gated_pixelcnn", "pixelcnn_pp", "made"])
def test_no_weight_that_is_not_a_number_goes_unseen(name: str, bits: int) -> None:
    # Given a network in which one weight is not a number, in whatever pattern damage may leave
    case = CASES[name]
    damaged = copy.deepcopy(case.net)
    weight = next(parameter for parameter in damaged.parameters() if parameter.ndim > 1)
    weight.data.view(-1)[weight.numel() // 2] = torch.tensor(bits).int().view(torch.float32)

    # When it draws
    for slots in (1, 16):
        requests = [SampleRequest(number, case.requests[0], number) for number in range(6)]
        samples = list(Sampler(damaged, slots=slots, executor="native").sample(requests))

        # Then what comes out is no event
        assert all(sample.error is not None for sample in samples)


def _allowed(net: Autoregressive, request: SampleRequest, parameters: Tensor) -> Tensor:
    """What the definition draws for parameters (T, P), if u and the share kept are moved a little,
    and not: by 1e-4 over the temperature, (9, T)."""
    asked, count = request.settings, len(parameters)
    positions = torch.arange(count) // net.channels
    seed, number = torch.tensor(request.seed), torch.tensor(request.sample)
    by_channel = [uniform(seed, number, positions, channel) for channel in range(net.channels)]
    u = torch.stack(by_channel, 1)[torch.arange(count), torch.arange(count) % net.channels].double()
    tolerance = 1e-4 / asked.temperature
    moves = (0.0, tolerance, -tolerance)
    drawn = []
    for more in moves:
        kept = asked
        if asked.top_p is not None:
            kept = replace(asked, top_p=min(1.0, asked.top_p + more))
        batch = SettingsBatch.of([kept] * count, net.distribution.levels, torch.float64)
        for by in moves:
            moved = (u + by).clamp(2**-24, 1 - 2**-24)
            drawn.append(net.distribution.draw(parameters, moved, batch))
    return torch.stack(drawn)
