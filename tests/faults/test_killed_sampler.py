"""A sampler's process is killed in the middle of a job, and nobody helps."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.serve import Service, run_job
from tests.orchestration.tiny import is_running, pid_of, small_ray, tiny_settings, tiny_spec

pytestmark = [pytest.mark.ray, pytest.mark.redis]

#: Short, so that the killed sampler's units come back soon.
LEASE_SECONDS = 3.0


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


@pytest.fixture
def run(tmp_path: Path, redis_url: str, namespace: str) -> Callable[..., pa.Table]:
    """run(output, interrupt) is the index of a job of 2,000 rows, sorted by ordinal."""
    settings = tiny_settings(tmp_path)
    queue = RedisQueue(redis_url, LEASE_SECONDS, namespace=namespace)
    client = Client(settings, queue)
    service = Service(client, queue, LEASE_SECONDS, samplers=2, slots=16, device="cpu")

    def draw(output: str, make_interrupt: Callable[[Client, str], Interrupt]) -> pa.Table:
        spec = tiny_spec(tmp_path / output, samples=200, unit={"rows": 20})
        job = client.submit(spec)
        progress = io.StringIO()
        manifest = run_job(service, job, progress, make_interrupt(client, job.job_id))
        assert manifest.rows_ok == manifest.rows == 2000
        assert ("a sampler died" in progress.getvalue()) == (output == "disturbed")
        return client.results(job.job_id).table()

    return draw


class Killer(Interrupt):
    """Looks on while a job runs, and kills the first worker that has committed a unit."""

    def __init__(self, client: Client, job_id: str) -> None:
        super().__init__()
        self._ledger = Ledger(client.store(job_id), job_id)
        self._rows = client.job(job_id).rows
        self.killed: int | None = None

    def wait(self, seconds: float) -> bool:
        if self.killed is None:
            records = list(self._ledger.records())
            if records:
                self.killed = pid_of(records[0].worker)
                os.kill(self.killed, signal.SIGKILL)
                assert sum(record.counts.total for record in records) < self._rows
        return super().wait(0.05)


def test_the_job_ends_with_the_same_rows_and_none_twice(run: Callable[..., pa.Table]) -> None:
    # Given the job as it is when nothing happens
    undisturbed = run("undisturbed", lambda client, job_id: Interrupt())

    # When one of the two samplers is killed while it draws
    killers: list[Killer] = []

    def killer(client: Client, job_id: str) -> Killer:
        killers.append(Killer(client, job_id))
        return killers[0]

    disturbed = run("disturbed", killer)

    # Then
    assert killers[0].killed is not None and not is_running(killers[0].killed)
    assert disturbed["ordinal"].to_pylist() == list(range(2000))
    assert disturbed["sha256"].equals(undisturbed["sha256"])
    # And the test would notice a swap: nearly all artifacts are different
    assert len(set(disturbed["sha256"].to_pylist())) > 1990
