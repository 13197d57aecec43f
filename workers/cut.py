"""Splitting a unit in two, before it is begun or under way.

    [start ──────────────── at ──────────────── end)
       first half              second half
       whoever holds the       for anybody
       unit can keep it

It is decided like a commit: by the unit's record, created once. Whoever finds a record there
already adopts it. The sampling thread chooses `at`, so that it can tell which rows are begun; the
writing thread makes the cut, after all rows that ended before.

    order        at                              rows in slots
    ─────        ──                              ─────────────
    share        half of the rows not begun      go on
    drain        the first row not begun         go on
    hand back    the first row not finished      are dropped
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from ancestral.jobs.records import RowsRecord, SplitRecord
from ancestral.workers.commit import adopt
from ancestral.workers.events import UnitSplit
from ancestral.workers.held import Hold
from ancestral.workers.work import OpenJob, Work
from ancestral.workers.workplace import Workplace

#: Reasons of splits before a unit is begun; of those under way, the order is the reason.
BISECT, GUIDE = "bisect", "guide"


@dataclass(frozen=True)
class Cut:
    """On its way from sampling to writing: the rows of `work` from `at` on are others' now."""

    work: Work
    at: int
    reason: str


def cut(place: Workplace, order: Cut) -> None:
    """Split a unit under way, and go on with the rows before the cut.

    Raises what the store raises.
    """
    work, lease = order.work, order.work.hold.lease
    attempts, error = lease.attempts, lease.last_error
    if split(place, work.hold, work.opened, order.at, order.reason, attempts, error, keep=True):
        work.outcomes = {row: each for row, each in work.outcomes.items() if row < order.at}


def split(
    place: Workplace,
    hold: Hold,
    opened: OpenJob,
    at: int,
    reason: str,
    attempts: int,
    last_error: str | None,
    *,
    keep: bool,
) -> bool:
    """Split a unit at `at`, unless it is decided already; whether its first half is held now.

    The halves are charged with `attempts` from the start. Raises what the store raises.
    """
    unit = hold.lease.unit
    record = SplitRecord(
        start=unit.start,
        end=unit.end,
        at=at,
        attempt=uuid.uuid4().hex,
        worker=place.worker,
        reason=reason,
        attempts=attempts,
        last_error=last_error,
        created_at=datetime.now(UTC),
    )
    decide = opened.ledger.decide
    standing = place.patience.retry(f"splitting {hold.name}", lambda: decide(record))
    if isinstance(standing, RowsRecord) or standing.at != at:
        adopt(place, hold, standing)
        return False
    place.listener(UnitSplit(place.worker, hold.lease.job_id, unit, at, reason))
    return place.held.split(hold, standing, keep=keep)
