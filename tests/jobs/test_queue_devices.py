"""The laws of a queue, held by both kinds: units that broke, and devices that are to blame."""

import pytest

from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import OTHERS_FIRST, Lease, Order, Queue, QueuedJob
from ancestral.jobs.units import Unit
from tests.jobs.rigs import LEASE_SECONDS, TEN, Rig, add, beat, units_of

SICK = "node-1/cuda:0"
WELL = "node-2/cuda:0"


def break_on(queue: Queue, device: str, job_id: str = "job") -> Lease:
    """A unit that breaks on that device, though others may be ready for it."""
    (lease,) = queue.claim("ann", 1, job_id, device)
    assert queue.fail(lease, "broken")
    return lease


def put_on_probation(queue: Queue, device: str) -> None:
    """Let a unit break on that device, and be forgotten."""
    add(queue, "broken", units=1)
    break_on(queue, device, "broken")
    queue.forget("broken")


def show(queue: Queue, device: str) -> None:
    """Let the queue hear of a device."""
    queue.claim("bob", 1, "nobody", device)


# Another device first


def test_a_unit_is_not_given_to_the_device_that_it_broke_on_for_a_while(rig: Rig) -> None:
    add(rig.queue, units=1)
    show(rig.queue, WELL)
    broken = break_on(rig.queue, SICK)

    rig.pass_time(OTHERS_FIRST * LEASE_SECONDS - 100)
    show(rig.queue, WELL)
    assert rig.queue.claim("ann", 9, device=SICK) == []
    rig.pass_time(50)
    assert units_of(rig.queue.claim("bob", 9, device=WELL)) == [broken.unit]


def test_a_unit_that_nobody_else_took_comes_back_to_its_device(rig: Rig) -> None:
    add(rig.queue, units=1)
    broken = break_on(rig.queue, SICK)
    rig.pass_time(OTHERS_FIRST * LEASE_SECONDS - 100)
    show(rig.queue, WELL)
    assert rig.queue.claim("ann", 9, device=SICK) == []

    rig.pass_time(200)
    show(rig.queue, WELL)

    assert units_of(rig.queue.claim("ann", 9, device=SICK)) == [broken.unit]


@pytest.mark.parametrize("device", [SICK, ""])
def test_a_unit_does_not_wait_for_a_device_that_is_not_there(rig: Rig, device: str) -> None:
    add(rig.queue, units=1)
    show(rig.queue, WELL)
    rig.pass_time(LEASE_SECONDS + 100)
    broken = break_on(rig.queue, device)

    assert units_of(rig.queue.claim("ann", 9, device=device)) == [broken.unit]


def test_a_claim_that_names_no_device_takes_any_unit(queue: Queue) -> None:
    add(queue, units=1)
    show(queue, WELL)
    broken = break_on(queue, SICK)

    assert units_of(queue.claim("cyd", 9)) == [broken.unit]


def test_a_unit_passed_over_does_not_stand_in_the_way(queue: Queue) -> None:
    add(queue, "job", units=1, priority=1)
    add(queue, "other", units=1)
    show(queue, WELL)
    break_on(queue, SICK)

    assert [lease.job_id for lease in queue.claim("ann", 9, device=SICK)] == ["other"]


def test_a_unit_that_others_hand_back_does_not_return_to_its_device(queue: Queue) -> None:
    add(queue, units=1)
    show(queue, WELL)
    broken = break_on(queue, SICK)
    queue.release(queue.claim("bob", 1, device=WELL)[0])

    assert queue.claim("ann", 1, device=SICK) == []
    assert units_of(queue.claim("bob", 1, device=WELL)) == [broken.unit]


def test_a_device_that_draws_is_there_though_it_claims_nothing(rig: Rig) -> None:
    # Given a good device that is busy for longer than a lease
    add(rig.queue, units=2)
    (held,) = rig.queue.claim("bob", 1, device=WELL)
    for _ in range(2):
        rig.pass_time(LEASE_SECONDS - 100)
        assert beat(rig.queue, held) is Order.CONTINUE

    # When a unit breaks on another
    break_on(rig.queue, SICK)

    # Then it waits for the good one
    assert rig.queue.claim("ann", 1, device=SICK) == []


