"""Each way to give a unit back leaves the queue as it says; an exception finds the right one."""

from __future__ import annotations

import pytest

from ancestral.jobs.errors import QueueUnavailable, StoreUnavailable
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.errors import EncodeError
from ancestral.workers.events import Hiccup, UnitFailed, UnitLost, UnitReleased
from ancestral.workers.held import HeldLeases, one_line
from ancestral.workers.patience import Patience
from tests.workers.fakes import Clock, Diary


class Hands:
    """A queue with two units of a job, both of them held."""

    def __init__(self, queue: MemoryQueue | None = None, rest_seconds: float = 0.0) -> None:
        self.clock = Clock()
        self.queue = queue or MemoryQueue(clock=self.clock)
        self.diary = Diary()
        patience = Patience("ann", self.diary, seconds=0.0)
        self.held = HeldLeases(self.queue, "ann", self.diary, patience, rest_seconds)
        self.queue.add_job("job", "lake", 0, 3)
        self.queue.add_units("job", [Unit(0, 2), Unit(2, 4)])
        self.leases = self.queue.claim("ann", 2)
        for lease in self.leases:
            self.held.add(lease)

    def states(self) -> tuple[int, int, int]:
        counts = self.queue.counts("job")
        return counts.ready, counts.leased, counts.done


def test_a_settled_unit_is_done() -> None:
    hands = Hands()

    hands.held.settle(hands.leases[0], RowCounts(ok=2))

    assert hands.states() == (0, 1, 1)
    assert hands.held.snapshot() == [hands.leases[1]]


def test_a_failed_unit_is_charged_and_rests() -> None:
    hands = Hands(rest_seconds=8)

    hands.held.fail(hands.leases[0], ValueError("no\nreally"))

    # It rests for half to the whole of its time.
    assert hands.queue.claim("bob", 1) == []
    hands.clock.now = 3.9
    assert hands.queue.claim("bob", 1) == []
    hands.clock.now = 8
    (lease,) = hands.queue.claim("bob", 1)
    assert (lease.attempts, lease.last_error) == (1, "ValueError: no")
    (event,) = hands.diary.of(UnitFailed)
    assert (event.unit, event.error) == (Unit(0, 2), "ValueError: no")
    assert "ValueError: no\nreally" in event.traceback


def test_rests_grow_to_a_minute() -> None:
    hands = Hands(rest_seconds=8)
    lease = hands.leases[0]
    for _ in range(8):
        hands.held.fail(lease, ValueError("again"))
        hands.clock.now += 60
        (lease,) = [one for one in hands.queue.claim("ann", 2) if one.unit == lease.unit]
        hands.held.add(lease)

    rests = [event.rest_seconds for event in hands.diary.of(UnitFailed)]
    assert all(low <= rest <= 2 * low for rest, low in zip(rests, (4, 8, 16), strict=False))
    assert all(30 <= rest <= 60 for rest in rests[3:])


def test_a_released_unit_is_ready_as_if_it_had_never_been_claimed() -> None:
    hands = Hands()

    hands.held.release(hands.leases[0], "not now")

    (lease,) = hands.queue.claim("bob", 1)
    assert (lease.unit, lease.attempts, lease.last_error) == (Unit(0, 2), 0, None)
    assert [event.reason for event in hands.diary.of(UnitReleased)] == ["not now"]


@pytest.mark.parametrize("again", ["fail", "release", "lose"])
def test_what_is_held_no_more_is_not_given_back_twice(again: str) -> None:
    hands = Hands()
    lease = hands.leases[0]
    hands.held.lose(lease)
    assert len(hands.diary.of(UnitLost)) == 1
    before = hands.states()

    match again:
        case "fail":
            hands.held.fail(lease, ValueError("late"))
        case "release":
            hands.held.release(lease, "late")
        case _:
            hands.held.lose(lease)

    assert len(hands.diary.events) == 1
    assert hands.states() == before


def test_an_exception_fails_the_units_it_concerns() -> None:
    hands = Hands()

    with hands.held.boundary([hands.leases[1]]) as boundary:
        raise EncodeError("blank")

    assert isinstance(boundary.error, EncodeError)
    assert [event.unit for event in hands.diary.of(UnitFailed)] == [Unit(2, 4)]
    assert hands.leases[0] in hands.held


@pytest.mark.parametrize("error", [StoreUnavailable("503"), QueueUnavailable("refused")])
def test_what_passes_by_itself_charges_nothing(error: Exception) -> None:
    hands = Hands()

    with hands.held.boundary(iter(hands.leases)):
        raise error

    assert len(hands.diary.of(UnitReleased)) == 2
    assert [lease.attempts for lease in hands.queue.claim("bob", 2)] == [0, 0]


def test_an_interruption_goes_through() -> None:
    hands = Hands()

    with pytest.raises(KeyboardInterrupt), hands.held.boundary(hands.leases):
        raise KeyboardInterrupt

    assert hands.held.snapshot() != []


def test_without_an_exception_nothing_is_given_back() -> None:
    hands = Hands()

    with hands.held.boundary(hands.leases) as boundary:
        pass

    assert boundary.error is None
    assert hands.states() == (0, 2, 0)


class Gone(MemoryQueue):
    """A queue that cannot be told anything."""

    def complete(self, job_id: str, unit: Unit, counts: RowCounts) -> None:
        raise QueueUnavailable("refused")

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        raise QueueUnavailable("refused")

    def release(self, lease: Lease) -> bool:
        raise QueueUnavailable("refused")


def test_a_queue_that_is_gone_is_told_of_and_stops_nobody() -> None:
    hands = Hands(Gone())
    settled, broken = hands.leases

    hands.held.settle(settled, RowCounts(ok=2))
    hands.held.fail(broken, ValueError("no"))

    assert hands.held.snapshot() == []
    assert [(event.doing, event.retry_seconds) for event in hands.diary.of(Hiccup)] == [
        ("completing unit 000000000000-000000000002 of job job", None),
        ("failing unit 000000000002-000000000004 of job job", None),
    ]


def test_an_error_in_one_line() -> None:
    assert one_line(ValueError("first\nsecond")) == "ValueError: first"
    assert one_line(ValueError()) == "ValueError"
