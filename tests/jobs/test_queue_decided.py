"""The laws of a queue, held by both kinds: units decided as rows, and units split."""

from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import LONGEST_ERROR, Order, Queue, QueuedJob
from ancestral.jobs.units import RowCounts, Unit
from tests.jobs.rigs import LEASE_SECONDS, STALL_SECONDS, TEN, Rig, add, beat, standing, units_of


def rows(queue: Queue) -> tuple[int, int, int, int]:
    """Rows decided, ok, failed, rejected."""
    counts = queue.counts("job")
    return counts.rows_decided, counts.rows_ok, counts.rows_failed, counts.rows_rejected


# Rows


def test_a_completed_unit_counts_once(queue: Queue) -> None:
    add(queue, units=2)
    first, second = queue.claim("ann", 2)

    queue.complete("job", first.unit, RowCounts(ok=7, failed=2, rejected=1))
    queue.complete("job", first.unit, TEN)
    queue.complete("job", second.unit, TEN)

    assert standing(queue) == (0, 0, 2)
    assert rows(queue) == (20, 17, 2, 1)


def test_how_long_rows_took_counts_once(queue: Queue) -> None:
    add(queue, units=3)
    assert queue.counts("job").seconds_per_row is None

    # When units are completed of which nothing was drawn, and of which something was
    queue.complete("job", Unit(0, 10), RowCounts(failed=10))
    assert queue.counts("job").seconds_per_row is None
    queue.complete("job", Unit(10, 20), TEN, sampling_seconds=0.5)
    queue.complete("job", Unit(20, 30), TEN, "node/cpu", 2.5)
    queue.complete("job", Unit(20, 30), TEN, "node/cpu", 100.0)

    # Then
    assert queue.counts("job").sampling_seconds == 3.0
    assert queue.counts("job").seconds_per_row == 0.1

    # When the job is built anew, then it is to be told anew
    queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 30), 2)
    assert queue.counts("job").sampling_seconds == 0


def test_a_unit_restored_as_decided_is_counted_by_the_first_call(queue: Queue) -> None:
    add(queue, units=1)
    queue.restore("job", 1, rows=[Unit(0, 10)])
    assert rows(queue) == (10, 0, 0, 0)

    queue.complete("job", Unit(0, 10), RowCounts(ok=9, rejected=1))
    queue.complete("job", Unit(0, 10), TEN)
    queue.restore("job", 1, rows=[Unit(0, 10)])

    assert standing(queue) == (0, 0, 1)
    assert rows(queue) == (10, 9, 0, 1)


def test_the_units_are_named_of_which_it_was_not_told_how_they_ended(queue: Queue) -> None:
    # Given many units that are decided as rows, and others that are not
    add(queue, units=1)
    decided = [Unit(start, start + 10) for start in range(100, 15_000, 10)]
    queue.restore("job", 1, rows=reversed(decided), split=[Unit(10, 20)])
    assert queue.untold("job") == decided

    # When it is told of some of them, and of one that it did not know
    for unit in (decided[1], decided[3], Unit(20, 30)):
        queue.complete("job", unit, TEN)

    # Then it waits for the others
    assert queue.untold("job") == [decided[0], decided[2], *decided[4:]]


def test_the_loser_of_a_race_completes_and_the_holder_learns_of_it(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)
    (lease,) = rig.queue.claim("bob", 1)

    rig.queue.complete("job", lost.unit, TEN)

    assert beat(rig.queue, lease) is Order.LOST
    assert not rig.queue.fail(lease, "broken")
    rig.queue.complete("job", lease.unit, TEN)
    assert standing(rig.queue) == (0, 0, 1)
    assert rows(rig.queue) == (10, 10, 0, 0)
    rig.pass_time(LEASE_SECONDS + 100)
    assert rig.queue.reap() == 0


def test_a_ready_unit_may_be_completed(queue: Queue) -> None:
    units = add(queue, units=2)

    queue.complete("job", units[0], TEN)

    assert units_of(queue.claim("ann", 5)) == [units[1]]
    assert standing(queue) == (0, 1, 1)


def test_a_unit_that_the_queue_never_had_counts_when_its_record_is_found(queue: Queue) -> None:
    add(queue, units=1)

    queue.complete("job", Unit(10, 20), RowCounts(ok=9, failed=1))
    queue.restore("job", 1, undecided=[Unit(10, 20), Unit(20, 30)])

    assert standing(queue) == (2, 0, 1)
    assert rows(queue) == (10, 9, 1, 0)


# Splits


def test_the_halves_of_a_split_unit_are_ready_and_its_lease_has_ended(rig: Rig) -> None:
    add(rig.queue, units=2)
    (lease,) = rig.queue.claim("ann", 1)

    assert rig.queue.split("job", lease.unit, 4) is None

    assert beat(rig.queue, lease) is Order.LOST
    assert standing(rig.queue) == (3, 0, 0)
    assert units_of(rig.queue.claim("bob", 9)) == [Unit(0, 4), Unit(4, 10), Unit(10, 20)]
    rig.pass_time(LEASE_SECONDS + 100)
    assert rig.queue.reap() == 3


