"""A sampler's process is killed in the middle of a job, and nobody helps."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.serve import Service, run_job
from tests.orchestration.tiny import (
    drawn_in_peace,
    is_running,
    pid_of,
    small_ray,
    tiny_settings,
    tiny_spec,
)

pytestmark = [pytest.mark.ray, pytest.mark.redis]

#: So long that the killed sampler's units come back by what the fleet does, or not at all.
LEASE_SECONDS = 3600.0


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


class Killer(Interrupt):
    """Looks on while a job runs, and kills the first worker that has committed a unit."""

    def __init__(self, client: Client, job: Job) -> None:
        super().__init__()
        self._ledger = Ledger(client.store(job.job_id), job.job_id)
        self._job = job
        self.killed: int | None = None

    def wait(self, seconds: float) -> bool:
        if self.killed is None:
            records = list(self._ledger.records(self._job))
            if records:
                self.killed = pid_of(records[0].worker)
                os.kill(self.killed, signal.SIGKILL)
                assert sum(record.counts.total for record in records) < self._job.rows
        return super().wait(0.05)


def test_the_job_ends_with_the_same_rows_and_none_twice(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    # Given
    queue = RedisQueue(redis_url, LEASE_SECONDS, namespace=namespace)
    client = Client(tiny_settings(tmp_path), queue)
    service = Service(client, queue, samplers=2, slots=16, device="cpu")
    job = client.submit(tiny_spec(tmp_path / "lake", samples=200, unit={"rows": 20}))
    killer = Killer(client, job)
    progress = io.StringIO()

    # When one of the two samplers is killed while it draws
    manifest = run_job(service, job, progress, killer)

    # Then
    assert killer.killed is not None and not is_running(killer.killed)
    assert "a sampler died (its process ended)" in progress.getvalue()
    assert manifest.rows_ok == manifest.rows == 2000
    disturbed = client.results(job.job_id).table()
    assert disturbed["ordinal"].to_pylist() == list(range(2000))
    undisturbed = drawn_in_peace(client.settings, tmp_path / "peace", samples=200)
    assert disturbed["sha256"].equals(undisturbed["sha256"])
    # And the test would notice a swap: nearly all artifacts are different
    assert len(set(disturbed["sha256"].to_pylist())) > 1990