# Declined jobs


def decline(queue: Queue, device: str, job_id: str = "job") -> None:
    """Let a worker on that device leave a job to others."""
    (lease,) = queue.claim("bob", 1, job_id, device)
    assert queue.release(lease, "it cannot be drawn here")


def test_a_unit_does_not_wait_for_a_device_that_declined_its_job(queue: Queue) -> None:
    # Given a unit that broke, and another device, which declined the job
    add(queue, units=1)
    decline(queue, WELL)
    broken = break_on(queue, SICK)
    show(queue, WELL)

    # Then it is given to its device again at once
    (lease,) = queue.claim("ann", 1, device=SICK)
    assert lease.unit == broken.unit

    # But it waits for a third device
    queue.fail(lease, "broken")
    show(queue, "node-3/cuda:0")
    assert queue.claim("ann", 1, device=SICK) == []


def test_a_unit_waits_for_a_device_that_declined_another_job(queue: Queue) -> None:
    add(queue, units=1)
    add(queue, "other", units=1)
    decline(queue, WELL, "other")
    break_on(queue, SICK)

    assert queue.claim("ann", 1, "job", SICK) == []


def test_a_device_that_holds_a_unit_declines_its_job_no_more(queue: Queue) -> None:
    add(queue, units=2)
    decline(queue, WELL)
    queue.claim("bob", 1, device=WELL)

    break_on(queue, SICK)

    assert queue.claim("ann", 1, device=SICK) == []


@pytest.mark.parametrize("kept", [True, False])
def test_who_declined_a_job_is_forgotten_with_it_and_not_before(queue: Queue, kept: bool) -> None:
    # Given a job that was declined
    (unit,) = add(queue, units=1)
    decline(queue, WELL)

    # When it is built anew, or forgotten and built
    if not kept:
        queue.forget("job")
    assert queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 10), 2)
    assert queue.restore("job", 2, [unit])
    assert queue.end_rebuild("job", 2)

    # Then its units wait for that device only where it was forgotten
    break_on(queue, SICK)
    assert len(queue.claim("ann", 1, device=SICK)) == kept


# Blame


def blame(queue: Queue, job_id: str = "job") -> Unit:
    """A unit that breaks alone on a device and is completed on a good one."""
    put_on_probation(queue, SICK)
    broken = break_on(queue, SICK, job_id)
    queue.complete(job_id, broken.unit, TEN, WELL)
    return broken.unit


def test_a_device_on_which_two_units_broke_that_are_good_elsewhere_is_drained(
    queue: Queue,
) -> None:
    add(queue, "one", units=1)
    add(queue, "two", units=2)
    (held,) = queue.claim("ann", 1, "two", SICK)

    blame(queue, "one")
    assert queue.drained_devices() == {}
    assert beat(queue, held) is Order.CONTINUE
    blame(queue, "two")

    assert queue.drained_devices() == {
        SICK: ["one/000000000000-000000000010", "two/000000000010-000000000020"]
    }
    assert beat(queue, held, unbegun=9) is Order.DRAIN
    assert queue.release(held)
    assert queue.claim("ann", 9, device=SICK) == []
    assert queue.claim("ann", 9, "two", device=SICK) == []
    assert units_of(queue.claim("bob", 9, device=WELL)) == [held.unit]


def test_a_device_that_completes_units_is_well(queue: Queue) -> None:
    # Given a device against which one unit speaks
    add(queue, units=4)
    blame(queue)

    # When it completes another, and the next unit speaks against it
    (done,) = queue.claim("ann", 1, device=SICK)
    queue.complete("job", done.unit, TEN, SICK)
    blame(queue)

    # Then these were no two in a row
    assert queue.drained_devices() == {}
    assert len(queue.claim("ann", 1, device=SICK)) == 1


def test_a_drained_device_that_completes_a_unit_after_all_stays_drained(queue: Queue) -> None:
    add(queue, units=3)
    (held,) = queue.claim("ann", 1, device=SICK)
    for _ in range(2):
        blame(queue)

    queue.complete("job", held.unit, TEN, SICK)

    assert list(queue.drained_devices()) == [SICK]


