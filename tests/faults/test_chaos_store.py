"""The store throttles, loses answers, tears uploads, is slow, or is full."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ancestral.jobs.ledger import Ledger
from tests.faults.fleet import ProcessFleet
from tests.faults.lake import Lake
from tests.faults.processes import Plan
from tests.faults.proxy import SLOW_DOWN, Fault, HttpProxy, Meddling, Shares

pytestmark = [pytest.mark.chaos, pytest.mark.redis]

DEVICES = ["node-1/cpu", "node-2/cpu", "node-3/cpu"]


ROWS = 96


@pytest.fixture
def proxy(s3_server: str) -> Iterator[HttpProxy]:
    with HttpProxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def plan(lake: Lake, redis_url: str, namespace: str, proxy: HttpProxy, long: bool) -> Plan:
    """For a job whose workers and controller reach their store through the proxy alone."""
    rows = 20 * ROWS if long else ROWS
    job = lake.submit(["plain"] * rows, f"s3://ancestral-tests/{uuid.uuid4().hex}")
    credentials = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return lake.plan(
        job,
        redis_url,
        namespace,
        environment={**credentials, "AWS_ENDPOINT_URL": proxy.url},
        lease_seconds=6.0,
        patience_seconds=30.0,
    )


@pytest.mark.s3
@pytest.mark.parametrize(
    "shares",
    [
        {SLOW_DOWN: 0.2, Fault.DROP_ANSWER: 0.05},
        {Fault.TEAR: 0.1, Fault.DELAY: 0.1, Fault.DROP_ANSWER: 0.1},
    ],
    ids=["throttled", "torn"],
)
def test_a_job_gets_through_a_troubled_store(
    lake: Lake, plan: Plan, proxy: HttpProxy, shares: Mapping[Meddling, float]
) -> None:
    # Given
    proxy.meddle = Shares(7, shares)
    # When
    with ProcessFleet(plan, lake.queue, DEVICES) as fleet:
        manifest = fleet.finish()
    # Then
    assert all(proxy.counts[fault] > 3 for fault in shares), proxy.counts
    assert manifest.rows_ok == plan.job.rows
    lake.check(plan.job)


@pytest.mark.s3
def test_whoever_commits_knows_his_record_when_the_answer_is_lost(
    lake: Lake, plan: Plan, proxy: HttpProxy
) -> None:
    # Given a store that never says that it created a record, the first time that it does
    created: set[str] = set()

    def meddle(method: str, path: str) -> Meddling:
        if method != "PUT" or "/ranges/" not in path or path in created:
            return Fault.PASS
        created.add(path)
        return Fault.DROP_ANSWER

    proxy.meddle = meddle
    # When
    with ProcessFleet(plan, lake.queue, DEVICES) as fleet:
        fleet.finish()
    # Then whoever made it knew his own
    assert len(created) == fleet.records() == proxy.counts[Fault.DROP_ANSWER]
    told = {(line["worker"], *line["unit"]) for line in fleet.journals("UnitCommitted")}
    records = Ledger(fleet.store, plan.job.job_id).records(plan.job)
    assert told == {(record.worker, record.start, record.end) for record in records}
    lake.check(plan.job)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds a part of a job's output."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(mount("size=600k", disk), capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def mount(options: str, folder: Path) -> list[str | Path]:
    return ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]


def test_a_job_waits_until_there_is_room(
    lake: Lake, redis_url: str, namespace: str, small_disk: Path
) -> None:
    # Given
    job = lake.submit(["plain"] * 400, str(small_disk))
    plan = lake.plan(job, redis_url, namespace, patience_seconds=1.0)
    with ProcessFleet(plan, lake.queue, DEVICES) as fleet:
        # When
        fleet.until(lambda: sum(full(line) for line in fleet.journals("UnitReleased")) > 3)
        assert 0 < fleet.records() < 50
        subprocess.run(mount("remount,size=16m", small_disk), check=True)
        # Then
        manifest = fleet.finish()
    assert manifest.rows_ok == 400
    lake.check(job)


def full(line: Mapping[str, str]) -> bool:
    return "no space left" in line["reason"]
