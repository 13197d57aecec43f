"""What is wrong with files that records name is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ancestral.jobs import fsck_files, layout
from ancestral.jobs.fsck import fsck
from ancestral.jobs.problems import PROBLEMS_KEPT
from ancestral.jobs.records import FileFact
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.damaged import Damage, check_found, finished, put_record, record_of
from tests.jobs.drawn import accept_job, draw


def test_packs_are_read_in_pieces(local_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = finished(local_store)

    for size in (1, 7, 64):
        monkeypatch.setattr(fsck_files, "PIECE_BYTES", size)
        assert fsck(local_store, job.job_id).problems == ()


def delete_pack(store: Store, job: Job) -> None:
    store.delete(record_of(store, job, Unit(8, 12)).packs[0].path)


def flip_a_byte_of_an_artifact(store: Store, job: Job) -> None:
    path = record_of(store, job, Unit(0, 8)).packs[0].path
    data = bytearray(store.read(path))
    data[10] ^= 1
    store.put(path, bytes(data))


def lengthen_a_pack(store: Store, job: Job) -> None:
    path = record_of(store, job, Unit(0, 8)).packs[0].path
    store.put(path, store.read(path) + b"!")


def rewrite_a_pack_and_its_record(store: Store, job: Job) -> None:
    """The record fits the pack; the index part still has the digests of the artifacts."""
    record = record_of(store, job, Unit(0, 8))
    data = store.read(record.packs[0].path).replace(b"r1 sample 0", b"r1 sample 9")
    store.put(record.packs[0].path, data)
    put_record(store, job, replace(record, packs=(FileFact.of(record.packs[0].path, data),)))


def forget_a_pack_in_its_record(store: Store, job: Job) -> None:
    put_record(store, job, replace(record_of(store, job, Unit(0, 8)), packs=()))


def delete_index_part(store: Store, job: Job) -> None:
    store.delete(record_of(store, job, Unit(12, 16)).index_part.path)


def exchange_index_part(store: Store, job: Job) -> None:
    other = record_of(store, job, Unit(8, 12)).index_part.path
    store.put(record_of(store, job, Unit(12, 16)).index_part.path, store.read(other))


def forge_statuses(store: Store, job: Job) -> None:
    put_record(store, job, replace(record_of(store, job, Unit(12, 16)), statuses="ooof"))


def garble_requests(store: Store, job: Job) -> None:
    store.put(job.shards[1].path, b"!")


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (delete_pack, r"there is no .*/packs/digits-1/000000000008-000000000012"),
        (flip_a_byte_of_an_artifact, r"the artifact of row 0 is not at byte 6 of "),
        (
            flip_a_byte_of_an_artifact,
            r"packs/digits-1/0{12}-000000000008-.* is not what was written",
        ),
        (lengthen_a_pack, r"has \d+ bytes in place of \d+"),
        (rewrite_a_pack_and_its_record, r"the artifact of row 2 is not at byte \d+"),
        (forget_a_pack_in_its_record, r"row 0 lies in .*, which no record names"),
        (delete_index_part, r"there is no .*/attempts/000000000012-000000000016"),
        (exchange_index_part, r"attempts/000000000012-000000000016-.* is not what was written"),
        (forge_statuses, r"tell different statuses"),
        (garble_requests, r"requests-00001 is not what the job was accepted with"),
    ],
)
def test_damage_is_found(damage: Damage, found: str, local_store: Store) -> None:
    check_found(local_store, damage, found)


def test_a_failed_row_with_an_artifact_is_found(local_store: Store) -> None:
    job = accept_job(local_store)
    draw(local_store, job, Unit(0, 8), "ooooooof", more={"symbols_sha256": "s" * 64})

    [problem] = fsck(local_store, job.job_id).problems

    assert "row 7 ('r3') is failed, but has what was drawn" in problem


def test_many_problems_are_counted(local_store: Store) -> None:
    job = accept_job(local_store, 150, samples=1, unit_rows=1)
    for unit in job.units():
        draw(local_store, job, unit)
    for path in local_store.list(layout.packs_folder(job.job_id)):
        local_store.delete(path)

    report = fsck(local_store, job.job_id)

    assert (len(report.problems), report.problem_count) == (PROBLEMS_KEPT, 150)
