"""Fifty schedules at random: whatever shares the sampler, every bit is as when drawn alone.

A schedule is which requests come, in what order and after what pauses; the slots and threads that
there are; how long a chunk is; and whether some neighbours break down on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models.laws import needs_native
from tests.models.native.ailing import ailing, ails
from tests.models.native.asked import CASES, assert_same_bits, drawn_alone, request_of
from tests.models.nets import Case

pytestmark = needs_native


@dataclass(frozen=True)
class Schedule:
    """`numbers` are those of the requests, and `pauses` what is advanced before each of them."""

    name: str
    numbers: list[int]
    pauses: list[int]
    slots: int
    threads: int
    chunk: int
    breaks: bool


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    slots = draw(st.sampled_from([1, 2, 3, 8, 9, 16, 40, 64, 100]))
    # Enough of them to fill more than one unit now and then.
    count = draw(st.integers(1, 12) if slots <= 9 else st.integers(10, 70))
    shuffled = list(range(count))
    draw(st.randoms(use_true_random=False)).shuffle(shuffled)
    seldom = st.sampled_from([0, 0, 0, 0, 1, 2])
    return Schedule(
        name=draw(st.sampled_from(sorted(CASES))),
        numbers=shuffled,
        pauses=draw(st.lists(seldom, min_size=count, max_size=count)),
        slots=slots,
        threads=draw(st.sampled_from([1, 2, 3])),
        chunk=draw(st.sampled_from([1, 2, 5, 7, 16, 128])),
        breaks=draw(st.booleans()),
    )


@given(schedules())
@settings(max_examples=50, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
def test_every_bit_is_as_when_drawn_alone(schedule: Schedule) -> None:
    case = CASES[schedule.name]
    # Given a network, which in some schedules breaks for one kind of request
    fields, net = case.requests[-1], case.net
    if schedule.breaks and case.net.conditions(fields):
        net = ailing(net, fields)

    # When requests are drawn by that schedule
    with patch.object(Executor, "chunk_positions", schedule.chunk):
        sampler = Sampler(net, slots=schedule.slots, executor="native", threads=schedule.threads)
        samples = _run(sampler, case, schedule)

    # Then each of them is what it is alone, and the broken ones are found
    assert samples.keys() == set(schedule.numbers)
    for number, sample in samples.items():
        if net is not case.net and ails(case.net, fields, request_of(case, number).fields):
            assert sample.error is not None
        else:
            assert_same_bits(sample, drawn_alone(case, number))
    # And nobody was asked to wait while a slot was free
    assert sampler.active == 0 and sampler.free == schedule.slots


def _run(sampler: Sampler, case: Case, schedule: Schedule) -> dict[int, Sample]:
    drawn: list[Sample] = []
    for number, pause in zip(schedule.numbers, schedule.pauses, strict=True):
        for _ in range(pause):
            drawn += sampler.advance()
        while not sampler.free:
            drawn += sampler.advance()
        sampler.admit(request_of(case, number))
    while sampler.active:
        drawn += sampler.advance()
    assert len({sample.key for sample in drawn}) == len(drawn)
    return {int(str(sample.key)): sample for sample in drawn}


def test_slots_that_break_down_are_as_good_as_new() -> None:
    # Given a sampler of two units on two threads in which every event has broken down
    case = CASES["wavenet by both"]
    fields = case.requests[-1]
    sampler = Sampler(ailing(case.net, fields), slots=32, executor="native", threads=2)
    bad = [SampleRequest(number, fields, seed=number) for number in range(32)]
    assert all(sample.error for sample in sampler.sample(bad))

    # When it goes on with healthy requests
    healthy = [n for n in range(60) if not ails(case.net, fields, request_of(case, n).fields)]
    samples = sampler.sample(request_of(case, number) for number in healthy)

    # Then each is what it is alone
    for sample in samples:
        assert_same_bits(sample, drawn_alone(case, int(str(sample.key))))
