"""Rows that break what draws them, and a device that breaks everything."""

from __future__ import annotations

import random

import pytest

from tests.faults.fleet import ProcessFleet
from tests.faults.lake import Lake
from tests.faults.perils import CRASHED
from tests.faults.processes import HUNG

pytestmark = [pytest.mark.chaos, pytest.mark.redis]

#: What the error of a row says, by what was wrong with it.
TOLD = {
    "garbled": "ZeroDivisionError: symbols of another world",
    "crash": "worker",
    "hang": "worker",
    "endless": "it did not end within",
}


def mix(rows: int, **counts: int) -> tuple[list[str], dict[int, str]]:
    """Labels, plain but for so many of each kind; and what the errors of these will say."""
    labels = ["plain"] * rows
    chance = random.Random(7)
    bad = chance.sample(range(rows), sum(counts.values()))
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    for ordinal, kind in zip(bad, kinds, strict=True):
        labels[ordinal] = kind
    return labels, {ordinal: TOLD[labels[ordinal]] for ordinal in bad}


def test_exactly_the_poisonous_rows_fail(
    lake: Lake, redis_url: str, namespace: str, long: bool
) -> None:
    # Given
    labels, failed = (
        mix(20_000, garbled=200, crash=20, hang=2, endless=2)
        if long
        else mix(400, garbled=4, crash=2, hang=1, endless=1)
    )
    job = lake.submit(labels, unit_rows=256 if long else 8)
    plan = lake.plan(job, redis_url, namespace, stall_seconds=3.0, step_seconds=0.001, slots=16)
    devices = ["node-1/cpu", "node-2/cpu", "node-3/cpu"]
    # When
    with ProcessFleet(plan, lake.queue, devices) as fleet:
        manifest = fleet.finish()
        drained = fleet.drained()
    # Then
    assert manifest.rows_failed == len(failed)
    assert set(fleet.deaths) == {CRASHED, HUNG}
    assert not drained
    lake.check(job, failed)


def test_a_sick_device_is_drained_and_named(lake: Lake, redis_url: str, namespace: str) -> None:
    # Given
    job = lake.submit(["plain"] * 300)
    sick = "node-2/cuda:1"
    plan = lake.plan(job, redis_url, namespace, sick=frozenset({sick}))
    # When
    with ProcessFleet(plan, lake.queue, ["node-1/cuda:0", sick, "node-3/cuda:0"]) as fleet:
        manifest = fleet.finish()
        drained = fleet.drained()
    # Then
    assert list(drained) == [sick]
    assert len(drained[sick]) == 2
    assert manifest.rows_ok == 300
    lake.check(job)
