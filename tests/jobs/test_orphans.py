"""Garbage collection: what nobody names goes, what somebody names stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject, NotFound, UsageError
from ancestral.jobs.finalise import finalise
from ancestral.jobs.folders import ABANDONED_SECONDS
from ancestral.jobs.fsck import fsck
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.orphans import Collected, collect
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs.drawn import accept_job, draw, split


def contents(store: Store) -> dict[str, bytes]:
    return {path: store.read(path) for path in store.list()}


@pytest.fixture
def job(store: Store) -> Job:
    """A finished job of 24 rows, one unit of which was split."""
    job = accept_job(store)
    for unit in (Unit(0, 8), *split(store, job, Unit(8, 16), 11), Unit(16, 24)):
        draw(store, job, unit)
    finalise(store, job.job_id)
    return job


def test_what_lost_attempts_left_is_removed(store: Store, job: Job) -> None:
    # Given a finished job, and then attempts that lost, and shards of a submission that lost
    before = contents(store)
    draw(store, job, Unit(0, 8))
    draw(store, job, Unit(8, 11))
    store.put(layout.shard_path(job.job_id, "5" * 32, 0), b"requests")
    after = contents(store)
    garbage = after.keys() - before.keys()
    assert len(garbage) == 5

    # When it is collected, dry at first
    expected = Collected(5, sum(len(after[path]) for path in garbage))
    assert collect(store, job.job_id, dry_run=True) == expected
    assert contents(store) == after
    assert collect(store, job.job_id) == expected

    # Then the job is as it was
    assert contents(store) == before
    assert fsck(store, job.job_id).sound
    assert collect(store, job.job_id) == Collected(0, 0)


def test_records_that_came_too_late_are_removed_with_their_files(local_store: Store) -> None:
    # Given a job that was cancelled with one unit drawn
    job = accept_job(local_store)
    draw(local_store, job, Unit(8, 16))
    declare(local_store, job.job_id, Wanted.CANCEL)
    finalise(local_store, job.job_id)
    before = contents(local_store)

    # When workers commit afterwards
    draw(local_store, job, Unit(0, 8))
    for half in split(local_store, job, Unit(16, 24), 20):
        draw(local_store, job, half)
    assert fsck(local_store, job.job_id).late_records == 4
    collected = collect(local_store, job.job_id)

    # Then of that nothing is left: records, marker, packs, index parts
    assert contents(local_store) == before
    assert collected.objects == 4 + 1 + 3 + 3
    assert fsck(local_store, job.job_id).late_records == 0


@pytest.mark.parametrize(
    "directory_of",
    [
        lambda manifest: layout.packs_folder(manifest.job_id),
        lambda manifest: layout.job_folder(manifest.job_id),
        lambda manifest: os.path.dirname(manifest.parts[0].path),
        lambda manifest: layout.REPORTS_FOLDER,
    ],
    ids=["packs", "job", "table", "reports"],
)
def test_what_a_writer_that_died_was_writing_is_removed(
    local_store: Store, tmp_path: Path, directory_of: Callable[[Manifest], str]
) -> None:
    # Given a finished job, and half-written files: one old, one that may still be written
    job = accept_job(local_store, 4)
    draw(local_store, job, Unit(0, 8))
    manifest = finalise(local_store, job.job_id)
    before = contents(local_store)
    folder = tmp_path / "lake" / directory_of(manifest)
    folder.mkdir(exist_ok=True)
    old, new = folder / ".tmp-0123", folder / ".tmp-4567"
    for path in (old, new):
        path.write_bytes(b"half a file")
    os.utime(old, (0, time.time() - ABANDONED_SECONDS - 1))

    # When garbage is collected, dry at first
    assert collect(local_store, job.job_id, dry_run=True) == Collected(1, 11)
    assert old.exists()
    assert collect(local_store, job.job_id) == Collected(1, 11)

    # Then the old one is gone, and nothing else
    assert (old.exists(), new.exists()) == (False, True)
    assert contents(local_store) == before
    assert collect(local_store, job.job_id) == Collected(0, 0)


def test_other_jobs_are_left_alone(local_store: Store) -> None:
    # Given a finished job beside one under way, whose attempt has no record yet
    job = accept_job(local_store, 4)
    draw(local_store, job, Unit(0, 8))
    finalise(local_store, job.job_id)
    other = accept_job(local_store, 4, job_id="digits-10")
    draw(local_store, other, Unit(0, 8))
    local_store.delete(layout.record_path(other.job_id, Unit(0, 8)))

    assert collect(local_store, job.job_id) == Collected(0, 0)


def test_a_job_under_way_has_no_garbage_yet(local_store: Store) -> None:
    job = accept_job(local_store)
    draw(local_store, job, Unit(0, 8))
    before = contents(local_store)

    with pytest.raises(UsageError, match=r"^job digits-1 is not finished"):
        collect(local_store, job.job_id)

    assert contents(local_store) == before


def test_nothing_is_removed_when_a_record_cannot_be_read(local_store: Store) -> None:
    # Given a finished job with a record that is damaged
    job = accept_job(local_store, 4)
    draw(local_store, job, Unit(0, 8))
    finalise(local_store, job.job_id)
    local_store.put(layout.record_path(job.job_id, Unit(0, 8)), b"{")
    before = contents(local_store)

    with pytest.raises(CorruptObject):
        collect(local_store, job.job_id)

    assert contents(local_store) == before


class Raced(Store):
    """A store in which another collector is always faster."""

    def size(self, path: str) -> int:
        self.delete(path)
        raise NotFound(path)


def test_collectors_do_not_mind_each_other(local_store: Store) -> None:
    job = accept_job(local_store, 4)
    draw(local_store, job, Unit(0, 8))
    finalise(local_store, job.job_id)
    before = contents(local_store)
    draw(local_store, job, Unit(0, 8))

    assert collect(Raced(local_store.uri), job.job_id) == Collected(0, 0)

    assert contents(local_store) == before


Move = Callable[[Store, Job, Unit], object]

MOVES: list[Move] = [draw, lambda store, job, unit: split(store, job, unit, unit.middle)]


@settings(max_examples=60)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(MOVES), st.sampled_from([0, 8, 16]), st.sampled_from([2, 4, 8])),
        max_size=12,
    ),
    sealed_after=st.integers(0, 12),
)
def test_whatever_happened_the_job_stays_what_it_was(
    moves: list[tuple[Move, int, int]], sealed_after: int
) -> None:
    # Given a job that is cancelled in the middle of whatever workers do
    store = open_store("memory://orphans")
    for path in store.list():
        store.delete(path)
    job = accept_job(store)

    def act(moves: list[tuple[Move, int, int]]) -> None:
        for move, start, rows in moves:
            unit = Unit(start, start + rows)
            # Only units that a queue could have handed out.
            if unit in {*Ledger(store, job.job_id).cover(job).undecided} or unit.rows == 8:
                move(store, job, unit)

    act(moves[:sealed_after])
    declare(store, job.job_id, Wanted.CANCEL)
    finalise(store, job.job_id)
    act(moves[sealed_after:])
    report = fsck(store, job.job_id)
    assert report.problems == ()

    # When garbage is collected
    collect(store, job.job_id)

    # Then it is as sound as before, and has nothing but what is read
    after = fsck(store, job.job_id)
    assert (after.sound, after.files, after.late_records) == (True, report.files, 0)
    paths = [*store.list(layout.packs_folder(job.job_id)), *store.list("_jobs/digits-1/attempts")]
    assert len(paths) == after.files + 1
