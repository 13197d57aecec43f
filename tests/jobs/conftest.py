"""Stores and queues of each kind, jobs whose rows a test decides as it likes, and a client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.index import IndexRow
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Queue
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from tests.jobs import deciding
from tests.jobs.bundles import write_bundle
from tests.jobs.rigs import MemoryRig, RedisRig, Rig


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind in turn."""
    match request.param:
        case "local":
            return open_store(str(tmp_path / "lake"))
        case "memory":
            return open_store(f"memory://{uuid.uuid4().hex}/lake")
        case _:
            request.getfixturevalue("s3_server")
            return open_store(f"s3://ancestral-tests/{uuid.uuid4().hex}")


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "lake"))


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def rig(request: pytest.FixtureRequest, namespace: str) -> Iterator[Rig]:
    """Each kind of queue in turn, and its time."""
    if request.param == "memory":
        yield MemoryRig()
    else:
        redis_rig = RedisRig(request.getfixturevalue("redis_url"), namespace)
        yield redis_rig
        redis_rig.close()


@pytest.fixture
def queue(rig: Rig) -> Queue:
    return rig.queue


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """make_job(rows, unit_rows) is an accepted job; its spec.json is not written."""
    return deciding.make_job


@pytest.fixture
def make_row() -> Callable[..., IndexRow]:
    """make_row(job, ordinal) is the index row that any attempt would write, bar what is given."""
    return deciding.make_row


@pytest.fixture
def commit() -> Callable[..., RowsRecord]:
    """commit(store, job, unit, statuses) does what a worker does once it has drawn a unit."""
    return deciding.commit


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with one model, `digits`; nothing ships."""
    home = tmp_path / "home"
    settings = Settings(home=home, state_uri=str(home / "state"), shipped_folder=None)
    write_bundle(tmp_path / "model")
    Client(settings).registry.publish(tmp_path / "model", "digits")
    return settings


@pytest.fixture
def client(settings: Settings) -> Client:
    """A client with a queue of its own."""
    return Client(settings, MemoryQueue())


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    """A job of 20 rows in units of 8."""
    return {
        "name": "My digits!",
        "model": "digits",
        "grid": {"label": list(range(10))},
        "sampling": {"samples": 2, "seed": 7},
        "unit": {"rows": 8},
        "output": str(tmp_path / "lake"),
    }
