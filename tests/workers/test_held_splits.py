"""Units that are split while they are held, whatever happens in the middle of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import astuple
from typing import Any

from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease
from ancestral.jobs.units import Unit
from ancestral.workers.events import UnitLost
from tests.workers.hands import Hands, split_record


def test_the_first_half_of_a_split_unit_can_go_on_being_held() -> None:
    hands = Hands()
    hold = hands.holds[0]
    before = hold.lease

    assert hands.held.split(hold, split_record(Unit(0, 2), 1), keep=True)

    assert (hold.held, hold.lease.unit) == (True, Unit(0, 1))
    assert hold.lease.fence > before.fence
    assert set(hands.held.snapshot()) == {hold.lease, hands.holds[1].lease}
    assert hands.states() == (1, 2, 0)
    # What a heartbeat still has to say of the old lease does not matter.
    hands.held.lose(hold, before)
    assert hold.held


def test_both_halves_of_a_split_unit_can_be_left_to_others() -> None:
    hands = Hands()

    assert not hands.held.split(hands.holds[0], split_record(Unit(0, 2), 1), keep=False)

    assert hands.states() == (2, 1, 0)
    assert not hands.holds[0].held
    assert hands.diary.events == []


def test_a_unit_that_was_lost_before_it_is_split_stays_lost() -> None:
    hands = Hands()
    hands.clock.now = 61
    hands.queue.reap()

    assert not hands.held.split(hands.holds[0], split_record(Unit(0, 2), 1), keep=True)

    assert hands.states() == (3, 0, 0)
    assert [event.unit for event in hands.diary.of(UnitLost)] == [Unit(0, 2)]


class Interrupted(MemoryQueue):
    """A queue during whose split something else happens."""

    meanwhile: Callable[[], object] | None = None

    def split(self, *given: Any, **named: Any) -> Lease | None:
        lease = super().split(*given, **named)
        assert self.meanwhile is not None
        self.meanwhile()
        return lease


def test_a_heartbeat_that_comes_in_the_middle_of_a_split_loses_nothing() -> None:
    queue = Interrupted()
    hands = Hands(queue)
    hold, old = hands.holds[0], hands.holds[0].lease
    queue.meanwhile = lambda: hands.held.lose(hold, old)

    assert hands.held.split(hold, split_record(Unit(0, 2), 1), keep=True)

    assert hold.held
    assert hands.diary.of(UnitLost) == []


class Compared(Lease):
    """A lease, and what happens while it is compared to another."""

    meanwhile: Callable[[], object]

    def __eq__(self, other: object) -> bool:
        self.meanwhile()
        return isinstance(other, Lease) and astuple(self) == astuple(other)

    __hash__ = Lease.__hash__


def test_a_split_that_ends_while_a_heartbeat_looks_at_the_lease_loses_nothing() -> None:
    # Given a split that the queue has not answered yet
    queue, told, may_end = Interrupted(), threading.Event(), threading.Event()
    hands = Hands(queue)
    hold = hands.holds[0]
    queue.meanwhile = lambda: (told.set(), may_end.wait(60))
    with ThreadPoolExecutor(1) as pool:
        splitting = pool.submit(hands.held.split, hold, split_record(Unit(0, 2), 1), keep=True)
        assert told.wait(60)

        # When a heartbeat calls the old lease lost, and the split tries to end just then
        old = Compared(**vars(hold.lease))

        def end() -> None:
            may_end.set()
            wait([splitting], 0.1)

        object.__setattr__(old, "meanwhile", end)
        hands.held.lose(hold, old)
        may_end.set()

        # Then the half that is kept is held
        assert splitting.result()
    assert hold.held
    assert hands.diary.of(UnitLost) == []


def test_a_unit_that_is_handed_back_in_the_middle_of_a_split_is_not_kept() -> None:
    queue = Interrupted()
    hands = Hands(queue)
    hold = hands.holds[0]
    queue.meanwhile = lambda: hands.held.release(hold, "paused")

    assert not hands.held.split(hold, split_record(Unit(0, 2), 1), keep=True)

    # Both halves are there for others, without a charge.
    assert hands.states() == (2, 1, 0)
    assert [lease.attempts for lease in hands.queue.claim("bob", 2)] == [0, 0]
