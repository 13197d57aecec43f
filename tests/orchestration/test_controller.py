"""What is done about one job whose workers only draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs import layout, public_table
from ancestral.jobs.errors import StoreUnavailable
from ancestral.jobs.intents import Wanted, latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import LEASE_SECONDS, Order, Progress, Queue, QueuedJob
from ancestral.jobs.recovery import REBUILD_SECONDS, latest_epoch
from ancestral.jobs.states import State
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts, Unit
from ancestral.orchestration.controller import AUDIT_SECONDS, Controller
from tests.orchestration.desk import ROWS, UNIT_ROWS, Desk


def refuse(*arguments: object) -> None:
    raise StoreUnavailable("the lake is closed")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_job_whose_rows_are_all_drawn_is_published(desk: Desk) -> None:
    job = desk.submit()
    controller = desk.controller(job)
    assert desk.wait(controller, 2 * AUDIT_SECONDS) is None

    desk.draw_the_rest(job)
    manifest = desk.publish(controller)

    assert (manifest.state, manifest.rows_ok) == (State.DONE, ROWS)
    assert desk.said == []


def drawn_in_parts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> tuple[Controller, Callable[[], int]]:
    """The controller of a job that is drawn, whose rows make three parts of the table; and how many
    parts there are."""
    monkeypatch.setattr(public_table, "PART_ROWS", 8)
    job = desk.submit()
    controller = desk.controller(job)
    controller.look()
    desk.draw_the_rest(job)
    store = desk.client.store(job.job_id)
    return controller, lambda: len(list(store.list("artifacts")))


def test_a_large_job_is_published_by_parts_with_a_look_at_other_things_after_each(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, parts = drawn_in_parts(desk, monkeypatch)

    looks, written = [], []
    while not looks or looks[-1] is None:
        looks.append(controller.look())
        written.append(parts())

    assert written == [1, 2, 3]
    assert looks[-1] is not None and looks[-1].rows_ok == ROWS


def test_publishing_that_was_disturbed_is_begun_anew(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, parts = drawn_in_parts(desk, monkeypatch)
    assert (controller.look(), parts()) == (None, 1)

    # When the store is away for a moment
    with monkeypatch.context() as away:
        away.setattr(Store, "create", refuse)
        with pytest.raises(StoreUnavailable):
            controller.look()

    assert desk.publish(controller).rows_ok == ROWS


def test_any_number_of_controllers_publish_the_same(desk: Desk) -> None:
    job = desk.submit()
    controllers = [desk.controller(job) for _ in range(3)]
    desk.draw_the_rest(job)

    first, second = (desk.publish(each) for each in controllers[:2])
    desk.queue.forget(job.job_id)
    third = desk.publish(controllers[2])

    # Then the last one, to whom the queue says nothing any more, did not build it again
    assert first == second == third
    assert desk.queue.jobs() == []


def test_a_queue_that_forgot_everything_is_built_again(desk: Desk) -> None:
    # Given
    job = desk.submit()
    controller = desk.controller(job)
    desk.draw(job, units=2)
    controller.look()

    # When
    desk.queue.restart(None)
    controller.look()

    # Then only what is undecided is drawn again
    counts = desk.queue.counts(job.job_id)
    assert (counts.done, counts.ready, counts.leased, counts.rows_ok) == (2, 3, 0, 8)
    desk.draw_the_rest(job)
    assert desk.publish(controller).rows_ok == ROWS
    assert len(desk.said) == 1 and "the queue does not know it" in desk.said[0]


def test_a_queue_restored_from_an_old_backup_is_built_again(desk: Desk) -> None:
    # Given a backup that knows of one unit less
    job = desk.submit()
    controller = desk.controller(job)
    desk.draw(job, units=1)
    backup = desk.queue.snapshot()
    desk.draw(job, units=1)

    # When
    desk.queue.restart(backup)
    assert desk.queue.counts(job.job_id).stale
    controller.look()

    # Then
    counts = desk.queue.counts(job.job_id)
    assert not counts.stale
    assert (counts.done, counts.ready) == (2, 3)
    assert "restarted" in desk.said[0]


def test_a_rebuild_that_nobody_goes_on_with_is_superseded(desk: Desk) -> None:
    # Given somebody who began to build the queue, and died
    job = desk.submit()
    controller = desk.controller(job)
    store = desk.client.store(job.job_id)
    epoch = latest_epoch(store, job.job_id) + 1
    store.create(layout.epoch_path(job.job_id, epoch), b"epoch\n")
    queued = QueuedJob(job.job_id, job.spec.output, job.spec.priority, job.rows)
    assert desk.queue.begin_rebuild(queued, epoch)

    # When
    desk.wait(controller, REBUILD_SECONDS - 1)
    assert desk.queue.counts(job.job_id).rebuilding
    desk.wait(controller, 2)

    # Then
    counts = desk.queue.counts(job.job_id)
    assert (counts.rebuilding, counts.ready, counts.epoch) == (False, 5, epoch + 1)


def test_a_queue_of_an_older_epoch_is_built_again(desk: Desk) -> None:
    job = desk.submit()
    controller = desk.controller(job)
    controller.look()
    store = desk.client.store(job.job_id)
    epoch = latest_epoch(store, job.job_id) + 1
    store.create(layout.epoch_path(job.job_id, epoch), b"epoch\n")

    desk.wait(controller, AUDIT_SECONDS + 1)

    assert desk.queue.counts(job.job_id).epoch > epoch


def test_an_audit_mends_what_the_queue_was_not_told_of(desk: Desk) -> None:
    # Given
    job = desk.submit()
    controller = desk.controller(job)
    controller.look()
    epoch = latest_epoch(desk.client.store(job.job_id), job.job_id)
    desk.draw(job, units=2, queue=deaf(desk.queue))
    assert desk.queue.counts(job.job_id).done == 0

    # When
    desk.wait(controller, AUDIT_SECONDS + 1)

    # Then
    counts = desk.queue.counts(job.job_id)
    assert (counts.done, counts.rows_ok) == (2, 2 * UNIT_ROWS)
    assert latest_epoch(desk.client.store(job.job_id), job.job_id) == epoch
    assert desk.said == []


def test_a_queue_that_takes_for_decided_what_is_not_is_built_again(desk: Desk) -> None:
    job = desk.submit()
    controller = desk.controller(job)
    desk.draw(job, units=3)
    for unit in job.units():
        desk.queue.complete(job.job_id, unit, RowCounts(unit.rows))

    assert desk.wait(controller, 2) is None
    assert desk.queue.counts(job.job_id).ready == 2
    desk.draw_the_rest(job)

    assert desk.publish(controller).rows_ok == ROWS


def test_a_cancelled_job_is_published_once_nobody_holds_units_of_it(desk: Desk) -> None:
    # Given
    job = desk.submit()
    controller = desk.controller(job)
    desk.draw(job, units=2)
    [lease] = desk.queue.claim("zed", 1, job.job_id)
    desk.client.cancel(job.job_id, "the model was the wrong one")

    # When zed hands back
    assert desk.wait(controller, 2) is None
    assert desk.queue.heartbeat("zed", {lease: Progress(1)}) == {lease: Order.HAND_BACK}
    desk.queue.release(lease)
    manifest = desk.publish(controller)

    # Then
    assert manifest.state is State.CANCELLED
    assert (manifest.rows_ok, manifest.rows_cancelled) == (2 * UNIT_ROWS, 3 * UNIT_ROWS)
    assert "is cancelled: the model was the wrong one" in desk.said[0]


def test_a_cancelled_job_waits_a_lease_time_for_those_who_do_not_hand_back(desk: Desk) -> None:
    # Given a worker that renews its lease, and does not do what it is told
    job = desk.submit()
    controller = desk.controller(job)
    [lease] = desk.queue.claim("zed", 1, job.job_id)
    desk.client.cancel(job.job_id)

    # When
    for moved in range(3):
        assert desk.wait(controller, LEASE_SECONDS / 4) is None
        desk.queue.heartbeat("zed", {lease: Progress(moved + 1)})
    manifest = desk.wait(controller, LEASE_SECONDS / 2)

    # Then
    assert manifest is not None and manifest.rows_cancelled == ROWS
    assert desk.queue.counts(job.job_id).leased == 1


def test_a_night_is_charged_to_nobody(desk: Desk) -> None:
    # Given a worker and a controller on a machine that sleeps
    job = desk.submit()
    controller = desk.controller(job)
    [lease] = desk.queue.claim("zed", 1, job.job_id)
    assert desk.wait(controller, 2) is None

    # When the controller is the first to wake, twice
    orders = []
    for moved in (1, 2):
        desk.clock.now += 8 * 3600
        assert desk.wait(controller, LEASE_SECONDS / 4) is None
        orders.append(desk.queue.heartbeat("zed", {lease: Progress(moved)})[lease])

    # Then
    assert orders == [Order.CONTINUE] * 2


def test_what_nobody_gets_past_fails_the_job_until_it_is_mended(desk: Desk) -> None:
    # Given an index part that is not what its record says
    job = desk.submit()
    controller = desk.controller(job)
    desk.draw_the_rest(job)
    store = desk.client.store(job.job_id)
    [record, *_] = Ledger(store, job.job_id).records(job)
    part = store.read(record.index_part.path)
    store.put(record.index_part.path, part[:-1])

    # When
    assert desk.wait(controller, 2 * AUDIT_SECONDS) is None

    # Then it has failed, and says so once
    status = desk.client.status(job.job_id)
    assert status.state is State.FAILED
    assert record.index_part.path in str(controller.failure)
    assert status.reason == controller.failure
    assert desk.queue.counts(job.job_id).wanted is Wanted.FAIL
    assert len(desk.said) == 1 and "resume" in desk.said[0]

    # When it is mended, but not resumed
    store.put(record.index_part.path, part)
    assert desk.wait(controller, AUDIT_SECONDS) is None

    # Then
    assert desk.client.status(job.job_id).state is State.FAILED
    desk.client.resume(job.job_id)
    manifest = desk.wait(controller, 10.0)
    assert manifest is not None and manifest.rows_ok == ROWS


def test_a_failed_job_stays_failed_when_the_queue_forgets_it(desk: Desk) -> None:
    # Given a split that cannot be read, so that not even the queue can be built
    job = desk.submit()
    store = desk.client.store(job.job_id)
    unit = Unit(0, UNIT_ROWS)
    store.put(layout.split_path(job.job_id, unit), b"split\n")
    store.put(layout.record_path(job.job_id, unit), b"{}")
    desk.queue.restart(None)
    controller = desk.controller(job)

    # When
    desk.wait(controller, 2 * REBUILD_SECONDS)

    # Then it does not try for ever
    assert latest_intent(store, job.job_id).wanted is Wanted.FAIL
    assert latest_epoch(store, job.job_id) <= 3

    # When
    store.delete(layout.record_path(job.job_id, unit))
    desk.client.resume(job.job_id)
    desk.wait(controller, 2 * REBUILD_SECONDS)

    # Then
    assert desk.queue.counts(job.job_id).ready == 5


def test_a_pause_is_told_with_its_reason_and_outlives_the_queue(desk: Desk) -> None:
    job = desk.submit()
    controller = desk.controller(job)
    desk.client.pause(job.job_id, "the lake is being moved")
    desk.wait(controller, 2)
    desk.queue.restart(None)
    desk.wait(controller, 2)

    assert desk.queue.claim("ann", 1) == []
    assert sum("is paused: the lake is being moved" in line for line in desk.said) == 1

    desk.client.resume(job.job_id)
    desk.wait(controller, 2)
    assert len(desk.queue.claim("ann", 1)) == 1
    assert desk.said[-1].endswith("goes on")


def test_what_was_declared_without_telling_the_queue_is_told_by_an_audit(desk: Desk) -> None:
    job = desk.submit()
    controller = desk.controller(job)
    controller.look()
    desk.client.__class__(desk.client.settings).pause(job.job_id)
    assert desk.queue.counts(job.job_id).wanted is Wanted.RUN

    desk.wait(controller, AUDIT_SECONDS + 1)

    assert desk.queue.counts(job.job_id).wanted is Wanted.PAUSE


def deaf(queue: MemoryQueue) -> Queue:
    """The queue, as it is when the completions told to it are lost."""

    class Deaf:
        def __getattr__(self, name: str) -> Any:
            return getattr(queue, name)

        def complete(self, *told: object) -> None:
            return None

    ears: Any = Deaf()
    return ears  # type: ignore[no-any-return]
