"""Samplers in real Ray processes, fed by a real queue."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.orchestration.actor import SamplerPlan
from ancestral.orchestration.errors import FleetFailed
from ancestral.orchestration.fleet import Fleet
from ancestral.orchestration.interrupt import Interrupt, Stopped
from ancestral.orchestration.serve import Service, publish_report, run_job, serve
from tests.orchestration.tiny import is_running, pid_of, small_ray, tiny_settings, tiny_spec

pytestmark = [pytest.mark.ray, pytest.mark.redis]


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


@pytest.fixture
def service(tmp_path: Path, redis_url: str, namespace: str) -> Service:
    """Two samplers of four slots, on a queue of their own."""
    settings = tiny_settings(tmp_path)
    queue = RedisQueue(redis_url, namespace=namespace)
    return Service(Client(settings, queue), queue, 60.0, samplers=2, slots=4, device="cpu")


class AskedWhen(Interrupt):
    """Somebody asks to stop as soon as a condition holds."""

    def __init__(self, holds: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self._holds = holds

    def wait(self, seconds: float) -> bool:
        time.sleep(0.05)
        return self._holds()


def workers_of(service: Service, job: Job) -> set[str]:
    records = Ledger(service.client.store(job.job_id), job.job_id).records()
    return {record.worker for record in records}


def test_a_fleet_draws_a_job_and_leaves_no_process_behind(service: Service, tmp_path: Path) -> None:
    # Given
    job = service.client.submit(tiny_spec(tmp_path / "lake", unit={"rows": 4}))
    progress = io.StringIO()

    # When
    manifest = run_job(service, job, progress, AskedWhen())

    # Then
    assert (manifest.state, manifest.rows_ok) == ("done", 30)
    assert "30 of 30 rows" in progress.getvalue()
    assert service.queue.jobs() == []
    deadline = time.monotonic() + 20
    processes = {pid_of(worker) for worker in workers_of(service, job)}
    while any(is_running(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(is_running(pid) for pid in processes)


def test_a_job_that_the_queue_lost_is_queued_again(service: Service, tmp_path: Path) -> None:
    job = service.client.submit(tiny_spec(tmp_path / "lake"))
    service.queue.forget(job.job_id)
    progress = io.StringIO()

    manifest = run_job(service, job, progress, AskedWhen())

    assert manifest.rows_ok == 30
    assert "the queue lost the job" in progress.getvalue()


def test_a_stopped_job_keeps_its_rows_and_can_be_resumed(service: Service, tmp_path: Path) -> None:
    # Given a job that is stopped as soon as a row is decided
    job = service.client.submit(tiny_spec(tmp_path / "lake", samples=200, unit={"rows": 2}))
    some_rows = AskedWhen(lambda: service.queue.counts(job.job_id).rows_ok > 0)

    with pytest.raises(Stopped, match=job.job_id):
        run_job(service, job, io.StringIO(), some_rows)
    before = workers_of(service, job)
    rows = len(service.client.results(job.job_id))
    assert 0 < rows < 2000

    # When it goes on, on an empty queue
    service.queue.forget(job.job_id)
    service.client.enqueue(job)
    manifest = run_job(service, job, io.StringIO(), AskedWhen())

    # Then the first workers' rows are still theirs
    assert manifest.rows_ok == 2000
    assert workers_of(service, job) > before


def test_a_fleet_serves_every_job_and_publishes_it(service: Service, tmp_path: Path) -> None:
    # Given two jobs, one of which cannot be found any more
    jobs = [service.client.submit(tiny_spec(tmp_path / "lake", name=f"n{n}")) for n in range(2)]
    service.queue.add_job("gone", str(tmp_path / "nowhere"), priority=5, max_attempts=1)
    said: list[str] = []
    statuses = [lambda job=job: service.client.status(job.job_id) for job in jobs]

    # When
    published = serve(
        service, said.append, AskedWhen(lambda: all(status().finished for status in statuses))
    )

    # Then
    ids = {job.job_id for job in jobs}
    assert set(published) == ids
    for job_id in ids:
        assert (tmp_path / "lake" / "reports" / f"{job_id}.html").exists()
    assert sum(line.startswith("job gone is set aside") for line in said) == 1


def test_samplers_that_die_at_once_are_not_replaced_for_ever(service: Service) -> None:
    plan = SamplerPlan(
        queue=service.queue,
        lease_seconds=60.0,
        state_uri="a::b",
        cache_folder=Path("/nowhere"),
        slots=1,
        device="cpu",
    )
    fleet = Fleet(plan, 1, lambda line: None)
    fleet.start()

    with pytest.raises(FleetFailed, match="cannot chain file systems"):
        for _ in range(600):
            fleet.tend(rows=0)
            time.sleep(0.1)
    fleet.stop(0.0)


def test_what_breaks_in_a_sampler_is_told(service: Service, tmp_path: Path) -> None:
    # Given a job whose bundle is gone when its samplers look for it
    job = service.client.submit(tiny_spec(tmp_path / "lake", max_attempts=1, unit={"rows": 30}))
    for file in Path(job.model.uri).iterdir():
        file.unlink()
    progress = io.StringIO()

    # When
    manifest = run_job(dataclasses.replace(service, samplers=1), job, progress, AskedWhen())
    report = publish_report(service.client, job, manifest)

    # Then
    assert (manifest.state, manifest.rows_failed) == ("done_with_errors", 30)
    assert "rows 0 to 29 broke" in progress.getvalue()
    assert "rows 0 to 29 are recorded as failed" in progress.getvalue()
    assert "30 failed" in Path(report).read_text()
