"""Samplers in real Ray processes, fed by a real queue."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.intents import Wanted
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.queue import Order, Progress, QueueCounts, QueuedJob
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.jobs.states import State
from ancestral.jobs.units import RowCounts
from ancestral.models import save_bundle
from ancestral.orchestration.actor import Introduction, News, SamplerPlan, device_name
from ancestral.orchestration.cluster import ray
from ancestral.orchestration.errors import FleetFailed, FleetUnfit, JobFailed, Stopped
from ancestral.orchestration.fleet import Fleet
from ancestral.orchestration.handle import SamplerHandle
from ancestral.orchestration.serve import Service, publish_report, run_job, serve
from tests.models.nets import DIGITS, foreign_case
from tests.orchestration.tiny import (
    AskedWhen,
    is_running,
    pid_of,
    publish_tiny,
    small_ray,
    tiny_settings,
    tiny_spec,
)

pytestmark = [pytest.mark.ray, pytest.mark.redis]


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


@pytest.fixture
def service(tmp_path: Path, redis_url: str, namespace: str) -> Service:
    """A sampler of four slots, on a queue of its own."""
    settings = tiny_settings(tmp_path)
    queue = RedisQueue(redis_url, namespace=namespace)
    return Service(Client(settings, queue), queue, samplers=1, slots=4, device="cpu")


@pytest.fixture
def make_fleet() -> Iterator[Callable[..., Fleet]]:
    """make_fleet(plan, size, ...) is a started fleet; it is stopped at the end."""
    with ExitStack() as stack:

        def make(plan: SamplerPlan, size: int, say: Callable[[str], None], **more: Any) -> Fleet:
            fleet = Fleet(plan, size, say, **more)
            stack.callback(fleet.stop, 0.0)
            fleet.start()
            return fleet

        yield make


def workers_of(service: Service, job: Job) -> set[str]:
    records = Ledger(service.client.store(job.job_id), job.job_id).records(job)
    return {record.worker for record in records}


def test_a_fleet_draws_a_job_and_leaves_no_process_behind(service: Service, tmp_path: Path) -> None:
    # Given
    job = service.client.submit(tiny_spec(tmp_path / "lake", unit={"rows": 4}))
    progress = io.StringIO()

    # When two samplers draw it
    manifest = run_job(dataclasses.replace(service, samplers=2), job, progress, AskedWhen())

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
    assert "the queue does not know it" in progress.getvalue()


def test_a_job_that_no_sampler_can_draw_is_refused_in_a_sentence(
    service: Service, tmp_path: Path
) -> None:
    # Given a job that was submitted for GPUs
    sampling = {"precision": "bfloat16", "tiles": "few"}
    job = service.client.submit(tiny_spec(tmp_path / "lake", sampling=sampling))

    # When
    with pytest.raises(FleetUnfit, match=f"^cpu does not draw job {job.job_id}: .*for GPUs"):
        run_job(service, job, io.StringIO(), AskedWhen())

    # Then no row of it failed
    counts = service.queue.counts(job.job_id)
    assert (counts.rows_decided, counts.leased) == (0, 0)


def test_a_job_whose_family_no_sampler_has_is_refused_and_costs_no_row(
    service: Service, tmp_path: Path
) -> None:
    # Given a model of a family of which no package is installed, and a fleet of two
    save_bundle(tmp_path / "foreign", foreign_case().net, card="A toy.", metrics={})
    grid = {"label": list(DIGITS)}
    spec = tiny_spec(tmp_path / "lake", model=str(tmp_path / "foreign"), grid=grid)
    job = service.client.submit(spec)

    # When
    with pytest.raises(FleetUnfit, match=f"^cpu does not draw job {job.job_id}: .*'foreign'"):
        run_job(dataclasses.replace(service, samplers=2), job, io.StringIO(), AskedWhen())

    # Then no row failed, and no unit was charged
    counts = service.queue.counts(job.job_id)
    assert (counts.rows_decided, counts.leased) == (0, 0)
    (lease,) = service.queue.claim("bob", 1, job.job_id)
    assert lease.attempts == 0


def test_a_stopped_job_keeps_its_rows_and_can_be_resumed(service: Service, tmp_path: Path) -> None:
    # Given a job of images that take their time, and that is stopped as soon as a row is decided
    publish_tiny(service.client.settings, height=60, width=60)
    job = service.client.submit(tiny_spec(tmp_path / "lake", samples=40, unit={"rows": 2}))
    some_rows = AskedWhen(lambda: service.queue.counts(job.job_id).rows_ok > 0)

    with pytest.raises(Stopped, match=job.job_id):
        run_job(service, job, io.StringIO(), some_rows)
    before = workers_of(service, job)
    rows = len(service.client.results(job.job_id))
    assert 0 < rows < 400

    # When it goes on, on an empty queue
    service.queue.forget(job.job_id)
    service.client.take_up(job)
    manifest = run_job(service, job, io.StringIO(), AskedWhen())

    # Then the first workers' rows are still theirs
    assert manifest.rows_ok == 400
    assert workers_of(service, job) > before


def test_a_fleet_serves_every_job_and_publishes_it(service: Service, tmp_path: Path) -> None:
    # Given two jobs, one of which cannot be found any more
    jobs = [service.client.submit(tiny_spec(tmp_path / "lake", name=f"n{n}")) for n in range(2)]
    service.queue.begin_rebuild(QueuedJob("gone", str(tmp_path / "nowhere"), 5, 10), 1)
    said: list[str] = []
    statuses = [partial(service.client.status, job.job_id) for job in jobs]

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


def test_samplers_that_die_at_once_are_not_replaced_for_ever(
    service: Service, make_fleet: Callable[..., Fleet]
) -> None:
    fleet = make_fleet(plan(service, state_uri="a::b"), 1, lambda line: None)

    with pytest.raises(FleetFailed, match="cannot chain file systems"):
        for _ in range(600):
            fleet.tend(drawn=0)
            time.sleep(0.1)


def test_what_breaks_in_a_sampler_is_told(service: Service, tmp_path: Path) -> None:
    # Given a job whose bundle is gone when its samplers look for it
    spec = tiny_spec(tmp_path / "lake", samples=1, unit={"rows": 2})
    job = service.client.submit({**spec, "grid": {"label": [3, 4]}})
    for file in Path(job.model.uri).iterdir():
        file.unlink()
    progress = io.StringIO()

    # When
    manifest = run_job(service, job, progress, AskedWhen())
    report = publish_report(service.client, job, manifest)

    # Then
    assert (manifest.state, manifest.rows_failed) == ("done_with_errors", 2)
    assert "rows 0 to 1 cannot be drawn" in progress.getvalue()
    assert "there is no config.json" in progress.getvalue()
    assert "2 failed" in Path(report).read_text()


def test_a_job_that_is_paused_meanwhile_is_waited_for_and_a_cancelled_one_ends(
    service: Service, tmp_path: Path, redis_url: str, namespace: str
) -> None:
    # Given a job that is paused when some of it is drawn, and cancelled when that took effect
    job = service.client.submit(tiny_spec(tmp_path / "lake", samples=200, unit={"rows": 2}))
    progress = io.StringIO()

    def counts() -> QueueCounts:
        return service.queue.counts(job.job_id)

    def act() -> bool:
        if counts().wanted is Wanted.RUN and counts().rows_ok:
            service.client.pause(job.job_id, "lunch")
        elif "is paused: lunch" in progress.getvalue() and not counts().leased:
            service.client.cancel(job.job_id, "no appetite")
        return False

    # When
    queue = RedisQueue(redis_url, lease_seconds=2.0, namespace=namespace)
    manifest = run_job(dataclasses.replace(service, queue=queue), job, progress, AskedWhen(act))

    # Then
    assert manifest.state is State.CANCELLED
    assert 0 < manifest.rows_ok < 2000
    assert manifest.rows_ok + manifest.rows_cancelled == 2000
    assert "is cancelled: no appetite" in progress.getvalue()
    report = Path(publish_report(service.client, job, manifest)).read_text()
    assert f"{manifest.rows_cancelled:,} cancelled" in report


def test_a_job_that_cannot_go_on_ends_the_run_and_says_why(
    service: Service, tmp_path: Path
) -> None:
    job = service.client.submit(tiny_spec(tmp_path / "lake"))
    store = service.client.store(job.job_id)
    store.put(layout.record_path(job.job_id, next(iter(job.units()))), b"{}")

    with pytest.raises(JobFailed, match=f"{job.job_id} failed: .*--resume"):
        run_job(service, job, io.StringIO(), AskedWhen())

    assert service.client.status(job.job_id).state is State.FAILED


def test_samplers_on_a_drained_device_stop_until_it_is_pardoned(
    service: Service, make_fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    # Given a device on which two units broke that others then drew
    job = service.client.submit(tiny_spec(tmp_path / "lake", unit={"rows": 5}))
    device = device_name("cpu")
    blame(service.queue, job, device)
    said: list[str] = []
    fleet = make_fleet(plan(service), 2, said.append)

    # When
    seen: set[str] = set()

    def both_came() -> bool:
        seen.update(fleet.workers)
        return len(seen) == 2

    tend_until(fleet, both_came)
    tend_until(fleet, lambda: fleet.workers == [])

    # Then it is named, once, and draws nothing
    assert len(said) == 1 and f"--pardon {device}" in said[0]
    assert service.queue.counts(job.job_id).ready == 3

    # When
    service.queue.pardon(device)

    # Then
    tend_until(fleet, lambda: service.queue.counts(job.job_id).ready == 0)


def test_what_samplers_say_while_they_drain_is_told(
    service: Service, make_fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a sampler that says something when it drains, and answered before
    class Talker:
        def __init__(self) -> None:
            self._lines: list[str] = []
            self._drained = threading.Event()

        def introduce(self) -> Introduction:
            return Introduction("talker", "cpu", "here")

        def run(self) -> None:
            self._drained.wait()

        def news(self) -> News:
            lines, self._lines = self._lines, []
            return News(lines, idle=True)

        def drain(self) -> None:
            self._lines.append("two units were handed back")
            self._drained.set()

    def start(_: SamplerPlan) -> SamplerHandle:
        actor = ray.remote(Talker).options(max_concurrency=2).remote()
        questions = [getattr(actor, name).remote() for name in ("introduce", "run", "news")]
        return SamplerHandle(actor, *questions)

    monkeypatch.setattr("ancestral.orchestration.fleet.start_sampler", start)
    said: list[str] = []
    fleet = make_fleet(plan(service), 1, said.append)
    tend_until(fleet, lambda: bool(fleet.workers))

    # When
    fleet.stop(30.0)

    # Then
    assert said == ["two units were handed back"]


def test_a_sampler_that_does_not_answer_is_replaced_and_its_units_come_back(
    service: Service, make_fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    # Given
    said: list[str] = []
    fleet = make_fleet(plan(service), 1, said.append, silence_seconds=3.0)
    tend_until(fleet, lambda: bool(fleet.workers))
    [first] = fleet.workers

    # When
    os.kill(pid_of(first), signal.SIGSTOP)
    service.client.submit(tiny_spec(tmp_path / "lake"))
    [lease] = service.queue.claim(first, 1)
    tend_until(fleet, lambda: fleet.workers not in ([], [first]))

    # Then
    assert any("does not answer" in line for line in said)
    assert service.queue.heartbeat(first, {lease: Progress(1)}) == {lease: Order.LOST}
    tend_until(fleet, lambda: not is_running(pid_of(first)))


def plan(service: Service, state_uri: str | None = None) -> SamplerPlan:
    """For samplers of any job of the service."""
    settings = service.client.settings
    return SamplerPlan(
        queue=service.queue,
        state_uri=state_uri or settings.state_uri,
        cache_folder=settings.cache_folder,
        slots=4,
        device="cpu",
    )


def blame(queue: RedisQueue, job: Job, device: str) -> None:
    """Let two units of the job speak against a device: they break alone, after another one did."""
    for alone in (False, True, True):
        [lease] = queue.claim("ann", 1, job.job_id, device)
        assert lease.alone is alone
        queue.fail(lease, "out of luck")
        queue.complete(job.job_id, lease.unit, RowCounts(lease.unit.rows), "elsewhere/cpu")
    assert list(queue.drained_devices()) == [device]


def tend_until(fleet: Fleet, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        fleet.tend(0)
        time.sleep(0.1)
