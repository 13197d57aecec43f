"""Pause and cancel reach workers with their next heartbeat, and stop what is in their slots."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Heard:
    """What a worker journaled from when an order was asked for, until it rested."""

    journal: list[dict[str, Any]]
    #: When the order had been given; workers may hear of it a little earlier.
    told_at: float

    @property
    def beats_while_drawing(self) -> int:
        """How many heartbeats began after that and before the last advance did."""
        whats = [line["what"] for line in self.journal if line["time"] > self.told_at]
        drawing = len(whats) - whats[::-1].index("advance") if "advance" in whats else 0
        return whats[:drawing].count("beat")

    @property
    def first_orders(self) -> set[str]:
        """What heartbeats brought back, up to the first one that began after that."""
        orders, is_last = set[str](), False
        for line in self.journal:
            if line["what"] == "beat":
                if is_last:
                    break
                is_last = line["time"] > self.told_at
            elif line["what"] == "order":
                orders.add(line["order"])
        return orders


def order(fleet: ProcessFleet, tell: Callable[[], bool]) -> list[Heard]:
    """Give an order when every worker is in the midst of things; what each heard."""

    def busy(journal: list[dict[str, Any]]) -> bool:
        return [line["what"] for line in journal].count("advance") > 12

    fleet.until(lambda: all(busy(fleet.journal(member)) for member in fleet.members))
    asked_at = time.monotonic()
    assert tell()
    told_at = time.monotonic()
    fleet.until(lambda: not any(fleet.in_hand(member) for member in fleet.members))
    journals = [fleet.journal(member) for member in fleet.members]
    return [
        Heard([line for line in journal if line["time"] > asked_at], told_at)
        for journal in journals
    ]


def test_a_pause_takes_effect_within_one_heartbeat(lake: Lake, fleet: ProcessFleet) -> None:
    job_id = fleet.plan.job.job_id
    with fleet:
        # When
        heard = order(fleet, lambda: lake.client.pause(job_id, "the lake is being moved"))
        # Then the next heartbeat brought the order, and nothing was drawn after another
        for worker in heard:
            assert "hand back" in worker.first_orders
            assert worker.beats_while_drawing <= 1
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
        heard = order(fleet, lambda: lake.client.cancel(job_id, "the wrong model"))
        manifest = fleet.finish()
    # Then
    for worker in heard:
        assert "hand back" in worker.first_orders
        assert worker.beats_while_drawing <= 1
    assert manifest.state is State.CANCELLED
    assert manifest.rows_ok > 0 < manifest.rows_cancelled
    assert manifest.rows_ok + manifest.rows_cancelled == ROWS
    lake.check(fleet.plan.job, cancelled=manifest.rows_cancelled)