def test_what_is_kept_of_a_split_unit_is_a_lease_of_its_own(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)

    kept = rig.queue.split("job", lease.unit, 4, keep=lease)

    assert kept is not None
    assert (kept.unit, kept.worker, kept.attempts, kept.copy) == (Unit(0, 4), "ann", 0, False)
    assert kept.fence > lease.fence
    assert beat(rig.queue, lease) is Order.LOST
    assert not rig.queue.release(lease)
    rig.pass_time(1000)
    assert beat(rig.queue, kept) is Order.CONTINUE
    rig.pass_time(1000)
    assert units_of(rig.queue.claim("bob", 9)) == [Unit(4, 10)]
    assert rig.queue.release(kept)


def test_a_kept_half_is_kept_for_the_stall_time_without_progress(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lease,) = rig.queue.claim("ann", 1)
    beat(rig.queue, lease, moved=1000)
    kept = rig.queue.split("job", lease.unit, 4, keep=lease)
    assert kept is not None

    rig.pass_time(1000)
    beat(rig.queue, kept, moved=1)  # it counts from the beginning
    rig.pass_time(STALL_SECONDS - 1000 + 100)
    beat(rig.queue, kept, moved=1)

    assert rig.queue.reap() == 0


def test_a_split_said_twice_gives_the_same_lease_again(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)

    kept = queue.split("job", lease.unit, 4, keep=lease)

    assert kept is not None
    assert queue.split("job", lease.unit, 4, keep=lease) == kept
    assert standing(queue) == (1, 1, 0)
    queue.complete("job", kept.unit, RowCounts(ok=4))
    assert queue.split("job", lease.unit, 4, keep=lease) is None
    assert standing(queue) == (1, 0, 1)


def test_whoever_lost_the_unit_keeps_nothing_of_it(rig: Rig) -> None:
    add(rig.queue, units=1)
    (lost,) = rig.queue.claim("ann", 1)
    rig.pass_time(LEASE_SECONDS + 100)
    (lease,) = rig.queue.claim("bob", 1)

    assert rig.queue.split("job", lost.unit, 4, keep=lost) is None

    assert beat(rig.queue, lease) is Order.LOST
    assert rig.queue.split("job", lost.unit, 4, keep=lease) is None
    assert units_of(rig.queue.claim("cyd", 9)) == [Unit(0, 4), Unit(4, 10)]


def test_halves_that_are_known_stay_as_they_are(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.complete("job", Unit(0, 4), RowCounts(ok=4))
    queue.restore("job", 1, undecided=[Unit(4, 10)])
    (half,) = queue.claim("bob", 1)

    assert queue.split("job", lease.unit, 4, keep=lease) is None

    assert standing(queue) == (0, 1, 1)
    assert beat(queue, half) is Order.CONTINUE


def test_a_half_of_more_than_one_row_is_charged_from_the_start(queue: Queue) -> None:
    add(queue, units=2)
    (lease,) = queue.claim("ann", 1)

    queue.split("job", lease.unit, 1, attempts=3, last_error="x" * LONGEST_ERROR + "broken")

    # And so it comes after those that were not.
    alone, other, charged = queue.claim("bob", 9)
    assert (alone.unit, alone.attempts, alone.last_error) == (Unit(0, 1), 0, None)
    assert other.unit == Unit(10, 20)
    assert (charged.unit, charged.attempts) == (Unit(1, 10), 3)
    assert charged.last_error == "x" * (LONGEST_ERROR - 6) + "broken"


def test_a_unit_decided_as_rows_is_not_split_any_more(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.complete("job", lease.unit, TEN)

    assert queue.split("job", lease.unit, 4, keep=lease) is None
    assert queue.restore("job", 1, split=[lease.unit])

    assert standing(queue) == (0, 0, 1)


def test_a_split_unit_never_counts_as_rows(queue: Queue) -> None:
    add(queue, units=1)
    queue.split("job", Unit(0, 10), 4)

    queue.complete("job", Unit(0, 10), TEN)
    queue.restore("job", 1, rows=[Unit(0, 10)], undecided=[Unit(0, 10)])

    assert standing(queue) == (2, 0, 0)
    assert rows(queue) == (0, 0, 0, 0)


def test_nothing_is_kept_of_a_job_that_is_being_built(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 10), 2)

    assert queue.split("job", lease.unit, 4, keep=lease) is None

    queue.end_rebuild("job", 2)
    assert units_of(queue.claim("bob", 9)) == [Unit(0, 4), Unit(4, 10)]


def test_a_paused_holder_keeps_what_it_has_finished(queue: Queue) -> None:
    add(queue, units=1)
    (lease,) = queue.claim("ann", 1)
    queue.want("job", Wanted.PAUSE, 1)

    kept = queue.split("job", lease.unit, 4, keep=lease)

    assert kept is not None
    assert kept.unit == Unit(0, 4)
    assert queue.claim("bob", 9) == []
    assert standing(queue) == (1, 1, 0)
