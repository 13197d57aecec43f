"""What is wrong with range records is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ancestral.jobs import layout
from ancestral.jobs.fsck import fsck
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.damaged import Damage, cancelled, check_found, put_record, record_of


def forge_a_record_across_units(store: Store, job: Job) -> None:
    record = replace(record_of(store, job, Unit(8, 12)), start=6, end=10)
    put_record(store, job, record)


def forge_a_record_below_a_committed_one(store: Store, job: Job) -> None:
    record = replace(record_of(store, job, Unit(0, 8)), end=4, statuses="oooo")
    put_record(store, job, record)


def put_a_record_in_place_of_another(store: Store, job: Job) -> None:
    put_record(store, job, record_of(store, job, Unit(8, 12)), Unit(12, 16))


def garble_a_record(store: Store, job: Job) -> None:
    store.put(layout.record_path(job.job_id, Unit(0, 8)), b"{")


def delete_a_record(store: Store, job: Job) -> None:
    store.delete(layout.record_path(job.job_id, Unit(0, 8)))


def delete_a_split(store: Store, job: Job) -> None:
    store.delete(layout.record_path(job.job_id, Unit(8, 16)))


def delete_a_marker(store: Store, job: Job) -> None:
    store.delete(layout.split_path(job.job_id, Unit(8, 16)))


def draw_by_another_model(store: Store, job: Job) -> None:
    put_record(store, job, replace(record_of(store, job, Unit(0, 8)), model_digest="e" * 64))


def seal_a_job_that_nobody_cancelled(store: Store, job: Job) -> None:
    store.put(layout.cancelled_path(job.job_id), b'{"cancelled": [[0, 4]]}')


def garble_the_seal(store: Store, job: Job) -> None:
    store.put(layout.cancelled_path(job.job_id), b"[]")


def put_a_stray_name_among_the_records(store: Store, job: Job) -> None:
    store.put(f"{layout.records_folder(job.job_id)}/readme.txt", b"!")


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            forge_a_record_across_units,
            r"the record of unit 0{11}6-0{10}10 decides rows that are not",
        ),
        (
            forge_a_record_below_a_committed_one,
            r"the record of unit 0{12}-0{11}4 decides rows that",
        ),
        (put_a_record_in_place_of_another, r"0{10}12-0{10}16.json is the record of another unit"),
        (garble_a_record, r"0{12}-0{11}8.json: this is no range record"),
        (delete_a_record, r"published while rows were undecided"),
        (
            delete_a_split,
            r"the record of unit 0{11}8-0{10}12 decides rows that are not its to decide",
        ),
        (delete_a_marker, r"the split of unit 0{11}8-0{10}16 has no marker"),
        (draw_by_another_model, r"unit 0{12}-0{11}8 was drawn by another model than the job's"),
        (seal_a_job_that_nobody_cancelled, r"sealed, but nobody cancelled it"),
        (seal_a_job_that_nobody_cancelled, r"the rows \[0, 4\) are decided twice"),
        (garble_the_seal, r"cancelled.json lists no ranges"),
        (put_a_stray_name_among_the_records, r"readme.txt is no name of a range record"),
    ],
)
def test_damage_is_found(damage: Damage, found: str, local_store: Store) -> None:
    check_found(local_store, damage, found)


def test_a_seal_that_lost_a_range_is_found(local_store: Store) -> None:
    job = cancelled(local_store)
    local_store.put(layout.cancelled_path(job.job_id), b'{"cancelled": [[0, 8]]}')

    report = fsck(local_store, job.job_id)

    assert any("nothing says what became of unit 000000000016" in each for each in report.problems)


@pytest.mark.parametrize("ranges", ["[[16, 32]]", "[[16, 24], [0, 8]]", "[[8, 8]]", "[[-2, 8]]"])
def test_a_seal_of_other_rows_is_found(ranges: str, local_store: Store) -> None:
    job = cancelled(local_store)
    local_store.put(layout.cancelled_path(job.job_id), f'{{"cancelled": {ranges}}}'.encode())

    report = fsck(local_store, job.job_id)

    assert "cancelled.json does not list rising ranges of the job's rows" in report.problems
