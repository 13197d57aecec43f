"""A fleet that is told to be larger or smaller, with real samplers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.orchestration.actor import SamplerActor, SamplerPlan, device_name
from ancestral.orchestration.cluster import ray_module
from ancestral.orchestration.errors import FleetFailed
from ancestral.orchestration.fleet import Fleet
from ancestral.orchestration.handle import SamplerHandle, start_sampler
from ancestral.orchestration.serve import Service
from tests.orchestration.test_fleet import blame, plan, tend_until
from tests.orchestration.tiny import (
    is_running,
    pid_of,
    publish_tiny,
    small_ray,
    tiny_settings,
    tiny_spec,
)

pytestmark = [pytest.mark.ray, pytest.mark.redis]

#: Rows of so many pixels a side take longer than any test.
SIDE = 1000


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with small_ray():
        yield


class Site:
    """A queue, and a fleet of no sampler yet on two places."""

    def __init__(self, folder: Path, queue: RedisQueue) -> None:
        self.folder = folder
        self.queue = queue
        self.client = Client(tiny_settings(folder), queue)
        self.said: list[str] = []
        service = Service(self.client, queue, samplers=0, slots=4, device="cpu")
        self.fleet = Fleet(plan(service), 0, self.said.append)

    def submit_endless_row(self) -> Job:
        publish_tiny(self.client.settings, height=SIDE, width=SIDE)
        spec = tiny_spec(self.folder / "lake", samples=1)
        return self.client.submit({**spec, "grid": {"label": [3]}})

    def grow(self, size: int) -> list[int]:
        """The processes of so many samplers, once all have come."""
        self.fleet.resize(size)
        tend_until(self.fleet, lambda: len(self.fleet.workers) == size)
        return [pid_of(worker) for worker in self.fleet.workers]

    def until(self, holds: Callable[[], bool]) -> None:
        tend_until(self.fleet, holds)


@pytest.fixture
def site(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[Site]:
    site = Site(tmp_path, RedisQueue(redis_url, namespace=namespace))
    yield site
    site.fleet.stop(0.0)


def test_surplus_samplers_finish_their_rows_hand_back_the_others_and_end(site: Site) -> None:
    # Given two samplers amid a job that is far from its end
    pids = site.grow(2)
    publish_tiny(site.client.settings, height=40, width=40)
    spec = tiny_spec(site.folder / "lake", samples=500, unit={"rows": 2})
    job = site.client.submit(spec)
    site.until(lambda: site.queue.counts(job.job_id).rows_decided > 0)

    # When
    site.fleet.resize(0)
    assert len(site.fleet) == 0
    site.until(lambda: not any(is_running(pid) for pid in pids))

    # Then nobody was mourned or replaced, and what is drawn is kept
    assert (len(site.fleet), site.said) == (0, [])
    counts = site.queue.counts(job.job_id)
    assert counts.leased == 0 < counts.ready
    records = Ledger(site.client.store(job.job_id), job.job_id).records(job)
    assert sum(record.counts.total for record in records) == counts.rows_decided

    # And others draw what is left
    site.grow(1)
    site.until(lambda: site.queue.counts(job.job_id).rows_decided > counts.rows_decided)


def test_one_that_holds_nothing_goes_before_one_that_draws(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two samplers, of which the younger has the only row, for the older stood still
    samplers: list[SamplerHandle] = []

    def start(plan: SamplerPlan) -> SamplerHandle:
        samplers.append(start_sampler(plan))
        return samplers[-1]

    monkeypatch.setattr("ancestral.orchestration.fleet.start_sampler", start)
    [older, _] = site.grow(2)
    [idle, busy] = samplers
    os.kill(older, signal.SIGSTOP)
    job = site.submit_endless_row()
    site.until(lambda: site.queue.counts(job.job_id).leased == 1)
    os.kill(older, signal.SIGCONT)
    site.until(lambda: idle.idle and not busy.idle)

    # When
    site.fleet.resize(1)

    # Then
    site.until(lambda: not is_running(older))
    assert site.fleet.workers == [busy.worker]
    assert site.queue.counts(job.job_id).leased == 1


def test_one_that_waits_for_a_place_goes_first_and_does_not_wait_any_more(site: Site) -> None:
    # Given three samplers, of which one finds no place
    site.fleet.resize(3)
    site.until(lambda: len(site.fleet.workers) == 2)
    before = site.fleet.workers
    assert "PENDING_CREATION" in actor_states()

    # When
    site.fleet.resize(2)

    # Then Ray, which would start a node for it, is not asked for its place any more
    site.until(lambda: "PENDING_CREATION" not in actor_states())
    assert site.fleet.workers == before


def test_one_that_dies_as_it_drains_is_settled_and_not_replaced(site: Site) -> None:
    # Given a sampler amid a row, that is not needed any more
    [pid] = site.grow(1)
    job = site.submit_endless_row()
    site.until(lambda: site.queue.counts(job.job_id).leased == 1)
    site.fleet.resize(0)

    # When
    os.kill(pid, signal.SIGKILL)

    # Then its unit comes back at once, and the fleet goes on
    site.until(lambda: site.queue.counts(job.job_id).ready == 1)
    assert site.said == [
        "a sampler died (its process ended); its rows come back, and no other is needed"
    ]
    assert len(site.fleet) == 0


def test_those_who_are_parked_go_with_the_surplus_and_nobody_draws_on_their_device(
    site: Site,
) -> None:
    # Given two samplers that are parked for their device, and two that wait for their places
    job = site.client.submit(tiny_spec(site.folder / "lake", unit={"rows": 5}))
    blame(site.queue, job, device_name("cpu"))
    site.fleet.resize(2)
    seen = dict[str, int]()

    def parked(count: int) -> bool:
        seen.update((worker, pid_of(worker)) for worker in site.fleet.workers)
        return len(seen) == count and site.fleet.workers == []

    site.until(lambda: parked(2))
    first = list(seen.values())
    assert len(site.fleet) == 2

    # When one is enough, then both parked ones give up their places
    site.fleet.resize(1)
    # And the one that starts there is parked in turn, until the device is pardoned
    site.until(lambda: parked(3) and not any(is_running(pid) for pid in first))
    assert (len(site.fleet), site.queue.counts(job.job_id).ready) == (1, 3)
    site.queue.pardon(device_name("cpu"))
    site.until(lambda: site.queue.counts(job.job_id).ready == 0)


def test_samplers_that_die_at_once_are_not_made_up_for_by_more_of_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doomed(SamplerActor):
        def __init__(self, plan: SamplerPlan) -> None:
            raise ValueError("no such luck")

    # Given a fleet of one place, in which one may die, and did
    monkeypatch.setattr("ancestral.orchestration.crash_limit.IDLE_DEATHS", 1)
    monkeypatch.setattr("ancestral.orchestration.handle.SamplerActor", Doomed)
    site.fleet.resize(1)
    site.until(lambda: len(site.said) == 1)

    # When it grows by one, then so does what it may lose, and no more
    site.fleet.resize(2)
    with pytest.raises(FleetFailed, match="no such luck"):
        site.until(lambda: False)
    assert len(site.said) == 2


def actor_states() -> list[str]:
    """What became of all actors of this Ray."""
    return [each["State"] for each in ray_module("ray._private.state").actors().values()]
