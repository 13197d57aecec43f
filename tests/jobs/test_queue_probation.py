"""The laws of a queue, held by both kinds: who is drawn alone, so that a break is its own."""

import pytest

from ancestral.jobs.queue import MOST_ON_PROBATION, Lease, Order, Queue
from ancestral.jobs.units import RowCounts, Unit
from tests.jobs.rigs import LEASE_SECONDS, TEN, Rig, add, beat, units_of

SUSPECT = "node-1/cuda:0"
OTHER = "node-2/cuda:0"


def break_on(queue: Queue, device: str) -> Lease:
    """The next unit breaks on that device."""
    (lease,) = queue.claim("ann", 1, device=device)
    assert queue.fail(lease, "broken")
    return lease


def is_on_probation(queue: Queue, device: str) -> bool:
    """Whether a unit that never broke has to be drawn alone on that device."""
    (lease,) = queue.claim("eve", 1, device=device)
    assert lease.attempts == 0
    assert queue.release(lease)
    return lease.alone


# Who is drawn alone


@pytest.mark.parametrize("end", ["fail", "reap", "expire"])
def test_a_charge_puts_the_device_on_probation(rig: Rig, end: str) -> None:
    add(rig.queue, units=3)
    (lease,) = rig.queue.claim("ann", 1, device=SUSPECT)
    assert not lease.alone

    match end:
        case "fail":
            assert rig.queue.fail(lease, "broken")
        case "reap":
            rig.pass_time(LEASE_SECONDS + 100)
            assert rig.queue.reap() == 1
        case _:
            assert rig.queue.expire("ann") == 1

    assert is_on_probation(rig.queue, SUSPECT)
    assert not is_on_probation(rig.queue, OTHER)


def test_a_release_puts_no_device_on_probation(queue: Queue) -> None:
    add(queue)
    queue.release(queue.claim("ann", 1, device=SUSPECT)[0])

    assert not is_on_probation(queue, SUSPECT)


def test_what_names_no_device_is_on_no_probation(queue: Queue) -> None:
    add(queue)
    break_on(queue, "")

    assert not is_on_probation(queue, "")


def test_a_unit_that_was_charged_is_drawn_alone_everywhere(queue: Queue) -> None:
    add(queue, units=1)
    break_on(queue, SUSPECT)

    assert [lease.alone for lease in queue.claim("bob", 1, device=OTHER)] == [True]


def test_a_half_that_was_charged_from_the_start_is_drawn_alone(queue: Queue) -> None:
    add(queue, units=1)
    queue.split("job", Unit(0, 10), 9, attempts=1, last_error="broken")

    assert [(lease.unit.rows, lease.alone) for lease in queue.claim("ann", 2)] == [
        (1, False),
        (9, True),
    ]


def test_on_probation_nothing_is_claimed_among_others(queue: Queue) -> None:
    units = add(queue)
    break_on(queue, SUSPECT)

    assert queue.claim("ann", 9, device=SUSPECT, among_others=True) == []
    assert queue.claim("ann", 9, "job", SUSPECT, among_others=True) == []
    assert units_of(queue.claim("bob", 9, device=OTHER, among_others=True)) == units[1:]


def test_a_claim_that_probation_refuses_asks_nobody_to_share_and_copies_nothing(rig: Rig) -> None:
    # Given a slow unit with rows to share, and nothing that is ready.
    add(rig.queue, units=5)
    break_on(rig.queue, SUSPECT)
    slow, *others = rig.queue.claim("bob", 5)
    rig.pass_time(100)
    for lease in others:
        rig.queue.complete("job", lease.unit, TEN)
    rig.pass_time(500)

    assert rig.queue.claim("ann", 1, device=SUSPECT, among_others=True) == []

    assert beat(rig.queue, slow, unbegun=9) is Order.CONTINUE
    # With empty hands it gets the copy, to be drawn alone.
    (copy,) = rig.queue.claim("ann", 1, device=SUSPECT)
    assert (copy.unit, copy.copy, copy.alone) == (slow.unit, True, True)


def test_units_are_left_to_a_device_on_probation_too(queue: Queue) -> None:
    add(queue, units=2)
    break_on(queue, SUSPECT)
    break_on(queue, OTHER)

    queue.claim("ann", 1, device=SUSPECT, among_others=True)

    assert queue.claim("bob", 1, device=OTHER)[0].unit == Unit(0, 10)
    assert queue.claim("bob", 1, device=OTHER) == []


def test_what_is_kept_of_a_split_is_drawn_as_the_whole_was(queue: Queue) -> None:
    add(queue, units=3)
    among, broken = queue.claim("ann", 2, device=SUSPECT)
    queue.fail(broken, "broken")
    (alone,) = queue.claim("ann", 1, device=SUSPECT)
    queue.complete("job", broken.unit, TEN, SUSPECT)

    for lease, expected in ((among, False), (alone, True)):
        for _ in range(2):  # said again, it is the same
            kept = queue.split("job", lease.unit, lease.unit.start + 4, keep=lease)
            assert kept is not None
            assert kept.alone is expected


