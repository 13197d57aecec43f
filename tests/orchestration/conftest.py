"""What tests of commands share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from tests.orchestration.home import Home
from tests.orchestration.tiny import tiny_spec


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Home:
    return Home(tmp_path, monkeypatch, capsys)


@pytest.fixture
def client(home: Home) -> Client:
    """What a user has in a notebook beside the command line; there is no queue."""
    return Client(home.settings)


@pytest.fixture
def job(home: Home, client: Client) -> Job:
    """A job of 30 rows in three units, that nobody works on."""
    return client.submit(tiny_spec(home.lake, unit={"rows": 10}))


@pytest.fixture
def queue(home: Home, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisQueue]:
    """A queue for every command."""
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", redis_url)
    queue = RedisQueue(redis_url)
    yield queue
    for job_id in Client(home.settings).jobs():
        queue.forget(job_id)
    queue.close()


@pytest.fixture
def attended() -> Iterator[None]:
    """A process that ends when its terminal is closed; under nohup tests would not be one."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
