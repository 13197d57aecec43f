"""The laws of a queue, held by both kinds: sharing, copies and sizes when little is left."""

import pytest

from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import MEDIAN_UNITS, Lease, Order, Queue
from ancestral.jobs.units import RowCounts, Unit
from tests.jobs.rigs import LEASE_SECONDS, TEN, Rig, add, beat, standing, units_of

# Sharing


def test_a_holder_shares_once_for_each_claim_that_found_nothing(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    assert beat(queue, lease, unbegun=9) is Order.CONTINUE

    assert queue.claim("bob", 1) == []
    assert beat(queue, lease, unbegun=1) is Order.CONTINUE  # nothing to share
    assert beat(queue, lease, unbegun=2) is Order.SHARE
    assert beat(queue, lease, unbegun=2) is Order.CONTINUE

    assert queue.claim("bob", 1, "job") == []
    assert beat(queue, lease, unbegun=2) is Order.SHARE


def test_nobody_shares_with_a_worker_that_may_be_gone(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    rig.queue.claim("bob", 1)

    rig.pass_time(LEASE_SECONDS - 100)
    beat(rig.queue, lease, unbegun=0)
    rig.pass_time(200)

    assert beat(rig.queue, lease, unbegun=9) is Order.CONTINUE


def test_nobody_shares_with_itself(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)

    assert queue.claim("ann", 1) == []

    assert beat(queue, lease, unbegun=9) is Order.CONTINUE


def test_only_jobs_that_may_be_claimed_from_are_shared(queue: Queue) -> None:
    for job_id in ("named", "other", "paused"):
        add(queue, job_id, units=1)
    leases = queue.claim("ann", 3)

    queue.want("paused", Wanted.PAUSE, 1)
    queue.claim("bob", 1, "named")
    queue.claim("bob", 1, "paused")

    orders = [beat(queue, lease, unbegun=9) for lease in leases]
    assert orders == [Order.SHARE, Order.CONTINUE, Order.HAND_BACK]


def test_a_claim_that_finds_nothing_asks_the_holders_of_all_jobs(queue: Queue) -> None:
    for job_id in ("one", "two"):
        add(queue, job_id, units=1)
    leases = queue.claim("ann", 2)

    queue.claim("bob", 1)

    assert [beat(queue, lease, unbegun=9) for lease in leases] == [Order.SHARE] * 2


def test_handing_back_comes_before_sharing_which_is_not_forgotten(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.claim("bob", 1)
    queue.want("job", Wanted.PAUSE, 1)

    assert beat(queue, lease, unbegun=9) is Order.HAND_BACK

    queue.want("job", Wanted.RUN, 2)
    assert beat(queue, lease, unbegun=9) is Order.SHARE


def test_nobody_shares_while_charged_units_wait_for_empty_hands(queue: Queue) -> None:
    add(queue, units=2)
    held, failed = queue.claim("ann", 2)
    queue.fail(failed, "broken")

    assert queue.claim("bob", 1, among_others=True) == []

    assert beat(queue, held, unbegun=9) is Order.CONTINUE


# Copies


def have_slow_unit(rig: Rig, completed: int = 3, seconds: float = 250.0) -> Lease:
    """A lease that lasts for `seconds` in a job whose other units took 100 of them."""
    add(rig.queue, units=completed + 1)
    slow, *others = rig.queue.claim("ann", completed + 1)
    rig.pass_time(100)
    for lease in others:
        rig.queue.complete("job", lease.unit, TEN)
    rig.pass_time(seconds - 100)
    return slow


def test_a_slow_unit_is_given_to_a_second_worker_too(rig: Rig) -> None:
    slow = have_slow_unit(rig)

    (copy,) = rig.queue.claim("bob", 5)

    assert (copy.unit, copy.worker, copy.copy) == (slow.unit, "bob", True)
    assert copy.fence > slow.fence
    assert standing(rig.queue) == (0, 1, 3)
    assert beat(rig.queue, slow) is Order.CONTINUE
    assert beat(rig.queue, copy) is Order.CONTINUE
    rig.pass_time(500)
    assert rig.queue.claim("cyd", 5) == []  # it has one already


def test_a_unit_that_is_not_slow_is_not_copied(rig: Rig) -> None:
    have_slow_unit(rig, seconds=190)
    assert rig.queue.claim("bob", 5) == []

    rig.pass_time(20)

    assert len(rig.queue.claim("bob", 5, "job")) == 1


def test_two_units_are_too_few_to_tell_what_is_slow(rig: Rig) -> None:
    have_slow_unit(rig, completed=2, seconds=1000)

    assert rig.queue.counts("job").pace is None
    assert rig.queue.claim("bob", 5) == []


def test_the_pace_is_the_median_of_those_that_were_completed(rig: Rig) -> None:
    add(rig.queue, units=5)
    leases = rig.queue.claim("ann", 5)
    for lease, seconds in zip(leases, (100, 300, 600), strict=False):
        rig.pass_time(seconds)
        rig.queue.complete("job", lease.unit, TEN)

    # Units of ten rows were held for 100, 400 and 1,000 seconds
    assert rig.queue.counts("job").pace == pytest.approx(40, abs=1)


def test_a_worker_is_not_given_a_copy_of_its_own_unit(rig: Rig) -> None:
    have_slow_unit(rig)

    assert rig.queue.claim("ann", 5) == []


def test_a_unit_is_copied_only_when_nothing_else_is_ready(rig: Rig) -> None:
    add(rig.queue, "other", units=1, priority=-1)
    have_slow_unit(rig)

    claims = [rig.queue.claim("bob", 5) for _ in range(2)]

    assert [[lease.job_id for lease in claim] for claim in claims] == [["other"], ["job"]]


def test_a_unit_of_a_job_that_is_left_to_others_is_not_copied(rig: Rig) -> None:
    have_slow_unit(rig)

    assert rig.queue.claim("bob", 5, without=["job"]) == []
    assert len(rig.queue.claim("bob", 5)) == 1


def test_a_unit_that_was_charged_is_not_copied(rig: Rig) -> None:
    add(rig.queue, units=4)
    rig.queue.fail(rig.queue.claim("ann", 1)[0], "broken")
    *others, charged = rig.queue.claim("ann", 4)
    assert charged.attempts == 1
    rig.pass_time(100)
    for lease in others:
        rig.queue.complete("job", lease.unit, TEN)
    rig.pass_time(500)

    assert rig.queue.claim("bob", 1) == []
    assert beat(rig.queue, charged, unbegun=9) is Order.SHARE


def test_what_is_slow_is_measured_by_rows(rig: Rig) -> None:
    add(rig.queue, units=4)
    whole, *others = rig.queue.claim("ann", 4)
    kept = rig.queue.split("job", whole.unit, 2, keep=whole)
    assert kept is not None
    half = rig.queue.claim("ann", 1)[0]
    rig.pass_time(100)
    for lease in others:
        rig.queue.complete("job", lease.unit, TEN)

    # Of two rows 40 seconds are expected, of eight rows 160; a copy is given beyond 2 of that.
    assert units_of(rig.queue.claim("bob", 5)) == [kept.unit]
    assert rig.queue.claim("cyd", 5) == []
    rig.pass_time(100)
    assert units_of(rig.queue.claim("cyd", 5)) == [half.unit]


def test_the_median_is_that_of_the_latest_units(rig: Rig) -> None:
    add(rig.queue, units=2 * MEDIAN_UNITS + 1)
    last = rig.queue.claim("zoe", 1)[0]
    for seconds in (10.0, 1000.0):
        for lease in rig.queue.claim("ann", MEDIAN_UNITS):
            rig.pass_time(seconds / MEDIAN_UNITS)
            rig.queue.complete("job", lease.unit, TEN)
    beat(rig.queue, last)

    # The last 31 took from 32 to 1000 seconds, the 31 before them ten at most.
    assert rig.queue.claim("bob", 1) == []
    rig.pass_time(100)
    assert units_of(rig.queue.claim("bob", 1)) == [last.unit]


@pytest.mark.parametrize("survivor", ["original", "copy"])
@pytest.mark.parametrize("end", ["fail", "release", "expire", "reap"])
def test_of_two_leases_one_may_end_and_the_other_goes_on(rig: Rig, survivor: str, end: str) -> None:
    original = have_slow_unit(rig)
    (copy,) = rig.queue.claim("bob", 1)
    ends, stays = (copy, original) if survivor == "original" else (original, copy)

    match end:
        case "fail":
            assert rig.queue.fail(ends, "broken")
        case "release":
            assert rig.queue.release(ends)
        case "expire":
            assert rig.queue.expire(ends.worker) == 1
        case _:
            rig.pass_time(LEASE_SECONDS - 100)
            beat(rig.queue, stays)
            rig.pass_time(200)
            assert rig.queue.reap() == 1

    assert standing(rig.queue) == (0, 1, 3)
    assert beat(rig.queue, ends) is Order.LOST
    assert beat(rig.queue, stays) is Order.CONTINUE
    # Only the last one standing charges the unit.
    assert rig.queue.fail(stays, "broken at last")
    (lease,) = rig.queue.claim("cyd", 1)
    assert (lease.unit, lease.copy) == (stays.unit, False)
    assert (lease.attempts, lease.last_error) == (1, "broken at last")


def test_two_leases_that_run_out_together_charge_once(rig: Rig) -> None:
    original = have_slow_unit(rig)
    rig.queue.claim("bob", 1)
    rig.pass_time(LEASE_SECONDS + 100)

    assert rig.queue.reap() == 2

    (lease,) = rig.queue.claim("cyd", 1)
    assert (lease.unit, lease.attempts) == (original.unit, 1)
    assert lease.last_error == "lease expired: the worker bob went silent"


@pytest.mark.parametrize("broken", ["original", "copy"])
@pytest.mark.parametrize("end", ["fail", "expire"])
def test_the_last_lease_standing_is_not_copied_again(rig: Rig, broken: str, end: str) -> None:
    # Else two workers that break by turns would never charge it.
    original = have_slow_unit(rig)
    (copy,) = rig.queue.claim("bob", 1)
    ends, stays = (copy, original) if broken == "copy" else (original, copy)
    if end == "fail":
        rig.queue.fail(ends, "broken")
    else:
        rig.queue.expire(ends.worker)
    rig.pass_time(1000)
    beat(rig.queue, stays)

    assert rig.queue.claim("cyd", 1) == []
    assert rig.queue.claim(ends.worker, 1) == []

    # Released, it is as good as new.
    rig.queue.release(stays)
    (again,) = rig.queue.claim("dan", 1)
    rig.pass_time(1000)
    (copy,) = rig.queue.claim("cyd", 1)
    assert (copy.unit, copy.copy, copy.attempts) == (again.unit, True, 0)


@pytest.mark.parametrize("end", ["fail", "expire"])
def test_one_of_two_leases_puts_no_device_on_probation(rig: Rig, end: str) -> None:
    have_slow_unit(rig)
    (copy,) = rig.queue.claim("bob", 1, device="node/cpu")
    if end == "fail":
        rig.queue.fail(copy, "broken")
    else:
        rig.queue.expire("bob")
    add(rig.queue, "other", units=1)

    (lease,) = rig.queue.claim("bob", 1, device="node/cpu", among_others=True)

    assert not lease.alone


def test_a_copy_left_alone_can_be_copied_in_turn(rig: Rig) -> None:
    original = have_slow_unit(rig)
    (copy,) = rig.queue.claim("bob", 1)
    rig.queue.release(original)
    assert rig.queue.claim("cyd", 1) == []  # bob has just begun

    rig.pass_time(210)
    (third,) = rig.queue.claim("cyd", 1)

    assert (third.unit, third.copy) == (copy.unit, True)
    assert beat(rig.queue, copy) is Order.CONTINUE


def test_deciding_a_unit_ends_both_of_its_leases(rig: Rig) -> None:
    original = have_slow_unit(rig)
    (copy,) = rig.queue.claim("bob", 1)

    rig.queue.complete("job", copy.unit, TEN)

    assert beat(rig.queue, original) is Order.LOST
    assert beat(rig.queue, copy) is Order.LOST
    assert standing(rig.queue) == (0, 0, 4)
    rig.pass_time(LEASE_SECONDS + 100)
    assert rig.queue.reap() == 0


def test_the_holder_of_a_copy_may_split_the_unit(rig: Rig) -> None:
    original = have_slow_unit(rig)
    (copy,) = rig.queue.claim("bob", 1)

    kept = rig.queue.split("job", copy.unit, 6, keep=copy)

    assert kept is not None
    assert (kept.unit, kept.worker, kept.copy) == (Unit(0, 6), "bob", False)
    assert beat(rig.queue, original) is Order.LOST
    assert standing(rig.queue) == (1, 1, 3)


# Sizes


def test_the_guided_size_is_a_fourth_of_each_workers_part(rig: Rig) -> None:
    add(rig.queue, units=40)

    assert rig.queue.claim("ann", 1)[0].guided_rows == 100
    assert rig.queue.claim("bob", 1)[0].guided_rows == 50
    rig.queue.complete("job", Unit(0, 10), TEN)
    rig.queue.complete("job", Unit(200, 210), RowCounts(ok=10))
    assert rig.queue.claim("bob", 1)[0].guided_rows == 47


def test_a_worker_counts_as_long_as_it_is_heard_of(rig: Rig) -> None:
    add(rig.queue, units=40)
    (lease,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS - 100)
    beat(rig.queue, lease)
    rig.pass_time(200)

    assert rig.queue.claim("bob", 1)[0].guided_rows == 50
    rig.pass_time(LEASE_SECONDS)
    assert rig.queue.claim("bob", 1)[0].guided_rows == 100


def test_a_unit_should_have_one_row_at_least(queue: Queue) -> None:
    add(queue, units=1)
    for number in range(9):
        queue.claim(f"worker-{number}", 0)

    assert queue.claim("ann", 1)[0].guided_rows == 1
