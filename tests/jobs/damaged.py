"""Finished jobs that are damaged: whatever is done to them, fsck should find it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from ancestral.jobs import layout
from ancestral.jobs.finalise import finalise
from ancestral.jobs.fsck import fsck
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.drawn import accept_job, draw, split

Damage: TypeAlias = Callable[[Store, Job], None]

#: The units of `finished`, and how their rows ended.
LEAVES = {
    Unit(0, 8): "ooofoooo",
    Unit(8, 12): "oroo",
    Unit(12, 16): "oooo",
    Unit(16, 24): "ooooooof",
}


def decided(store: Store) -> Job:
    """A job of 24 rows, all decided; one unit was split."""
    job = accept_job(store)
    split(store, job, Unit(8, 16), 12)
    for unit, statuses in LEAVES.items():
        draw(store, job, unit, statuses)
    return job


def finished(store: Store) -> Job:
    """The same, published."""
    job = decided(store)
    finalise(store, job.job_id)
    return job


def cancelled(store: Store) -> Job:
    """A job of 24 rows of which 8 were drawn, sealed and published."""
    job = accept_job(store)
    draw(store, job, Unit(8, 16))
    declare(store, job.job_id, Wanted.CANCEL, "too dear")
    finalise(store, job.job_id)
    return job


def record_of(store: Store, job: Job, unit: Unit) -> RowsRecord:
    record = Ledger(store, job.job_id).lookup(unit)
    assert isinstance(record, RowsRecord)
    return record


def put_record(store: Store, job: Job, record: RowsRecord, unit: Unit | None = None) -> None:
    store.put(layout.record_path(job.job_id, unit or record.unit), record.to_json())


def check_found(store: Store, damage: Damage, pattern: str) -> None:
    """Damages a finished job, and asserts that a problem like `pattern` is told."""
    job = finished(store)
    damage(store, job)
    report = fsck(store, job.job_id)
    assert not report.sound
    assert report.problem_count == len(report.problems)
    assert any(re.search(pattern, problem) for problem in report.problems), report.problems
