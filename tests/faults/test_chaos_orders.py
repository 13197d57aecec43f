"""Pause and cancel reach workers with their next heartbeat, and stop what is in their slots."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ancestral.jobs.states import State
from tests.faults.fleet import ProcessFleet
from tests.faults.lake import Lake

pytestmark = [pytest.mark.chaos, pytest.mark.redis]

DEVICES = ["node-1/cpu", "node-2/cpu"]

ROWS = 240


@pytest.fixture
def fleet(lake: Lake, redis_url: str, namespace: str) -> ProcessFleet:
    """Workers for a job of large units, of which they do a few rows between two beats."""
    job = lake.submit(["plain"] * ROWS, unit_rows=40)
    plan = lake.plan(job, redis_url, namespace, lease_seconds=3.0, step_seconds=0.05)
    return ProcessFleet(plan, lake.queue, DEVICES)


def order(fleet: ProcessFleet, tell: Callable[[], bool]) -> list[list[dict[str, Any]]]:
    """Give an order when every worker is in the midst of things; what each journaled from then on,
    until it rests."""

    def busy(journal: list[dict[str, Any]]) -> bool:
        return [line["what"] for line in journal].count("advance") > 12

    fleet.until(lambda: all(busy(fleet.journal(member)) for member in fleet.members))
    assert tell()
    told_at = time.monotonic()
    fleet.until(lambda: not any(fleet.in_hand(member) for member in fleet.members))
    journals = [fleet.journal(member) for member in fleet.members]
    return [[line for line in journal if line["time"] > told_at] for journal in journals]


def beats_while_drawing(journal: list[dict[str, Any]]) -> int:
    """How many heartbeats began before the last advance did."""
    whats = [line["what"] for line in journal]
    drawing = len(whats) - whats[::-1].index("advance") if "advance" in whats else 0
    return whats[:drawing].count("beat")


def first_orders(journal: list[dict[str, Any]]) -> set[str]:
    """What the first heartbeat that began brought back."""
    beats = [place for place, line in enumerate(journal) if line["what"] == "beat"]
    first, second = [*beats, len(journal)][:2]
    return {line["order"] for line in journal[first:second] if line["what"] == "order"}


def test_a_pause_takes_effect_within_one_heartbeat(lake: Lake, fleet: ProcessFleet) -> None:
    job_id = fleet.plan.job.job_id
    with fleet:
        # When
        journals = order(fleet, lambda: lake.client.pause(job_id, "the lake is being moved"))
        # Then the next heartbeat brought the order, and nothing was drawn after another
        for journal in journals:
            assert first_orders(journal) == {"hand back"}
            assert beats_while_drawing(journal) <= 1
        # And finished rows are kept
        fleet.until(lambda: not lake.queue.counts(job_id).leased)
        paused = lake.client.status(job_id)
        assert (paused.state, paused.reason) == (State.PAUSED, "the lake is being moved")
        assert 0 < paused.rows_ok < ROWS
        # When
        assert lake.client.resume(job_id)
        manifest = fleet.finish()
    # Then
    assert manifest.rows_ok == ROWS
    lake.check(fleet.plan.job)


def test_a_cancel_takes_effect_within_one_heartbeat(lake: Lake, fleet: ProcessFleet) -> None:
    job_id = fleet.plan.job.job_id
    with fleet:
        # When
        journals = order(fleet, lambda: lake.client.cancel(job_id, "the wrong model"))
        manifest = fleet.finish()
    # Then
    for journal in journals:
        assert first_orders(journal) == {"hand back"}
        assert beats_while_drawing(journal) <= 1
    assert manifest.state is State.CANCELLED
    assert manifest.rows_ok > 0 < manifest.rows_cancelled
    assert manifest.rows_ok + manifest.rows_cancelled == ROWS
    lake.check(fleet.plan.job, cancelled=manifest.rows_cancelled)
