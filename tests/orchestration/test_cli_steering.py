"""Commands that tell jobs, queues and devices what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.intents import Wanted, declare, latest_intent
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.jobs.status import JobStatus
from ancestral.jobs.units import RowCounts
from ancestral.orchestration.commands import status as status_command
from tests.jobs.drawn import draw
from tests.orchestration.home import Home, work
from tests.orchestration.tiny import tiny_spec


def test_pause_and_resume_without_a_queue(home: Home, client: Client, job: Job) -> None:
    paused = home.call_json("pause", job.job_id, "--reason", "the lake is full")
    assert (paused["state"], paused["reason"]) == ("paused", "the lake is full")
    assert home.call_json("status", job.job_id) == paused

    code, out, err = home.call("pause", job.job_id)
    assert code == 0
    assert "paused (the lake is full)" in out
    assert "No queue could be told" in err

    assert home.call_json("resume", job.job_id)["state"] == "pending"
    assert latest_intent(client.store(job.job_id), job.job_id).wanted is Wanted.RUN


@pytest.mark.redis
def test_a_queue_hears_of_pause_resume_and_cancel(home: Home, queue: RedisQueue) -> None:
    # Given a job in a queue
    submitted = home.call_json("submit", home.write(tiny_spec(home.lake, unit={"rows": 10})))
    job_id = submitted["job_id"]

    # When it is paused, then nobody gets a unit of it
    code, _, err = home.call("pause", job_id)
    assert (code, err) == (0, "")
    assert queue.claim("ann", 1, job_id) == []

    # When it is resumed, then somebody does
    code, _, err = home.call("resume", job_id)
    assert (code, err) == (0, "")
    assert len(queue.claim("ann", 1, job_id)) == 1

    # When it is cancelled, then it waits for what is held
    cancelling = home.call_json("cancel", job_id, "--reason", "too dear")
    assert cancelling["state"] == "cancelling"
    assert "too dear" in cancelling["reason"]
    assert queue.claim("bob", 1, job_id) == []


def test_a_queue_that_is_away_does_not_keep_a_job_from_being_paused(
    home: Home, client: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", "unix:///nowhere.sock")

    code, out, err = home.call("pause", job.job_id)

    assert code == 0
    assert "paused" in out
    assert "No queue could be told" in err
    assert latest_intent(client.store(job.job_id), job.job_id).wanted is Wanted.PAUSE


def test_a_cancelled_job_keeps_what_is_finished(home: Home, client: Client, job: Job) -> None:
    # Given a job with one unit drawn
    draw(client.store(job.job_id), job, next(job.units()))

    # When it is cancelled, and nobody is waited for
    assert home.call_json("cancel", job.job_id)["state"] == "cancelling"
    cancelled = home.call_json("cancel", job.job_id, "--now")

    # Then it is finished, with all of its rows
    assert cancelled["state"] == "cancelled"
    assert (cancelled["rows_ok"], cancelled["rows_cancelled"]) == (10, 20)
    assert cancelled["index"] is not None
    assert "10 of 30" in home.call("ls")[1]
    assert home.call_json("status", job.job_id, code=1) == cancelled
    assert home.call_json("watch", job.job_id, code=1) == cancelled
    assert "10 ok, 20 cancelled" in home.call("status", job.job_id)[1]
    assert home.call_json("fsck", job.job_id)["rows_cancelled"] == 20

    # And it cannot go on, but what was not drawn can be a job of its own
    code, _, err = home.call("resume", job.job_id)
    assert (code, f"job {job.job_id} is cancelled" in err) == (2, True)
    rest = home.call_json("retry", job.job_id, "--cancelled")
    assert (rest["rows"], rest["parent"]) == (20, job.job_id)


@pytest.mark.redis
def test_a_job_that_is_cancelled_at_once_leaves_nothing_in_the_queue(
    home: Home, queue: RedisQueue
) -> None:
    file = home.write(tiny_spec(home.lake, unit={"rows": 10}))
    job_id = home.call_json("submit", file)["job_id"]
    assert [job.job_id for job in queue.jobs()] == [job_id]

    assert home.call_json("cancel", job_id, "--now")["state"] == "cancelled"

    assert queue.jobs() == []


class Time:
    """A clock that is set by hand, and what happens while somebody sleeps."""

    now = 0.0

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.slept: list[float] = []
        self._meanwhile = meanwhile

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._meanwhile()


def test_who_watches_looks_no_longer_than_it_rests(
    home: Home, client: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job of which it takes seven seconds to know where it stands
    time = Time(
        lambda: declare(client.store(job.job_id), job.job_id, Wanted.FAIL, "the bucket is gone")
    )
    status_of = Client.status

    def slowly(client: Client, job_id: str) -> JobStatus:
        time.now += 7.0
        return status_of(client, job_id)

    monkeypatch.setattr(Client, "status", slowly)
    monkeypatch.setattr(status_command, "time", time)

    # When it is watched until it fails
    assert home.call_json("watch", job.job_id, code=1)["state"] == "failed"

    # Then half of the time is left to others
    assert time.slept == [7.0]


def test_a_job_that_failed_is_an_exit_code(home: Home, client: Client, job: Job) -> None:
    # Given a job that workers do not get past
    declare(client.store(job.job_id), job.job_id, Wanted.FAIL, "the bucket is gone")

    # Then whoever watches it is not kept
    failed = home.call_json("watch", job.job_id, code=1)
    assert (failed["state"], failed["reason"]) == ("failed", "the bucket is gone")
    assert home.call_json("resume", job.job_id)["state"] == "pending"


@pytest.mark.redis
def test_a_queue_that_forgot_a_job_is_given_it_again(
    home: Home, client: Client, job: Job, queue: RedisQueue
) -> None:
    # Given a job with one unit drawn that is not in the queue
    draw(client.store(job.job_id), job, next(job.units()))
    assert "ancestral recover" in home.call_json("status", job.job_id)["reason"]

    # When it is recovered, then the others are there
    recovered = home.call_json("recover", job.job_id)
    assert (recovered["recovered"], recovered["rows_ok"]) == (True, 10)
    assert len(queue.claim("ann", 10, job.job_id)) == 2

    # And a finished job needs no recovering
    work(client, job)
    assert home.call_json("recover", job.job_id)["recovered"] is False
    assert "nothing to do" in home.call("recover", job.job_id)[2]


@pytest.mark.redis
def test_a_queue_that_does_not_know_a_job_is_no_queue_that_is_away(
    home: Home, client: Client, job: Job, queue: RedisQueue
) -> None:
    draw(client.store(job.job_id), job, next(job.units()))

    code, out, err = home.call("resume", job.job_id)

    assert code == 0
    assert "it is not in the queue" in out
    assert "if it does not know the job" in err
    assert f"`ancestral recover {job.job_id}`" in err


@pytest.mark.redis
def test_a_device_is_drained_and_pardoned(home: Home, queue: RedisQueue) -> None:
    # Given units that broke on one device, all but the first alone, and were drawn on another
    file = home.write(tiny_spec(home.lake, unit={"rows": 10}))
    job_id = home.call_json("submit", file)["job_id"]
    for _ in range(3):
        (lease,) = queue.claim("ann", 1, job_id, "node-1/cuda:0")
        queue.fail(lease, "an illegal memory access was encountered")
    for lease in queue.claim("bob", 3, job_id, "node-2/cuda:0"):
        queue.complete(job_id, lease.unit, RowCounts(ok=10), "node-2/cuda:0")

    # Then the device is named
    drained = home.call_json("devices")["drained"]
    assert list(drained) == ["node-1/cuda:0"]
    assert len(drained["node-1/cuda:0"]) == 2
    assert home.call("devices")[1].startswith("node-1/cuda:0  ")

    # And can be pardoned, once
    code, out, err = home.call("devices", "--pardon", "node-1/cuda:7")
    assert (code, out) == (2, "")
    assert "'node-1/cuda:7'" in err and "node-1/cuda:0" in err
    assert home.call_json("devices", "--pardon", "node-1/cuda:0") == {
        "drained": {},
        "pardoned": "node-1/cuda:0",
    }
    assert home.call("devices")[1] == "No device is drained.\n"


def test_a_job_that_was_finished_but_not_sealed_is_sealed(
    home: Home, client: Client, job: Job, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job whose finaliser died before the last of its objects
    work(client, job)
    success = next(home.lake.glob("_jobs/*/_SUCCESS"))
    success.unlink()
    assert not home.call_json("fsck", job.job_id, code=1)["sound"]

    # When it is resumed
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", redis_url)
    resumed = home.call_json("run", "--resume", job.job_id)

    # Then it is whole
    assert resumed["state"] == "done"
    assert Path(resumed["report"]).exists()
    assert home.call_json("fsck", job.job_id)["sound"]


def test_a_report_that_cannot_be_written_fails_no_finished_job(
    home: Home, client: Client, job: Job, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise TypeError("no number")

    work(client, job)
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", redis_url)
    monkeypatch.setattr("ancestral.orchestration.serve.publish_report", fail)

    code, out, err = home.call("run", "--resume", job.job_id)

    assert code == 0
    assert f"report of job {job.job_id} could not be written: TypeError('no number')" in err
    assert "done" in out and "\nreport " not in out
    assert home.call_json("run", "--resume", job.job_id)["report"] is None


def test_json_is_one_document(home: Home, job: Job) -> None:
    code, out, _ = home.call("pause", job.job_id, "--json")

    assert code == 0
    assert len(out.splitlines()) == 1
    assert json.loads(out)["rows_cancelled"] == 0
