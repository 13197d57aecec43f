"""Workers are killed, all at once too, and stopped for longer than their leases."""

from __future__ import annotations

import random
import signal
from typing import Any

import pytest

from tests.faults.fleet import ProcessFleet
from tests.faults.lake import Lake

pytestmark = [pytest.mark.chaos, pytest.mark.redis]

DEVICES = ["node-1/cpu", "node-2/cpu", "node-3/cpu"]


def test_nothing_happens(lake: Lake, redis_url: str, namespace: str) -> None:
    # Given
    job = lake.submit(["plain"] * 200)
    # When
    with ProcessFleet(lake.plan(job, redis_url, namespace), lake.queue, DEVICES) as fleet:
        manifest = fleet.finish()
    # Then
    assert manifest.rows_ok == 200
    assert not fleet.deaths
    lake.check(job)


def test_random_workers_are_killed(lake: Lake, redis_url: str, namespace: str, long: bool) -> None:
    # Given
    rows, kills = (10_000, 60) if long else (500, 5)
    chance = random.Random(7)
    job = lake.submit(["plain"] * rows)
    # When a worker is killed again and again, each time after some more units were decided
    with ProcessFleet(lake.plan(job, redis_url, namespace), lake.queue, DEVICES) as fleet:
        for kill in range(kills):
            fleet.until_records(1 + kill * rows // 8 // kills)
            fleet.kill(chance)
        fleet.finish()
    # Then
    assert fleet.deaths[-signal.SIGKILL] >= kills
    lake.check(job)


def test_everybody_is_killed_at_once(lake: Lake, redis_url: str, namespace: str) -> None:
    # Given
    job = lake.submit(["plain"] * 300)
    # When all workers and the controller are killed, twice
    with ProcessFleet(lake.plan(job, redis_url, namespace), lake.queue, DEVICES) as fleet:
        for records in (5, 15):
            fleet.until_records(records)
            fleet.kill_all()
        fleet.finish()
    # Then
    assert fleet.deaths[-signal.SIGKILL] == 2 * len(DEVICES)
    lake.check(job)


def test_a_worker_sleeps_past_its_lease(lake: Lake, redis_url: str, namespace: str) -> None:
    # Given units that take a second each
    job = lake.submit(["plain"] * 96, unit_rows=24)
    plan = lake.plan(job, redis_url, namespace, step_seconds=0.05)
    with ProcessFleet(plan, lake.queue, DEVICES) as fleet:
        sleeper = fleet.members[0]
        fleet.until(lambda: fleet.in_hand(sleeper))
        # When it is stopped, others do all the rest, and it goes on where it stood
        sleeper.signal(signal.SIGSTOP)
        held = fleet.in_hand(sleeper)
        fleet.until(fleet.published)
        sleeper.signal(signal.SIGCONT)
        # Then nothing of what it held is its own, and it finds that out
        fleet.until(lambda: not fleet.in_hand(sleeper))
        ends = {line["what"] for line in fleet.journal(sleeper) if _unit(line) in held}
        assert ends & {"UnitLost", "UnitAdopted"}
        assert "UnitCommitted" not in ends
    lake.check(job)


def _unit(line: dict[str, Any]) -> tuple[int, ...]:
    return tuple(line.get("unit") or ())
