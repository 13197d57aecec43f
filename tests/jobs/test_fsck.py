"""fsck: a sound job has no problem, and whatever is damaged is found."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject, NotFound, StoreDenied
from ancestral.jobs.fsck import FsckReport, fsck
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.request_shards import Request
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.damaged import (
    LEAVES,
    Damage,
    cancelled,
    check_found,
    decided,
    finished,
    record_of,
)
from tests.jobs.drawn import accept_job, draw, split


def test_a_finished_job_is_sound(store: Store) -> None:
    job = finished(store)

    report = fsck(store, job.job_id)

    facts = [
        fact
        for unit in LEAVES
        for record in [record_of(store, job, unit)]
        for fact in (record.index_part, *record.packs)
    ]
    assert report == FsckReport(
        job_id=job.job_id,
        finished=True,
        rows=24,
        rows_ok=21,
        rows_failed=2,
        rows_rejected=1,
        rows_cancelled=0,
        rows_undecided=0,
        records=4,
        splits=1,
        late_records=0,
        files=8,
        bytes=sum(fact.bytes for fact in facts),
        problems=(),
        problem_count=0,
    )
    assert report.sound


def test_a_cancelled_job_is_sound_with_all_its_rows(local_store: Store) -> None:
    report = fsck(local_store, cancelled(local_store).job_id)

    assert report.problems == ()
    assert (report.rows_ok, report.rows_cancelled, report.rows_undecided) == (8, 16, 0)


def test_a_record_that_came_too_late_is_told_and_no_problem(local_store: Store) -> None:
    job = cancelled(local_store)
    draw(local_store, job, Unit(0, 8))
    for half in split(local_store, job, Unit(16, 24), 20):
        draw(local_store, job, half)

    report = fsck(local_store, job.job_id)

    assert report.problems == ()
    assert (report.rows_ok, report.rows_cancelled, report.late_records) == (8, 16, 4)


def test_an_unfinished_job_is_checked_as_far_as_it_is(local_store: Store) -> None:
    # Given a job with two of its units decided, and a split whose halves are not
    job = accept_job(local_store)
    draw(local_store, job, Unit(0, 8))
    split(local_store, job, Unit(16, 24), 17)

    # Then what is undecided is told
    report = fsck(local_store, job.job_id)
    assert report.problems == ()
    assert (report.finished, report.rows_ok, report.rows_undecided) == (False, 8, 16)

    # And what is decided is checked
    local_store.delete(record_of(local_store, job, Unit(0, 8)).packs[0].path)
    assert not fsck(local_store, job.job_id).sound


def test_a_job_that_waits_for_its_finaliser_is_sound(local_store: Store) -> None:
    report = fsck(local_store, decided(local_store).job_id)

    assert (report.problems, report.finished, report.rows_undecided) == ((), False, 0)


def test_without_a_folder_for_a_moment_it_is_said(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finished(local_store)
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")

    with pytest.raises(StoreDenied, match="set TMPDIR to another folder"):
        fsck(local_store, job.job_id)


def test_it_says_how_far_it_is(local_store: Store) -> None:
    told: list[tuple[int, int]] = []

    fsck(local_store, cancelled(local_store).job_id, lambda *numbers: told.append(numbers))

    assert told == [(8, 24), (16, 24), (24, 24)]


def test_what_is_no_job_raises(local_store: Store) -> None:
    with pytest.raises(NotFound):
        fsck(local_store, "digits-1")
    local_store.put(layout.spec_path("digits-1"), b"{}")
    with pytest.raises(CorruptObject, match=r"/_jobs/digits-1/spec.json is not"):
        fsck(local_store, "digits-1")


def edit_manifest(**changes: Any) -> Damage:
    def damage(store: Store, job: Job) -> None:
        document = json.loads(store.read(layout.manifest_path(job.job_id))) | changes
        data = json.dumps(document).encode()
        store.put(layout.manifest_path(job.job_id), data)
        store.put(layout.success_path(job.job_id), f"{hashlib.sha256(data).hexdigest()}\n".encode())

    return damage


def garble_manifest(store: Store, job: Job) -> None:
    store.put(layout.manifest_path(job.job_id), b"{")


def delete_manifest(store: Store, job: Job) -> None:
    store.delete(layout.manifest_path(job.job_id))


def delete_success(store: Store, job: Job) -> None:
    store.delete(layout.success_path(job.job_id))


def break_the_seal(store: Store, job: Job) -> None:
    manifest = store.read(layout.manifest_path(job.job_id))
    store.put(layout.manifest_path(job.job_id), manifest + b"\n")


def delete_packs_list(store: Store, job: Job) -> None:
    store.delete(layout.packs_list_path(job.job_id))


def exchange_packs_list(store: Store, job: Job) -> None:
    lines = store.read(layout.packs_list_path(job.job_id)).splitlines(keepends=True)
    store.put(layout.packs_list_path(job.job_id), b"".join(reversed(lines)))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (edit_manifest(rows_ok=22), r"the manifest's rows_ok is 22, but should be 21"),
        (edit_manifest(pack_bytes=1), r"the manifest's pack_bytes is 1, but should be \d+"),
        (edit_manifest(state="done"), r"the manifest's state is .*done.*, but should be"),
        (garble_manifest, r"/manifest.json is no manifest: b"),
        (delete_manifest, r"_SUCCESS is there, but no manifest.json"),
        (delete_success, r"_SUCCESS does not seal the manifest"),
        (break_the_seal, r"_SUCCESS does not seal the manifest"),
        (delete_packs_list, r"packs.txt does not list the packs"),
        (exchange_packs_list, r"packs.txt does not list the packs"),
    ],
)
def test_damage_is_found(damage: Damage, found: str, local_store: Store) -> None:
    check_found(local_store, damage, found)


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("request_id", "r99", "row 0 is sample 0 of 'r99' with seed 0, which is not what"),
        ("sample", 1, "row 0 is sample 1 of 'r0' with seed 0, which is not what was asked for"),
        ("seed", 5, "row 0 is sample 0 of 'r0' with seed 5, which is not what was asked for"),
        ("job_id", "digits-2", "says that it is of job digits-2"),
        ("attempt", "a" * 32, "the record of unit 000000000000-000000000008 tell another attempt"),
        ("numerics", "other", "the record of unit 000000000000-000000000008 tell another numerics"),
        ("error", "no luck", "is ok, and its error is 'no luck'"),
    ],
)
def test_an_index_part_that_tells_something_else_is_found(
    column: str, value: object, found: str, local_store: Store
) -> None:
    job = accept_job(local_store)
    draw(local_store, job, Unit(0, 8), more={column: value})

    report = fsck(local_store, job.job_id)

    assert any(found in problem for problem in report.problems)


def test_one_request_of_two_names_is_found(local_store: Store) -> None:
    # Given a job that was accepted with the same request twice
    requests = [Request(name, 3, {"label": 1}) for name in ("a", "b", "a")]
    job = accept_job(local_store, requests, samples=1, unit_rows=1)
    for unit in job.units():
        draw(local_store, job, unit)

    [problem] = fsck(local_store, job.job_id).problems

    assert problem == "rows 0 and 2 are the same sample of the same request"


def test_a_store_that_was_moved_is_sound(local_store: Store, tmp_path_factory: Any) -> None:
    job = finished(local_store)
    moved = Store(str(tmp_path_factory.mktemp("moved")))
    for path in local_store.list():
        moved.put(path, local_store.read(path))

    assert fsck(moved, job.job_id).problems == ()
    assert read_manifest(moved, job.job_id) is not None
