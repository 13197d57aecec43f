"""The laws of a queue, held by both kinds: nobody is charged for a time in which all slept."""

from collections.abc import Callable

import pytest

from ancestral.jobs.queue import SILENCE, Order, Queue
from tests.jobs.rigs import LEASE_SECONDS, STALL_SECONDS, Rig, add, beat, standing

NIGHT = max(SILENCE * LEASE_SECONDS, STALL_SECONDS) + 100


@pytest.mark.parametrize(
    "speak",
    [lambda queue: queue.reap(), lambda queue: queue.claim("bob", 0)],
    ids=["reap", "claim"],
)
def test_after_a_night_all_leases_stand_whoever_speaks_first(
    rig: Rig, speak: Callable[[Queue], object]
) -> None:
    add(rig.queue, units=150)
    leases = [lease for _ in range(2) for lease in rig.queue.claim("ann", 100)]

    for moved in (1, 2):
        rig.pass_time(NIGHT)
        speak(rig.queue)
        assert rig.queue.reap() == 0
        assert [beat(rig.queue, lease, moved) for lease in leases] == [Order.CONTINUE] * 150

    assert rig.queue.release(leases[0])
    assert [lease.attempts for lease in rig.queue.claim("bob", 1)] == [0]


def test_a_heartbeat_after_a_night_saves_the_leases_of_others(rig: Rig) -> None:
    add(rig.queue, units=2)
    (early,), (late,) = rig.queue.claim("ann", 1), rig.queue.claim("bob", 1)

    rig.pass_time(NIGHT)
    beat(rig.queue, early)

    assert rig.queue.reap() == 0
    assert beat(rig.queue, late) is Order.CONTINUE


def test_who_stays_silent_after_a_night_loses_its_unit_one_lease_later(rig: Rig) -> None:
    add(rig.queue, units=150)
    for _ in range(2):
        rig.queue.claim("ann", 100)
    rig.pass_time(NIGHT)
    assert rig.queue.reap() == 0

    rig.pass_time(LEASE_SECONDS - 100)
    assert rig.queue.reap() == 0
    rig.pass_time(200)

    assert [rig.queue.reap(), rig.queue.reap()] == [100, 50]
    assert standing(rig.queue) == (150, 0, 0)


def test_who_is_silent_while_another_speaks_has_not_slept(rig: Rig) -> None:
    add(rig.queue, units=2)
    rig.queue.claim("ann", 1)
    (lease,) = rig.queue.claim("bob", 1)

    rig.pass_time(SILENCE * LEASE_SECONDS - 100)
    beat(rig.queue, lease)
    rig.pass_time(200)

    assert rig.queue.reap() == 1
    assert standing(rig.queue) == (1, 1, 0)


def test_a_night_is_no_time_without_progress(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    beat(rig.queue, lease, moved=7)

    rig.pass_time(NIGHT)
    beat(rig.queue, lease, moved=7)
    rig.pass_time(1000)
    beat(rig.queue, lease, moved=7)
    rig.pass_time(1000)

    assert rig.queue.reap() == 0


def test_a_worker_that_is_known_to_be_dead_gets_no_more_time(rig: Rig) -> None:
    add(rig.queue, units=1)
    rig.queue.claim("ann", 1)
    rig.pass_time(NIGHT)
    assert rig.queue.reap() == 0

    assert rig.queue.expire("ann") == 1
