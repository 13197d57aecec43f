"""Where a job stands: told from manifest, queue and ledger, with a reason."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, QueuedJob
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.states import State
from ancestral.jobs.status import JobStatus, status_of
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.deciding import make_job, split

Commit = Callable[..., RowsRecord]


def test_the_states_of_a_job(client: Client, spec: dict[str, Any], commit: Commit) -> None:
    job = client.submit(spec)
    queue, store = client.queue, client.store(job.job_id)
    assert queue is not None

    status = client.status(job.job_id)
    assert (status.state, status.name, status.output) == ("pending", "My digits!", spec["output"])
    assert status.reason == "no worker holds any of its 3 units"

    queue.release(queue.claim("ann", 1)[0], "cpu does not draw it: no bfloat16")
    assert client.status(job.job_id).reason == (
        "no worker holds any of its 3 units; one left it to others: "
        "cpu does not draw it: no bfloat16"
    )

    first, second, third = queue.claim("ann", 3)
    status = client.status(job.job_id)
    assert (status.state, status.reason) == ("running", None)

    record = commit(store, job, first.unit, "ooofffrr")
    queue.complete(job.job_id, first.unit, record.counts)
    status = client.status(job.job_id)
    assert (status.state, status.rows_ok, status.rows_failed, status.rows_rejected) == (
        "running",
        3,
        3,
        2,
    )

    for lease in (second, third):
        queue.complete(job.job_id, lease.unit, commit(store, job, lease.unit).counts)
    assert client.status(job.job_id).state is State.FINALISING
    assert not client.status(job.job_id).finished

    manifest = finalise(store, job.job_id)
    status = client.status(job.job_id)
    assert (status.state, status.finished, status.index) == (
        "done_with_errors",
        True,
        manifest.index,
    )
    assert (status.rows, status.rows_ok, status.rows_failed, status.rows_rejected) == (20, 15, 3, 2)
    assert status.reason == "3 rows failed; the index says why"
    assert client.wait(job.job_id) == status
    assert len(client.results(job.job_id)) == 20


def test_the_ledger_answers_where_there_is_no_queue(
    client: Client, settings: Settings, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)
    onlooker = Client(settings)
    assert onlooker.status(job.job_id).state is State.PENDING
    commit(store, job, Unit(8, 16))
    status = onlooker.status(job.job_id)
    assert (status.state, status.rows_ok) == ("pending", 8)
    assert status.reason == ("8 of 20 rows are decided; no queue is at hand to say who works on it")
    for unit in (Unit(0, 8), Unit(16, 20)):
        commit(store, job, unit)
    assert onlooker.status(job.job_id).state is State.FINALISING
    finalise(store, job.job_id)
    status = onlooker.status(job.job_id)
    assert (status.state, status.reason) == ("done", "every row is in the index")


def test_rows_that_nobody_began_are_not_looked_at(
    local_store: Store, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a large job, of which one unit is split, and half of it decided
    job = make_job(10**10, 256)
    split(local_store, job, Unit(256, 512), 264)
    commit(local_store, job, Unit(256, 264), "ooooofff")
    # When there is no queue to ask, then only what is decided is read
    monkeypatch.setattr(Job, "units", lambda job: pytest.fail("walks through all units"))
    status = status_of(job, local_store, None)
    assert (status.state, status.rows) == (State.PENDING, 10**10)
    assert (status.rows_ok, status.rows_failed) == (5, 3)


@pytest.mark.parametrize("with_queue", [True, False])
def test_what_is_wanted_shows(
    client: Client, settings: Settings, spec: dict[str, Any], commit: Commit, with_queue: bool
) -> None:
    # Given a job of which eight rows are decided
    job = client.submit(spec)
    store = client.store(job.job_id)
    record = commit(store, job, Unit(8, 16))
    assert client.queue is not None
    client.queue.complete(job.job_id, record.unit, record.counts)
    onlooker = client if with_queue else Client(settings)
    # When it is paused, or fails, or is cancelled, then it is so, for the reason that was given
    for wanted, state in (
        (Wanted.PAUSE, State.PAUSED),
        (Wanted.FAIL, State.FAILED),
        (Wanted.CANCEL, State.CANCELLING),
    ):
        declare(store, job.job_id, wanted, f"to {wanted.value}")
        status = onlooker.status(job.job_id)
        assert (status.state, status.reason) == (state, f"to {wanted.value}")
        assert (status.rows_ok, status.rows_cancelled) == (8, 0)
    # When it is sealed, nothing is open any more
    Ledger(store, job.job_id).seal(job)
    assert onlooker.status(job.job_id).state is State.FINALISING
    manifest = finalise(store, job.job_id)
    status = onlooker.status(job.job_id)
    assert (status.state, status.index) == (State.CANCELLED, manifest.index)
    assert status.reason == "to cancel; 12 of 20 rows were not drawn"
    assert (status.rows, status.rows_ok, status.rows_cancelled) == (20, 8, 12)


def test_leases_that_are_handed_back_show(client: Client, spec: dict[str, Any]) -> None:
    job = client.submit(spec)
    assert client.queue is not None
    client.queue.claim("ann", 2)
    declare(client.store(job.job_id), job.job_id, Wanted.PAUSE)
    assert client.status(job.job_id).reason == (
        "by `ancestral pause`; 2 units are being handed back"
    )


def test_a_queue_that_is_built_anew_does_not_hide_what_is_decided(
    client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    queue = client.queue
    assert isinstance(queue, MemoryQueue)
    commit(client.store(job.job_id), job, Unit(8, 16))
    # Given a queue that is being built, and one whose server was restarted
    for befall in (
        lambda: queue.begin_rebuild(QueuedJob(job.job_id, spec["output"], 0, 20), 7),
        lambda: queue.restart(queue.snapshot()),
    ):
        befall()
        status = client.status(job.job_id)
        assert (status.state, status.rows_ok) == (State.RUNNING, 8)
        assert status.reason == "the queue is being built anew from the store"


class Studio:
    """A job of five units of four rows whose deadline is years away, and its queue's time."""

    def __init__(self, settings: Settings, spec: dict[str, Any]) -> None:
        self.now = 0.0
        self.queue = MemoryQueue(lease_seconds=1e12, clock=lambda: self.now)
        self.client = Client(settings, self.queue)
        self.job = self.client.submit({**spec, "deadline": "1000d", "unit": {"rows": 4}})
        self.store = self.client.store(self.job.job_id)

    def draw(self, commit: Commit, leases: list[Lease], seconds: float) -> None:
        self.now += seconds
        for lease in leases:
            record = commit(self.store, self.job, lease.unit)
            self.queue.complete(self.job.job_id, record.unit, record.counts)

    def status(self, submitted_at: str | None = None) -> JobStatus:
        """As if it had been submitted then."""
        at = submitted_at or self.job.submitted_at
        return status_of(self.job.model_copy(update={"submitted_at": at}), self.store, self.queue)