def test_a_claim_said_again_tells_again_who_is_drawn_alone(queue: Queue) -> None:
    add(queue)
    break_on(queue, SUSPECT)
    leases = queue.claim("ann", 1, device=SUSPECT, ticket="a")
    queue.complete("job", Unit(0, 10), TEN, SUSPECT)

    assert queue.claim("ann", 1, device=SUSPECT, ticket="a") == leases
    assert leases[0].alone


# How probation ends


def test_probation_ends_when_a_unit_is_completed_on_the_device(queue: Queue) -> None:
    add(queue, units=4)
    break_on(queue, SUSPECT)
    first, second = queue.claim("ann", 2, device=SUSPECT)

    queue.complete("job", first.unit, TEN, OTHER)
    queue.complete("job", first.unit, TEN, SUSPECT)  # it was counted before
    assert is_on_probation(queue, SUSPECT)
    queue.complete("job", second.unit, TEN, SUSPECT)

    assert not is_on_probation(queue, SUSPECT)
    # The next charge begins another.
    break_on(queue, SUSPECT)
    assert queue.claim("ann", 1, device=SUSPECT, among_others=True) == []


def test_a_unit_that_was_restored_as_decided_ends_probation_when_it_is_counted(
    queue: Queue,
) -> None:
    add(queue, units=3)
    break_on(queue, SUSPECT)
    queue.restore("job", 1, rows=[Unit(10, 20)])
    assert is_on_probation(queue, SUSPECT)

    queue.complete("job", Unit(10, 20), RowCounts(failed=10), SUSPECT)

    assert not is_on_probation(queue, SUSPECT)


def test_what_a_split_unit_or_an_unknown_job_completes_ends_no_probation(queue: Queue) -> None:
    add(queue, units=3)
    break_on(queue, SUSPECT)
    queue.split("job", Unit(10, 20), 14)

    queue.complete("job", Unit(10, 20), TEN, SUSPECT)
    queue.complete("nobody", Unit(0, 10), TEN, SUSPECT)

    assert is_on_probation(queue, SUSPECT)


def test_a_pardon_ends_probation(queue: Queue) -> None:
    add(queue)
    break_on(queue, SUSPECT)

    queue.pardon(SUSPECT)

    assert not is_on_probation(queue, SUSPECT)


def test_probation_outlasts_the_job_and_a_long_silence(rig: Rig) -> None:
    add(rig.queue, units=1)
    break_on(rig.queue, SUSPECT)
    rig.queue.forget("job")
    rig.pass_time(9 * LEASE_SECONDS)
    add(rig.queue, "other")

    assert is_on_probation(rig.queue, SUSPECT)


def test_the_devices_on_probation_are_those_of_the_latest_charges(queue: Queue) -> None:
    # Given as many as are kept, the first of them charged twice, and one more
    add(queue, "broken", units=1)
    add(queue)
    names = [f"node-{number}/cpu" for number in range(MOST_ON_PROBATION)]
    for device in (*names, names[0], SUSPECT):
        queue.fail(queue.claim("ann", 1, "broken", device)[0], "broken")
    queue.forget("broken")

    assert not is_on_probation(queue, names[1])
    assert is_on_probation(queue, names[0])
    assert is_on_probation(queue, names[2])
    assert is_on_probation(queue, SUSPECT)


# Whom a break blames


def test_a_break_among_others_blames_nobody(queue: Queue) -> None:
    add(queue)
    leases = queue.claim("ann", 3, device=SUSPECT)
    for lease in leases:
        queue.fail(lease, "broken")
    for lease in leases:
        queue.complete("job", lease.unit, TEN, OTHER)

    assert queue.drained_devices() == {}


def test_a_sick_device_is_drained_by_two_units_that_broke_on_it_alone(queue: Queue) -> None:
    units = add(queue, units=4)
    together = queue.claim("ann", 2, device=SUSPECT)
    for lease in together:
        queue.fail(lease, "broken")
    alone = [break_on(queue, SUSPECT) for _ in range(2)]

    for lease in (*together, *alone):
        queue.complete("job", lease.unit, TEN, OTHER)

    assert queue.drained_devices() == {SUSPECT: [f"job/{unit.name}" for unit in units[2:]]}


def test_poison_drains_none_of_the_devices_that_innocents_shared_with_it(queue: Queue) -> None:
    # Given units of poison, each of which breaks an innocent beside it, and then alone.
    for job_id in ("one", "two", "three"):
        poison, innocent, other = add(queue, job_id)
        for lease in queue.claim("ann", 2, job_id, SUSPECT):
            assert not lease.alone
            queue.fail(lease, "crashed")
        (lease,) = queue.claim("ann", 1, job_id, SUSPECT)
        assert (lease.unit, lease.alone) == (other, True)
        queue.complete(job_id, other, TEN, SUSPECT)
        for lease in queue.claim("bob", 2, job_id, OTHER):
            assert lease.alone
            if lease.unit == poison:
                queue.fail(lease, "crashed")
        queue.complete(job_id, innocent, TEN, OTHER)
        queue.complete(job_id, poison, RowCounts(failed=10))

    assert queue.drained_devices() == {}
