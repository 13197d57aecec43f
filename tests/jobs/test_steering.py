"""Pause, resume, cancel: kept in the store, heard by the queue, and final where they should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.errors import UnknownJob, UsageError
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted, latest_intent
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Order, Progress
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.settings import Settings
from ancestral.jobs.states import State

Commit = Callable[..., RowsRecord]


def test_a_paused_job_is_handed_back_and_goes_on_when_it_is_resumed(
    client: Client, spec: dict[str, Any]
) -> None:
    job = client.submit(spec)
    queue = client.queue
    assert queue is not None
    [lease] = queue.claim("ann", 1)
    # When it is paused, then its workers hear of it, and nobody claims
    assert client.pause(job.job_id, "lunch")
    assert queue.heartbeat("ann", {lease: Progress(1)}) == {lease: Order.HAND_BACK}
    assert queue.claim("bob", 1) == []
    status = client.status(job.job_id)
    assert (status.state, status.reason) == (State.PAUSED, "lunch; 1 unit is being handed back")
    # When it is resumed, then it goes on
    assert client.resume(job.job_id)
    assert queue.heartbeat("ann", {lease: Progress(2)}) == {lease: Order.CONTINUE}
    assert len(queue.claim("bob", 1)) == 1
    assert client.status(job.job_id).state is State.RUNNING


def test_a_cancelled_job_is_cancelled_for_ever(client: Client, spec: dict[str, Any]) -> None:
    job = client.submit(spec)
    assert client.queue is not None
    assert client.cancel(job.job_id, "a typo")
    assert client.queue.claim("ann", 1) == []
    # It can be cancelled again, which changes nothing
    assert client.cancel(job.job_id, "another")
    assert client.status(job.job_id).reason == "a typo"
    for method in (client.resume, client.pause):
        with pytest.raises(UsageError, match="is being cancelled; submit it anew"):
            method(job.job_id)
    assert client.status(job.job_id).state is State.CANCELLING


def test_what_is_wanted_outlives_the_queue(
    client: Client, settings: Settings, spec: dict[str, Any]
) -> None:
    # Given a job that is paused, and a queue that forgot it
    job = client.submit(spec)
    client.pause(job.job_id)
    successor = Client(settings, MemoryQueue())
    assert successor.recover(job.job_id)
    # Then it is still paused
    assert successor.queue is not None
    assert successor.queue.claim("ann", 1) == []
    assert successor.resume(job.job_id)
    assert len(successor.queue.claim("ann", 9)) == 3


def test_a_queue_that_does_not_hear_of_it_does_not_matter(
    client: Client, settings: Settings, spec: dict[str, Any], tmp_path: Path
) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)
    # Given no queue, one that does not know the job, and one that does not answer
    nobody = f"unix://{tmp_path}/nobody.sock"
    deaf = [
        Client(settings),
        Client(settings, MemoryQueue()),
        Client(Settings(settings.home, settings.state_uri, redis_url=nobody)),
    ]
    for number, other in enumerate(deaf):
        # Then it is told so, and the store has it all the same
        assert not other.pause(job.job_id, f"reason {number}")
        assert latest_intent(store, job.job_id).reason == f"reason {number}"
        assert not other.resume(job.job_id)
        assert latest_intent(store, job.job_id).wanted is Wanted.RUN
    # And the queue at home hears of it when it is audited
    assert not deaf[0].pause(job.job_id)
    client.take_up(job)
    assert client.queue is not None
    assert client.queue.claim("ann", 1) == []


def test_of_a_finished_job_nothing_can_be_wanted(
    client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)
    for unit in job.units():
        commit(store, job, unit)
    finalise(store, job.job_id)
    for method, wanted in (
        (client.pause, "paused"),
        (client.resume, "resumed"),
        (client.cancel, "cancelled"),
    ):
        with pytest.raises(UsageError, match=f"is done: it cannot be {wanted} any more"):
            method(job.job_id)
    # And nothing was written
    assert latest_intent(store, job.job_id).number == 0


def test_an_unknown_job_cannot_be_steered(client: Client) -> None:
    for method in (client.pause, client.resume, client.cancel, client.recover, client.retry):
        with pytest.raises(UnknownJob):
            method("nobody")
