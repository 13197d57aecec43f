"""What real faults befall: a lake, its queue on a real server, and what it would hold in peace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.workers.worker import Pace, Worker
from tests.faults.fleet import LONG
from tests.faults.lake import Drawn, Lake
from tests.workers.fakes import FakeModels


@pytest.fixture(scope="session")
def long() -> bool:
    """See `LONG`."""
    return LONG


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, long: bool) -> Drawn:
    """What plain rows are when nothing happens to them, by seed."""
    lake = Lake(tmp_path_factory.mktemp("undisturbed"), MemoryQueue(), {})
    job = lake.submit(["plain"] * (20_000 if long else 800), unit_rows=256)
    Worker(lake.queue, FakeModels(64), job_id=job.job_id, pace=Pace(idle_seconds=0.01)).run()
    rows = lake.client.results(job.job_id).table().to_pylist()
    return {row["seed"]: (row["symbols_sha256"], row["sha256"]) for row in rows}


@pytest.fixture
def lake(tmp_path: Path, redis_url: str, namespace: str, undisturbed: Drawn) -> Iterator[Lake]:
    queue = RedisQueue(redis_url, namespace=namespace)
    yield Lake(tmp_path, queue, undisturbed)
    queue.close()