def test_a_sick_device_hands_back_before_it_drains_and_drains_before_it_shares(
    queue: Queue,
) -> None:
    add(queue, units=1)
    (held,) = queue.claim("ann", 1, device=SICK)
    add(queue, "other", units=2)
    for _ in range(2):
        blame(queue, "other")
    queue.claim("bob", 1)

    assert beat(queue, held, unbegun=9) is Order.DRAIN
    queue.want("job", Wanted.PAUSE, 1)
    assert beat(queue, held, unbegun=9) is Order.HAND_BACK


def test_a_pardoned_device_gets_units_again(queue: Queue) -> None:
    add(queue, units=3)
    for _ in range(2):
        blame(queue)
    assert queue.claim("ann", 1, device=SICK) == []

    queue.pardon(SICK)

    assert queue.drained_devices() == {}
    assert len(queue.claim("ann", 1, device=SICK)) == 1
    queue.pardon("a device of which nothing was ever said")


def test_a_device_stays_drained_when_the_jobs_are_forgotten(queue: Queue) -> None:
    add(queue, units=2)
    for _ in range(2):
        blame(queue)

    queue.forget("job")

    assert list(queue.drained_devices()) == [SICK]


def test_a_unit_that_broke_on_both_speaks_against_itself(queue: Queue) -> None:
    for job_id in ("one", "two"):
        add(queue, job_id, units=1)
        for device in (SICK, WELL, SICK):
            (lease,) = queue.claim("ann", 1, job_id, device)
            queue.fail(lease, "broken")
        queue.complete(job_id, lease.unit, TEN, "node-3/cuda:0")

    assert queue.drained_devices() == {}


@pytest.mark.parametrize(("broke_on", "good_on"), [(SICK, SICK), ("", WELL), (SICK, "")])
def test_nobody_is_blamed_by_a_unit_that_is_good_nowhere_else(
    queue: Queue, broke_on: str, good_on: str
) -> None:
    add(queue, units=2)
    for _ in range(2):
        put_on_probation(queue, broke_on)
        (lease,) = queue.claim("ann", 1, device=broke_on)
        queue.fail(lease, "broken")
        queue.complete("job", lease.unit, TEN, good_on)

    assert queue.drained_devices() == {}


@pytest.mark.parametrize("end", ["reap", "expire"])
def test_a_lease_that_ran_out_is_a_unit_that_broke(rig: Rig, end: str) -> None:
    add(rig.queue, units=2)
    put_on_probation(rig.queue, SICK)
    for _ in range(2):
        (lease,) = rig.queue.claim("ann", 1, device=SICK)
        if end == "reap":
            rig.pass_time(LEASE_SECONDS + 100)
            assert rig.queue.reap() == 1
        else:
            assert rig.queue.expire("ann") == 1
        rig.queue.complete("job", lease.unit, TEN, WELL)

    assert list(rig.queue.drained_devices()) == [SICK]


def test_a_unit_blames_once_however_often_it_is_completed(queue: Queue) -> None:
    add(queue, units=1)
    unit = blame(queue)

    queue.complete("job", unit, TEN, WELL)

    assert queue.drained_devices() == {}


def test_units_that_share_rows_are_one_witness(queue: Queue) -> None:
    add(queue, units=1)
    queue.restore("job", 1, undecided=[Unit(0, 4), Unit(10, 14)])

    # The whole and a part of it, as an old queue may still have them both.
    for _ in range(2):
        blame(queue)
    assert queue.drained_devices() == {}

    blame(queue)
    assert list(queue.drained_devices()) == [SICK]


def test_the_witnesses_of_a_drained_device_are_a_few(queue: Queue) -> None:
    add(queue, units=4)
    put_on_probation(queue, SICK)
    leases = queue.claim("ann", 3, device=SICK)
    for lease in leases:
        queue.fail(lease, "broken")
    for lease in leases:
        queue.complete("job", lease.unit, TEN, WELL)

    assert queue.drained_devices() == {SICK: [f"job/{lease.unit.name}" for lease in leases[:2]]}
