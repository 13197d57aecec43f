"""The parameters that the native executor draws from are those of forward, in units of any width.

Those of a prefix that is taken in at once are compared in test_forced.py.
"""

from __future__ import annotations

from itertools import groupby

import torch

from tests.models import laws
from tests.models.laws import needs_native
from tests.models.native.asked import CASES, each_case
from tests.models.native.watched import NARROW, WIDE, stepped_parameters
from tests.models.nets import Case

pytestmark = needs_native


@each_case
def test_parameters_are_those_of_forward_position_by_position(case: Case) -> None:
    net = case.net
    # Given random events, as many side by side as have the same length
    by_length = groupby(sorted(case.requests, key=net.event_shape), key=net.event_shape)
    for _, alike in by_length:
        requests = list(alike)
        events = [laws.random_event(net, fields, seed=n) for n, fields in enumerate(requests)]

        # When the executor is told what was drawn, in wide units and in narrow ones
        wide = stepped_parameters(net, requests, events, slots=WIDE)
        narrow = stepped_parameters(net, requests, events, slots=NARROW)

        # Then both compute the same bits, which are forward's but for rounding
        for fields, x, own, other in zip(requests, events, wide, narrow, strict=True):
            with torch.inference_mode():
                forward = net(x, net.conditions(fields)).flatten(2)[0]
            assert torch.equal(own, other)
            assert own.shape == forward.shape
            allowed = laws.FLOAT32_TOLERANCE * (1 + forward.abs().max())
            assert (own - forward).abs().max() <= allowed


def test_a_symbol_changes_what_is_computed_after_it_and_nothing_before() -> None:
    # Given a sound, and one that differs from it in a symbol near the end
    case = CASES["wavenet"]
    x = laws.random_event(case.net, case.requests[0], seed=0)
    changed = x.clone()
    changed[0, -5] = (changed[0, -5] + 1) % 16

    # When both are watched side by side
    requests = [case.requests[0]] * 2
    first, second = stepped_parameters(case.net, requests, [x, changed], slots=WIDE)

    # Then they part after that symbol
    assert torch.equal(first[:, :-4], second[:, :-4])
    assert not torch.equal(first[:, -4:], second[:, -4:])