@pytest.mark.parametrize(("seconds", "late"), [(60.0, False), (1e9, True)])
def test_whether_a_job_will_be_late_is_told_from_its_pace(
    settings: Settings, spec: dict[str, Any], commit: Commit, seconds: float, late: bool
) -> None:
    # Given a job that nobody draws yet
    studio = Studio(settings, spec)
    at = studio.job.deadline_at
    assert at is not None
    assert studio.status().deadline == f"{at:%Y-%m-%dT%H:%M:%SZ}"
    assert studio.status().late is None

    # When it is drawn, then it is not known before three units are completed
    leases = studio.queue.claim("ann", 4)
    studio.draw(commit, leases[:2], seconds)
    assert studio.status().late is None
    studio.draw(commit, leases[2:3], 0.0)
    assert studio.status().late is late

    # And when nobody holds any of it, that is not known
    studio.queue.release(leases[3])
    assert studio.status().late is None


def test_the_more_units_are_held_the_sooner_a_job_is_done(
    settings: Settings, spec: dict[str, Any], commit: Commit
) -> None:
    # Given a job of which eight rows are left, and a pace of 8 million seconds a row
    studio = Studio(settings, spec)
    studio.draw(commit, studio.queue.claim("ann", 3), 3.2e7)
    studio.job = studio.job.model_copy(
        update={"spec": studio.job.spec.model_copy(update={"deadline": "500d"})}
    )

    # Then one unit at a time takes two years, and two units one
    (first,) = studio.queue.claim("ann", 1)
    assert studio.status().late is True
    studio.queue.claim("ann", 1)
    assert studio.status().late is False
    assert first.unit.rows == 4


def test_a_job_whose_deadline_has_passed_is_late_and_goes_on(
    settings: Settings, spec: dict[str, Any], commit: Commit
) -> None:
    studio = Studio(settings, spec)
    leases = studio.queue.claim("ann", 5)
    status = studio.status("2020-01-01T00:00:00Z")
    assert (status.deadline, status.late) == ("2022-09-27T00:00:00Z", True)
    assert status.state is State.RUNNING

    # When all its rows are drawn, then it is known once it is finished
    studio.draw(commit, leases, 1.0)
    assert studio.status("2020-01-01T00:00:00Z").late is None
    finalise(studio.store, studio.job.job_id)
    # Its rows were drawn on 22 November 2026
    for submitted_at, late in [("2020-01-01T00:00:00Z", True), ("2026-01-01T00:00:00Z", False)]:
        status = studio.status(submitted_at)
        assert (status.state, status.late) == (State.DONE, late)


def test_a_cancelled_job_is_not_late(settings: Settings, spec: dict[str, Any]) -> None:
    studio = Studio(settings, spec)
    studio.client.cancel(studio.job.job_id)
    finalise(studio.store, studio.job.job_id)

    status = studio.status("2020-01-01T00:00:00Z")
    assert (status.state, status.deadline, status.late) == (
        State.CANCELLED,
        "2022-09-27T00:00:00Z",
        None,
    )


def test_a_job_without_a_deadline_is_never_late(
    client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)
    assert (client.status(job.job_id).deadline, client.status(job.job_id).late) == (None, None)
    for unit in job.units():
        commit(store, job, unit)
    finalise(store, job.job_id)
    assert (client.status(job.job_id).deadline, client.status(job.job_id).late) == (None, None)


def test_waiting_ends_with_the_time(client: Client, spec: dict[str, Any]) -> None:
    job = client.submit(spec)
    assert client.wait(job.job_id, timeout_seconds=0).state is State.PENDING


def test_waiting_ends_with_the_job(client: Client, spec: dict[str, Any], commit: Commit) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)

    def work() -> None:
        for unit in job.units():
            commit(store, job, unit)
        finalise(store, job.job_id)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        assert client.wait(job.job_id, poll_seconds=0.01).state is State.DONE
        working.result()
