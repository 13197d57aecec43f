"""The laws of a queue, held by both kinds: how it is built, and what is claimed from it."""

import threading

import pytest

from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import LARGEST_BATCH, Lease, Order, Queue, QueueCounts, QueuedJob
from ancestral.jobs.units import RowCounts, Unit, plan_units
from tests.jobs.rigs import LEASE_SECONDS, TEN, Rig, add, beat, standing, units_of

JOB = QueuedJob("job", "/lake/job", 0, 100)


# Building


def test_nothing_is_claimed_before_the_building_has_ended(queue: Queue) -> None:
    assert queue.begin_rebuild(JOB, 4)
    assert queue.restore("job", 4, plan_units(100, 50))

    assert queue.counts("job").rebuilding
    assert queue.claim("ann", 5) == []
    assert queue.claim("ann", 5, "job") == []

    assert queue.end_rebuild("job", 4)
    assert not queue.counts("job").rebuilding
    assert units_of(queue.claim("ann", 5)) == [Unit(0, 50), Unit(50, 100)]


def test_a_job_is_built_as_the_store_has_it(rig: Rig) -> None:
    rig.queue.begin_rebuild(JOB, 1)

    rig.queue.restore(
        "job",
        1,
        undecided=[Unit(20, 30), Unit(30, 100)],
        rows=[Unit(0, 10), Unit(10, 20)],
        split=[Unit(0, 100), Unit(0, 30), Unit(0, 20)],
    )
    rig.pass_time(10)
    rig.queue.end_rebuild("job", 1)

    counts = rig.queue.counts("job")
    assert counts == QueueCounts(
        epoch=1,
        rebuilding=False,
        rebuilt_seconds=counts.rebuilt_seconds,
        stale=False,
        wanted=Wanted.RUN,
        intent=0,
        ready=2,
        leased=0,
        done=2,
        rows_decided=20,
        rows_ok=0,
        rows_failed=0,
        rows_rejected=0,
    )
    assert counts.rebuilt_seconds >= 10
    assert units_of(rig.queue.claim("ann", 9)) == [Unit(20, 30), Unit(30, 100)]


def test_more_units_than_one_script_may_loop_over_are_restored_from_a_stream(
    queue: Queue,
) -> None:
    queue.begin_rebuild(JOB, 1)

    assert queue.restore("job", 1, plan_units(2505, 10))
    assert standing(queue) == (251, 0, 0)


def test_a_later_epoch_supersedes_the_ones_before_it(queue: Queue) -> None:
    assert queue.begin_rebuild(JOB, 1)
    assert queue.restore("job", 1, [Unit(0, 10)])
    assert queue.begin_rebuild(JOB, 3)

    assert not queue.begin_rebuild(JOB, 2)
    assert not queue.restore("job", 1, [Unit(10, 20)])
    assert not queue.end_rebuild("job", 1)

    assert queue.counts("job").epoch == 3
    assert standing(queue) == (0, 0, 0)
    assert queue.restore("job", 3, [Unit(20, 30)])
    assert queue.end_rebuild("job", 3)
    assert units_of(queue.claim("ann", 9)) == [Unit(20, 30)]


def test_an_epoch_is_begun_once_however_often_it_is_said(queue: Queue) -> None:
    # Given an epoch that was begun, as its caller did not hear
    assert queue.begin_rebuild(JOB, 1)
    assert queue.restore("job", 1, [Unit(0, 10)])

    # When it is said again, then it is begun still, and nothing is forgotten
    assert queue.begin_rebuild(JOB, 1)
    assert standing(queue) == (1, 0, 0)
    assert queue.end_rebuild("job", 1)

    # But one that has ended is not begun again
    assert not queue.begin_rebuild(JOB, 1)
    assert units_of(queue.claim("ann", 9)) == [Unit(0, 10)]


def test_building_anew_forgets_leases_charges_and_counts_but_not_what_is_wanted(
    rig: Rig,
) -> None:
    add(rig.queue, units=3)
    failed, done, held = rig.queue.claim("ann", 3)
    rig.queue.fail(failed, "broken")
    rig.queue.complete("job", done.unit, TEN)
    rig.queue.want("job", Wanted.PAUSE, 7)

    assert rig.queue.begin_rebuild(JOB, 2)
    assert beat(rig.queue, held) is Order.CONTINUE
    assert not rig.queue.release(held)
    rig.queue.restore("job", 2, [failed.unit, done.unit, held.unit])
    rig.queue.end_rebuild("job", 2)

    assert beat(rig.queue, held) is Order.LOST
    counts = rig.queue.counts("job")
    assert (counts.wanted, counts.intent) == (Wanted.PAUSE, 7)
    assert (counts.ready, counts.rows_decided, counts.rows_ok) == (3, 0, 0)
    rig.queue.want("job", Wanted.RUN, 8)
    leases = rig.queue.claim("bob", 3)
    assert [lease.attempts for lease in leases] == [0, 0, 0]
    # The lease of before runs out, and that is nobody's loss.
    rig.pass_time(LEASE_SECONDS - 100)
    assert [beat(rig.queue, lease) for lease in leases] == [Order.CONTINUE] * 3
    rig.pass_time(LEASE_SECONDS - 100)
    assert rig.queue.reap() == 0


def test_what_is_decided_while_the_queue_is_built_stays_so(queue: Queue) -> None:
    queue.begin_rebuild(JOB, 1)
    queue.complete("job", Unit(0, 10), RowCounts(ok=9, failed=1))
    queue.split("job", Unit(10, 20), 14)

    queue.restore("job", 1, undecided=[Unit(0, 10), Unit(10, 20), Unit(20, 30)])
    queue.end_rebuild("job", 1)

    assert units_of(queue.claim("ann", 9)) == [Unit(10, 14), Unit(14, 20), Unit(20, 30)]
    assert queue.counts("job").rows_failed == 1


