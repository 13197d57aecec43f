"""Each way to give a unit back leaves the queue as it says; an exception finds the right one."""

from __future__ import annotations

import pytest

from ancestral.jobs.errors import (
    CorruptObject,
    NotFound,
    QueueMisconfigured,
    QueueUnavailable,
    StoreDenied,
    StoreUnavailable,
)
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import LONGEST_ERROR, Lease
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.errors import EncodeError
from ancestral.workers.events import Hiccup, UnitFailed, UnitLost, UnitReleased
from ancestral.workers.held import one_line
from tests.workers.hands import Hands, rows_record


def test_a_settled_unit_is_done() -> None:
    hands = Hands()

    hands.held.settle(hands.holds[0], rows_record(Unit(0, 2)))

    assert hands.states() == (0, 1, 1)
    assert hands.held.snapshot() == {hands.holds[1].lease: hands.holds[1]}
    assert not hands.holds[0].held


class Curious(MemoryQueue):
    """A queue that remembers which devices it was told of."""

    def complete(
        self,
        job_id: str,
        unit: Unit,
        counts: RowCounts,
        device: str = "",
        sampling_seconds: float = 0.0,
    ) -> None:
        self.devices = [*getattr(self, "devices", []), device]
        super().complete(job_id, unit, counts, device, sampling_seconds)


def test_a_unit_of_which_nothing_was_drawn_speaks_for_no_device() -> None:
    queue = Curious()
    hands = Hands(queue)

    hands.held.settle(hands.holds[0], rows_record(Unit(0, 2)))
    hands.held.settle(hands.holds[1], rows_record(Unit(2, 4), device="none"))

    assert queue.devices == ["host/cpu", ""]


def test_a_failed_unit_is_charged_and_rests() -> None:
    hands = Hands(rest_seconds=8)

    hands.held.fail(hands.holds[0], ValueError("no\nreally"))

    # It rests for half to the whole of its time.
    assert hands.queue.claim("bob", 1) == []
    hands.clock.now = 3.9
    assert hands.queue.claim("bob", 1) == []
    hands.clock.now = 8
    (lease,) = hands.queue.claim("bob", 1)
    assert (lease.attempts, lease.last_error) == (1, "ValueError: no\nreally")
    (event,) = hands.diary.of(UnitFailed)
    assert (event.unit, event.error) == (Unit(0, 2), "ValueError: no")
    assert "ValueError: no\nreally" in event.traceback


def test_the_charged_error_is_the_end_of_its_traceback() -> None:
    hands = Hands()

    with hands.held.boundary([hands.holds[0]]):
        raise ValueError("far too long " + "x" * LONGEST_ERROR + " at the end")

    error = hands.queue.claim("bob", 1)[0].last_error
    assert error is not None
    assert error.endswith("x at the end")
    assert len(error) == LONGEST_ERROR


def test_rests_grow_to_a_minute() -> None:
    hands = Hands(rest_seconds=8)
    hold = hands.holds[0]
    for _ in range(8):
        hands.held.fail(hold, ValueError("again"))
        hands.clock.now += 60
        leases = hands.queue.claim("ann", 2)
        (lease,) = [one for one in leases if one.unit == hold.lease.unit]
        hold = hands.held.add(lease)

    rests = [event.rest_seconds for event in hands.diary.of(UnitFailed)]
    assert all(low <= rest <= 2 * low for rest, low in zip(rests, (4, 8, 16), strict=False))
    assert all(30 <= rest <= 60 for rest in rests[3:])


def test_a_released_unit_is_ready_as_if_it_had_never_been_claimed() -> None:
    hands = Hands()

    hands.held.release(hands.holds[0], "not now")

    (lease,) = hands.queue.claim("bob", 1)
    assert (lease.unit, lease.attempts, lease.last_error) == (Unit(0, 2), 0, None)
    assert [event.reason for event in hands.diary.of(UnitReleased)] == ["not now"]


@pytest.mark.parametrize("again", ["fail", "release", "lose"])
def test_what_is_held_no_more_is_not_given_back_twice(again: str) -> None:
    hands = Hands()
    hold = hands.holds[0]
    hands.held.lose(hold, hold.lease)
    assert len(hands.diary.of(UnitLost)) == 1
    before = hands.states()

    match again:
        case "fail":
            hands.held.fail(hold, ValueError("late"))
        case "release":
            hands.held.release(hold, "late")
        case _:
            hands.held.lose(hold, hold.lease)

    assert len(hands.diary.events) == 1
    assert hands.states() == before


def test_an_exception_fails_the_units_it_concerns() -> None:
    hands = Hands()

    with hands.held.boundary([hands.holds[1]]) as boundary:
        raise EncodeError("blank")

    assert isinstance(boundary.error, EncodeError)
    assert [event.unit for event in hands.diary.of(UnitFailed)] == [Unit(2, 4)]
    assert hands.holds[0].held


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("503"),
        StoreDenied("not yours"),
        QueueUnavailable("refused"),
        QueueMisconfigured("it would evict"),
    ],
)
def test_trouble_of_the_surroundings_charges_nothing(error: Exception) -> None:
    hands = Hands()

    with hands.held.boundary(iter(hands.holds)):
        raise error

    assert [event.error for event in hands.diary.of(UnitReleased)] == [error, error]
    assert hands.held.troubles == 2
    assert [lease.attempts for lease in hands.queue.claim("bob", 2)] == [0, 0]


@pytest.mark.parametrize("error", [CorruptObject("not as written"), NotFound("gone")])
def test_an_object_that_is_wrong_is_no_such_trouble(error: Exception) -> None:
    hands = Hands()

    with hands.held.boundary([hands.holds[0]]):
        raise error

    assert len(hands.diary.of(UnitFailed)) == 1
    assert hands.held.troubles == 0


def test_an_interruption_goes_through() -> None:
    hands = Hands()

    with pytest.raises(KeyboardInterrupt), hands.held.boundary(hands.holds):
        raise KeyboardInterrupt

    assert len(hands.held.snapshot()) == 2


def test_without_an_exception_nothing_is_given_back() -> None:
    hands = Hands()

    with hands.held.boundary(hands.holds) as boundary:
        pass

    assert boundary.error is None
    assert hands.states() == (0, 2, 0)


class Gone(MemoryQueue):
    """A queue that cannot be told anything."""

    def complete(
        self,
        job_id: str,
        unit: Unit,
        counts: RowCounts,
        device: str = "",
        sampling_seconds: float = 0.0,
    ) -> None:
        raise QueueUnavailable("refused")

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        raise QueueUnavailable("refused")

    def release(self, lease: Lease) -> bool:
        raise QueueUnavailable("refused")


def test_a_queue_that_is_gone_is_told_of_and_stops_nobody() -> None:
    hands = Hands(Gone())
    settled, broken = hands.holds

    hands.held.settle(settled, rows_record(Unit(0, 2)))
    hands.held.fail(broken, ValueError("no"))

    assert hands.held.empty
    assert [(event.doing, event.retry_seconds) for event in hands.diary.of(Hiccup)] == [
        ("completing unit 000000000000-000000000002 of job job", None),
        ("failing unit 000000000002-000000000004 of job job", None),
    ]


def test_an_error_in_one_line() -> None:
    assert one_line(ValueError("first\nsecond")) == "ValueError: first"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(StoreUnavailable("cannot write: make room")) == "cannot write: make room"
