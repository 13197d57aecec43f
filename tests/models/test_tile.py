"""Tiles of any executor: events come, are taken out and go on elsewhere, and no neighbour minds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from ancestral.models.errors import ConditionError
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.executors import ExecutorName, executor_for
from ancestral.models.sampling.tile import Drawn, HalfDrawn, Memory, Slot, Start, Tile
from tests.models import laws
from tests.models.laws import needs_native, on_each_executor
from tests.models.nets import Case, all_cases, image_case

CASES = all_cases()

on_each_case = pytest.mark.parametrize(
    "case", CASES.values(), ids=[name.replace(" ", "-") for name in CASES]
)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    """As a sampler has it."""
    with torch.inference_mode():
        yield


class Bench:
    """An executor, and what its tiles draw."""

    def __init__(self, case: Case, executor: ExecutorName, slots: int = 16) -> None:
        self.program = case.net.program()
        self._net = case.net
        self._executor: Executor = executor_for(
            executor,
            self.program,
            slots=slots,
            device=torch.device("cpu"),
            dtype=torch.float32,
            threads=1,
        )

    @property
    def symbols(self) -> int:
        """Those of a period."""
        return self.program.period * self.program.channels

    def tile(self) -> Tile:
        return self._executor.new_tile()

    def start(self, fields: laws.Fields, seed: int, prefix: torch.Tensor | None = None) -> Start:
        shape, settings = self._net.event_shape(fields), Settings(temperature=0.9)
        projection = self._net.project(self._net.conditions(fields))
        return Start(projection, int(np.prod(shape)), seed, 1, settings, prefix)

    def run(self, tile: Tile, periods: int) -> dict[int, Drawn]:
        """Go on by so many periods."""
        ((ended,),) = self._executor.run([([tile], periods * self.program.period)])
        return ended

    def finish(self, tile: Tile, slot: int) -> Drawn:
        """Go on until the event of a slot ends."""
        while True:
            ended = self.run(tile, tile.positions_to_end // self.program.period)
            if slot in ended:
                return ended[slot]


def _same(one: Drawn, other: Drawn) -> bool:
    return (
        np.array_equal(one.symbols, other.symbols)
        and one.symbols.dtype == other.symbols.dtype
        and one.log_likelihood_nats == other.log_likelihood_nats
    )


@on_each_executor
def test_a_tile_knows_who_is_in_its_slots_and_how_far_they_are(executor: ExecutorName) -> None:
    # Given a tile without events
    bench = Bench(image_case(), executor)
    tile = bench.tile()
    assert (tile.active, tile.occupied, tile.free_slot) == (0, [], 0)
    # When one is admitted, and after a row of five another
    tile.admit(0, bench.start({}, seed=1))
    bench.run(tile, 1)
    tile.admit(3, bench.start({}, seed=2))
    # Then the first ends a row before the second
    assert (tile.active, tile.occupied, tile.free_slot) == (2, [0, 3], 1)
    assert (tile.age(0), tile.age(3), tile.positions_to_end) == (6, 0, 24)
    assert bench.run(tile, 4).keys() == {0}
    assert (tile.occupied, tile.age(3), tile.positions_to_end) == ([3], 24, 6)
    assert bench.run(tile, 1).keys() == {3}
    assert tile.active == 0


class Told(Tile):
    """A tile that is told what was drawn."""

    record = Tile._record

    def _set_up(self, slot: int, admitted: Slot, grids: object, nats: float) -> None:
        pass

    def _remembered(self, slot: int) -> list[torch.Tensor]:
        return []

    def _log_likelihood_nats(self, slot: int) -> float:
        return 0.0


def test_what_lies_past_the_end_of_an_event_is_thrown_away() -> None:
    # Given sounds of 20 and 31 samples, in a tile that goes on to the end of the longer
    bench = Bench(CASES["wavenet"], "reference")
    tile = Told(bench.program, 4)
    for slot, fields in ((1, CASES["wavenet"].requests[1]), (3, CASES["wavenet"].requests[0])):
        tile.admit(slot, bench.start(fields, seed=slot))
    assert (tile.positions_to_end, tile.positions_to_last_end) == (20, 31)
    # When there is something bad behind the end of the one, and in the last sample of the other
    symbols = np.arange(31 * 4).reshape(31, 1, 4)
    ended = tile.record(symbols, np.array([0, 20, -1, 30]))
    # Then each has its own samples, and only the other is worthless
    assert ended.keys() == {1, 3} and not tile.active
    assert tile.symbols == 20 + 31
    np.testing.assert_array_equal(ended[1].symbols, symbols[:20, 0, 1])
    np.testing.assert_array_equal(ended[3].symbols, symbols[:, 0, 3])
    assert (ended[1].bad_position, ended[3].bad_position) == (None, 30)


@on_each_case
@on_each_executor
def test_an_event_that_is_taken_out_goes_on_in_another_tile(
    case: Case, executor: ExecutorName
) -> None:
    # Given an event as it is drawn without a pause, some of it given
    bench = Bench(case, executor)
    fields = case.requests[0]
    prefix = laws.random_event(case.net, fields, seed=5).flatten()[:3]
    start = bench.start(fields, seed=11, prefix=prefix)
    still = bench.tile()
    still.admit(0, start)
    expected = bench.finish(still, 0)
    # And two tiles, each with an event of its own, that stand at different places
    tile, other = bench.tile(), bench.tile()
    tile.admit(1, bench.start(case.requests[-1], seed=3))
    bench.run(tile, 1)
    other.admit(1, bench.start(case.requests[-1], seed=4))
    # When it moves from one to the other and back, at every period
    tile.admit(2, start)
    for known in range(bench.symbols, start.length, bench.symbols):
        bench.run(tile, 1)
        taken = tile.take_out(2)
        assert taken is not None and 2 not in tile.occupied
        assert len(taken.symbols) == taken.memory.symbols == known
        tile, other = other, tile
        tile.admit(2, start, taken)
    # Then it ends the same
    assert _same(bench.finish(tile, 2), expected)


@on_each_case
@on_each_executor
def test_an_event_that_is_taken_out_before_it_began_begins_elsewhere(
    case: Case, executor: ExecutorName
) -> None:
    # Given a slot in which another event ended, and the event as it is drawn in a fresh one
    bench = Bench(case, executor)
    start = bench.start(case.requests[0], seed=11)
    fresh, used = bench.tile(), bench.tile()
    fresh.admit(0, start)
    expected = bench.finish(fresh, 0)
    used.admit(0, bench.start(case.requests[0], seed=12))
    bench.finish(used, 0)
    # When it is admitted there, taken out at once, and admitted again
    used.admit(0, start)
    used.admit(0, start, used.take_out(0))
    # Then nothing of the other event is in it
    assert _same(bench.finish(used, 0), expected)


@on_each_executor
def test_a_neighbour_does_not_notice_who_comes_and_goes(executor: ExecutorName) -> None:
    # Given an event as it is drawn alone
    bench = Bench(CASES["wavenet by both"], executor)
    first, second = CASES["wavenet by both"].requests[:2]
    alone, together = bench.tile(), bench.tile()
    alone.admit(4, bench.start(first, seed=1))
    expected = bench.finish(alone, 4)
    # When another is taken out of the slot beside it and put back again
    together.admit(4, bench.start(first, seed=1))
    start = bench.start(second, seed=2)
    together.admit(5, start)
    for _ in range(5):
        bench.run(together, 1)
        together.admit(5, start, together.take_out(5))
    # Then its bits are the same
    assert _same(bench.finish(together, 4), expected)


@on_each_executor
def test_any_number_of_samples_go_on_from_one_memory(executor: ExecutorName) -> None:
    # Given what a slot remembers of a prefix of two rows
    case = image_case()
    bench = Bench(case, executor)
    prefix = laws.random_event(case.net, {}, seed=5).flatten()[:12]
    start = bench.start({}, seed=11, prefix=prefix)
    tile = bench.tile()
    tile.admit(0, start)
    bench.run(tile, 2)
    memory = tile.memory(0)
    # When three go on from there, and the first goes on where it is
    for slot in (1, 2, 3):
        tile.admit(slot, replace(start, sample=slot), memory)
    ended = bench.run(tile, 3)
    # Then all begin with it, none was counted for it, and the one of the same number is the same
    assert ended.keys() == {0, 1, 2, 3}
    assert all(np.array_equal(drawn.symbols[:12], prefix) for drawn in ended.values())
    assert _same(ended[1], ended[0])
    assert not _same(ended[2], ended[0]) and not _same(ended[3], ended[2])


@needs_native
@on_each_case
def test_executors_remember_the_same_in_the_same_layout(case: Case) -> None:
    # Given one event, told to a tile of each executor
    fields = case.requests[0]
    prefix = laws.random_event(case.net, fields, seed=5).flatten()
    memories: list[Memory] = []
    for executor in ("reference", "native"):
        bench = Bench(case, executor)
        tile = bench.tile()
        # In another slot than the one before, and from another place
        tile.admit(0, bench.start(fields, seed=1))
        bench.run(tile, 1)
        tile.admit(3, bench.start(fields, seed=2, prefix=prefix))
        periods = max(len(prefix) // bench.symbols - 1, 0)
        for _ in range(periods):
            bench.run(tile, 1)
        memories.append(tile.memory(3))
    # Then what they remember is close
    reference, native = memories
    assert reference.symbols == native.symbols == periods * bench.symbols
    if not periods:
        return
    for own, other in zip(reference.grids, native.grids, strict=True):
        assert own.shape == other.shape
        assert (own - other).abs().max() <= laws.FLOAT32_TOLERANCE * (1 + own.abs().max())


def test_a_memory_takes_what_its_grids_take() -> None:
    memory = Memory(3, [torch.zeros(1, 2, 3, 4), torch.zeros(1, 1, 5, 6, dtype=torch.float64)])
    assert memory.bytes == 4 * 24 + 8 * 30


def _half_drawn(bench: Bench, start: Start) -> HalfDrawn:
    tile = bench.tile()
    tile.admit(0, start)
    bench.run(tile, 2)
    taken = tile.take_out(0)
    assert taken is not None
    return taken


def test_what_cannot_go_on_with_an_event_is_refused() -> None:
    # Given two rows of an image of five
    bench = Bench(image_case(), "reference")
    taken = _half_drawn(bench, bench.start({}, seed=1))
    symbols, grids = taken.symbols, taken.memory.grids
    taken.check(bench.program, 30)

    def refused(symbols: np.ndarray, grids: list[torch.Tensor], count: int | None = None) -> None:
        memory = Memory(symbols.size if count is None else count, grids)
        with pytest.raises(ConditionError, match="the request that it began with"):
            HalfDrawn(symbols, 0.0, memory).check(bench.program, 30)

    # Then it is refused with other grids, or fewer
    refused(symbols, grids[:-1])
    refused(symbols, [*grids[:-1], grids[-1][..., :-1]])
    # And with other symbols than whole rows of known levels, less than an image of them
    refused(symbols[:7], grids)
    refused(symbols[:0], grids)
    refused(np.tile(symbols, 3)[:30], grids)
    refused(symbols.reshape(2, 6), grids)
    refused(symbols + 7, grids)
    refused(symbols - 7, grids)
    refused(symbols, grids, count=6)
