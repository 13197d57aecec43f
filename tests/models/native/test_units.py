"""An event moves between units of 16 slots and units of one, and between units, without a bit
being changed; and a unit that nobody is in costs nothing."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch

from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest, SavedSample
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.laws import needs_native
from tests.models.native.asked import CASES, assert_same_bits, drawn_alone, each_case, request_of
from tests.models.native.watched import WIDE, executor_of, start_of
from tests.models.nets import Case, lively

pytestmark = needs_native

#: Slots of samplers that have narrow units, and wide ones.
FEW, MANY = 5, 40


@each_case
@pytest.mark.parametrize(("first", "then"), [(MANY, FEW), (FEW, MANY)])
def test_an_event_saved_half_way_goes_on_in_units_of_another_width(
    case: Case, first: int, then: int
) -> None:
    # Given events that have come to different places, in chunks of a period or a few
    with patch.object(Executor, "chunk_positions", 3):
        began = Sampler(case.net, slots=first, executor="native")
        ended: list[Sample] = []
        for number in range(FEW):
            began.admit(request_of(case, number))
            ended += began.advance()
        left = set(range(FEW)) - {sample.key for sample in ended}

        # When they go on as bytes in a sampler of the other kind, beside events of its own
        moved = Sampler(case.net, slots=then, executor="native")
        moved.admit(SampleRequest("own", case.requests[0], seed=1))
        moved.advance()
        for number in sorted(left):
            saved = SavedSample.from_bytes(began.save(number).to_bytes(), number)
            while not moved.free:
                ended += moved.advance()
            moved.restore(saved)
        while moved.active:
            ended += moved.advance()

    # Then each ends as if it had never moved
    of_both = {sample.key: sample for sample in ended}
    assert of_both.keys() - {"own"} == set(range(FEW))
    for number in range(FEW):
        assert_same_bits(of_both[number], drawn_alone(case, number))


@pytest.mark.parametrize("name", ["wavenet mixture by both", "gated_pixelcnn by map", "linear"])
def test_an_event_can_move_after_every_chunk(name: str) -> None:
    # Given an event, and samplers with units of both widths, which others use as well
    case = CASES[name]
    with patch.object(Executor, "chunk_positions", 2):
        samplers = [Sampler(case.net, slots=slots, executor="native") for slots in (FEW, MANY)]
        for sampler in samplers:
            sampler.admit(SampleRequest("neighbour", case.requests[-1], seed=0))
        saved = replace(samplers[0].save("neighbour"), request=request_of(case, 0), so_far=None)

        # When it moves on after every chunk
        ended: list[Sample] = []
        for turn in range(1000):
            sampler = samplers[turn % 2]
            sampler.restore(saved)
            ended = [sample for sample in sampler.advance() if sample.key == 0]
            if ended:
                break
            saved = sampler.save(0)

    # Then it ends as if it had never moved
    assert turn > 2
    assert_same_bits(ended[0], drawn_alone(case, 0))


def test_what_is_saved_of_an_event_knows_nothing_of_who_had_the_slot_before() -> None:
    # Given a sampler that has never drawn, and one whose only slot another sound has left
    net = lively(WaveNet, WaveNetConfig(residual=8, skip=8, depth=9, stacks=1))
    fresh, used = (Sampler(net, slots=1, executor="native") for _ in range(2))
    list(used.sample([SampleRequest("before", {"seconds": 0.1}, seed=5)]))

    # When a sound is saved that is younger than the net remembers
    taken = []
    for sampler in (fresh, used):
        sampler.admit(SampleRequest("young", {"seconds": 0.05}, seed=6))
        sampler.advance()
        taken.append(sampler.save("young").so_far)

    # Then both remember the same
    one, other = taken
    assert one is not None and other is not None
    assert one.memory.symbols < 256
    for mine, its in zip(one.memory.grids, other.memory.grids, strict=True):
        assert torch.equal(mine, its)


def test_events_of_part_filled_units_move_together() -> None:
    # Given three units, each of which soon has a few sounds left: every sixth is a long one
    case = CASES["wavenet"]
    sampler = Sampler(case.net, slots=48, executor="native")
    lengths = {number: 40 if number % 6 == 0 else 8 for number in range(48)}
    requests = [
        SampleRequest(number, {"seconds": length / 1000}, seed=number)
        for number, length in lengths.items()
    ]
    for request in requests:
        sampler.admit(request)
    samples = {sample.key: sample for sample in sampler.advance()}
    assert len(samples) == 40
    before = sampler.slot_symbols

    # When they go on
    while sampler.active:
        samples |= {sample.key: sample for sample in sampler.advance()}

    # Then the eight have gone on in one unit of 16, and the others have cost nothing
    assert before == 3 * 16 * 8
    assert sampler.slot_symbols - before == 16 * 32
    # And each is what it is alone
    for request in requests:
        (alone,) = Sampler(case.net, slots=1, executor="native").sample([request])
        assert_same_bits(samples[request.key], alone)


def test_the_memory_of_a_run_stays_as_long_as_a_thread_is_at_it() -> None:
    # Given a run that a thread has begun
    net, fields = CASES["wavenet"].net, CASES["wavenet"].requests[0]
    tile = executor_of(net.program(), slots=WIDE).new_tile()
    tile.admit(0, start_of(net, fields, None, positions=2))
    run, memory = tile.begin(1), weakref.ref(tile)

    # When everybody else lets go of its tile, as an interrupted caller does
    del tile
    gc.collect()

    # Then the tile lasts until the run is forgotten
    assert memory() is not None
    del run
    gc.collect()
    assert memory() is None


def test_a_slot_that_is_free_costs_a_narrow_sampler_nothing() -> None:
    case = CASES["wavenet"]
    sampler = Sampler(case.net, slots=8, executor="native")

    list(sampler.sample([SampleRequest(n, {"seconds": 0.02}, seed=n) for n in range(3)]))

    assert sampler.slot_symbols == sampler.symbols == 3 * 20