def test_an_audit_mends_what_drifted_and_leaves_the_rest(rig: Rig) -> None:
    units = add(rig.queue, units=5)
    rig.queue.complete("job", units[0], TEN)
    _, decided, _ = leases = rig.queue.claim("ann", 3)
    rig.queue.fail(leases[2], "broken", delay_seconds=500)

    assert rig.queue.restore(
        "job",
        1,
        undecided=[*units[3:], units[1], Unit(50, 60), Unit(20, 25), Unit(25, 30)],
        rows=[units[0]],
        split=[decided.unit],
    )

    assert beat(rig.queue, leases[0]) is Order.CONTINUE
    assert beat(rig.queue, decided) is Order.LOST
    assert rig.queue.counts("job").rows_ok == 10
    # What waits is not hastened.
    expected = [Unit(20, 25), Unit(25, 30), units[4], Unit(50, 60)]
    assert units_of(rig.queue.claim("bob", 9)) == expected
    assert standing(rig.queue) == (1, 5, 1)


def test_units_that_the_store_has_as_rows_are_taken_from_their_holders(queue: Queue) -> None:
    add(queue, units=2)
    lease, _ = queue.claim("ann", 2)

    queue.restore("job", 1, rows=[lease.unit])

    assert beat(queue, lease) is Order.LOST
    assert standing(queue) == (0, 1, 1)
    assert queue.counts("job").rows_decided == 10


def test_an_unknown_job_is_named_or_ignored(queue: Queue) -> None:
    with pytest.raises(UnknownJob, match="'nobody'"):
        queue.counts("nobody")
    assert not queue.restore("nobody", 1, [Unit(0, 1)])
    assert not queue.restore("nobody", 1)
    assert not queue.end_rebuild("nobody", 1)
    assert not queue.want("nobody", Wanted.PAUSE, 1)
    assert queue.split("nobody", Unit(0, 2), 1) is None
    queue.complete("nobody", Unit(0, 1), RowCounts(ok=1))
    assert queue.untold("nobody") == []
    queue.forget("nobody")

    assert queue.claim("ann", 1, "nobody") == []
    assert queue.jobs() == []


# What is wanted


@pytest.mark.parametrize("wanted", [Wanted.PAUSE, Wanted.CANCEL, Wanted.FAIL])
def test_only_of_a_job_that_should_run_units_are_claimed(queue: Queue, wanted: Wanted) -> None:
    add(queue)
    (held,) = queue.claim("ann", 1)

    assert queue.want("job", wanted, 1)

    assert queue.claim("ann", 1) == []
    assert queue.claim("ann", 1, "job") == []
    assert beat(queue, held) is Order.HAND_BACK
    assert queue.counts("job").wanted is wanted

    assert queue.want("job", Wanted.RUN, 2)
    assert beat(queue, held) is Order.CONTINUE
    assert len(queue.claim("ann", 5)) == 2


def test_of_two_intents_the_one_of_the_higher_number_holds(queue: Queue) -> None:
    add(queue)

    assert queue.want("job", Wanted.PAUSE, 3)
    assert not queue.want("job", Wanted.RUN, 2)
    assert queue.want("job", Wanted.PAUSE, 3)

    assert (queue.counts("job").wanted, queue.counts("job").intent) == (Wanted.PAUSE, 3)
    assert queue.claim("ann", 1) == []


def test_a_unit_given_back_to_a_paused_job_is_claimed_once_it_goes_on(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.want("job", Wanted.PAUSE, 1)

    assert queue.release(lease)
    assert queue.claim("ann", 1) == []

    queue.want("job", Wanted.RUN, 2)
    assert units_of(queue.claim("ann", 1)) == [lease.unit]


# Claiming


def test_a_lease_tells_all_that_a_worker_needs(queue: Queue) -> None:
    add(queue, units=2)

    lease, _ = queue.claim("ann", 5)

    assert lease == Lease(
        job_id="job",
        output="/lake/job",
        unit=Unit(0, 10),
        fence=lease.fence,
        worker="ann",
        attempts=0,
        last_error=None,
        copy=False,
        alone=False,
        guided_rows=5,
    )


def test_units_are_claimed_in_the_order_of_rows_and_once(queue: Queue) -> None:
    units = add(queue, units=5)

    claims = [units_of(queue.claim("ann", 2)) for _ in range(4)]

    assert claims == [units[:2], units[2:4], units[4:], []]


def test_fences_rise_over_all_jobs(queue: Queue) -> None:
    add(queue, "one")
    add(queue, "two")

    fences = [lease.fence for _ in range(3) for lease in queue.claim("ann", 2)]

    assert fences == sorted(set(fences))
    assert len(fences) == 6


def test_a_claim_hands_out_no_more_than_a_batch(queue: Queue) -> None:
    add(queue, units=LARGEST_BATCH + 7)

    assert len(queue.claim("ann", 1000)) == LARGEST_BATCH
    assert len(queue.claim("ann", 1000)) == 7


@pytest.mark.parametrize("limit", [0, -1])
def test_a_claim_of_nothing_gives_nothing(queue: Queue, limit: int) -> None:
    add(queue)

    assert queue.claim("ann", limit) == []
    assert queue.claim("ann", limit, "job") == []


def test_eight_threads_claim_each_of_500_units_once(queue: Queue) -> None:
    units = add(queue, units=500)
    claimed: list[list[Unit]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def work(mine: list[Unit]) -> None:
        start.wait()
        while leases := queue.claim("ann", 3):
            mine.extend(units_of(leases))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(unit for mine in claimed for unit in mine) == units
