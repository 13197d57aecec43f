"""The queue's server forgets everything, remembers what was long ago, is full, or out of reach."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ancestral.jobs.ledger import Ledger
from ancestral.jobs.redis_queue import RedisQueue
from tests.faults.durable import DurableValkey
from tests.faults.fleet import ProcessFleet
from tests.faults.lake import Drawn, Lake
from tests.faults.wire import Wire

pytestmark = [pytest.mark.chaos, pytest.mark.redis]

DEVICES = ["node-1/cpu", "node-2/cpu", "node-3/cpu"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DurableValkey]:
    with DurableValkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def lake(tmp_path: Path, server: DurableValkey, undisturbed: Drawn) -> Iterator[Lake]:
    """A lake whose queue is on a server of its own."""
    queue = RedisQueue(server.url, namespace="chaos")
    yield Lake(tmp_path, queue, undisturbed)
    queue.close()


def test_everything_is_flushed_at_ten_points_of_a_job(
    lake: Lake, server: DurableValkey, long: bool
) -> None:
    # Given
    rows = 8_000 if long else 800
    job = lake.submit(["plain"] * rows)
    points = sorted(random.Random(7).sample(range(5, rows // 8 - 5), 10))
    # When
    with ProcessFleet(lake.plan(job, server.url, "chaos"), lake.queue, DEVICES) as fleet:
        for records in points:
            fleet.until_records(records)
            server.client.flushall()
        fleet.finish()
    # Then
    said = [line["sentence"] for line in fleet.journals("said")]
    assert sum("does not know it" in sentence for sentence in said) >= 5
    lake.check(job)


def test_the_server_is_killed_and_started_from_an_old_log(
    lake: Lake, server: DurableValkey
) -> None:
    # Given
    job = lake.submit(["plain"] * 600)
    with ProcessFleet(lake.plan(job, server.url, "chaos"), lake.queue, DEVICES) as fleet:
        fleet.until_records(10)
        server.keep_files()
        fleet.until_records(40)
        # When
        server.kill()
        server.restore_files()
        server.start()
        fleet.finish()
    # Then
    assert any("was restarted" in line["sentence"] for line in fleet.journals("said"))
    lake.check(job)


def test_the_server_is_killed_and_started_from_what_it_saved_last(
    lake: Lake, server: DurableValkey
) -> None:
    # Given
    job = lake.submit(["plain"] * 600)
    with ProcessFleet(lake.plan(job, server.url, "chaos"), lake.queue, DEVICES) as fleet:
        fleet.until_records(30)
        # When
        server.kill()
        server.start()
        fleet.finish()
    # Then
    assert any("was restarted" in line["sentence"] for line in fleet.journals("said"))
    lake.check(job)


def test_a_full_server_gives_no_units_and_takes_results(lake: Lake, server: DurableValkey) -> None:
    # Given
    job = lake.submit(["plain"] * 400)
    with ProcessFleet(lake.plan(job, server.url, "chaos"), lake.queue, DEVICES) as fleet:
        fleet.until_records(10)
        # When
        server.client.config_set("maxmemory", 1)
        # Then units that were begun land, and no other is
        fleet.until(lambda: not any(fleet.in_hand(member) for member in fleet.members))
        counts = lake.queue.counts(job.job_id)
        assert counts.leased == 0 < counts.ready
        decided = Ledger(fleet.store, job.job_id).cover(job).rows
        assert counts.rows_decided == counts.rows_ok == sum(unit.rows for unit in decided)
        # When
        server.client.config_set("maxmemory", 0)
        # Then
        fleet.finish()
    lake.check(job)


@pytest.mark.parametrize("way", ["requests", "answers"])
def test_one_worker_is_cut_off_for_longer_than_a_lease(
    lake: Lake, server: DurableValkey, way: str
) -> None:
    # Given
    job = lake.submit(["plain"] * 300)
    with Wire("127.0.0.1", server.port) as wire:
        urls = {DEVICES[0]: f"redis://127.0.0.1:{wire.port}/0"}
        plan = lake.plan(job, server.url, "chaos", urls=urls, answer_seconds=0.5)
        with ProcessFleet(plan, lake.queue, DEVICES) as fleet:
            lonely = fleet.members[0]
            fleet.until(lambda: fleet.in_hand(lonely))
            # When others do all the rest, and what waited on the wire arrives after that
            wire.cut(**{way: True})
            fleet.until(fleet.published)
            assert wire.held_back[way]
            wire.heal()
            # Then
            fleet.until(lambda: not fleet.in_hand(lonely))
    lake.check(job)


@pytest.mark.parametrize("way", ["requests", "answers"])
def test_everybody_is_cut_off_for_longer_than_a_lease(
    lake: Lake, server: DurableValkey, way: str
) -> None:
    # Given
    job = lake.submit(["plain"] * 400)
    with Wire("127.0.0.1", server.port) as wire:
        url = f"redis://127.0.0.1:{wire.port}/0"
        plan = lake.plan(job, url, "chaos", answer_seconds=0.5)
        with ProcessFleet(plan, lake.queue, DEVICES) as fleet:
            fleet.until(lambda: lake.queue.counts(job.job_id).leased)
            # When
            wire.cut(**{way: True})
            fleet.until(lambda: lake.queue.reap())
            fleet.until(lambda: lake.queue.reap() or not lake.queue.counts(job.job_id).leased)
            wire.heal()
            # Then
            fleet.finish()
    lake.check(job)


def test_connections_break_again_and_again(lake: Lake, server: DurableValkey, long: bool) -> None:
    # Given
    rows, breaks = (4_000, 100) if long else (300, 8)
    job = lake.submit(["plain"] * rows)
    with Wire("127.0.0.1", server.port) as wire:
        plan = lake.plan(job, f"redis://127.0.0.1:{wire.port}/0", "chaos")
        with ProcessFleet(plan, lake.queue, DEVICES) as fleet:
            # When
            for done in range(breaks):
                fleet.until_records(done * rows // 8 // breaks)
                wire.reset()
            # Then
            fleet.finish()
    lake.check(job)
