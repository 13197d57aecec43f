"""Two runs of one job, compared row by row."""

from __future__ import annotations

from typing import Any

import pytest

from ancestral.jobs.errors import NotFound
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.sameness import Sameness, compare
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs.drawn import accept_job, draw, split


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of the other run."""
    return open_store(str(tmp_path_factory.mktemp("other")))


def drawn(store: Store, job_id: str = "digits-1") -> Job:
    """A job of 16 rows in two units."""
    job = accept_job(store, 8, job_id=job_id)
    for unit in job.units():
        draw(store, job, unit)
    return job


def test_equal_runs_are_the_same_however_they_were_cut(local_store: Store, other: Store) -> None:
    # Given one run in whole units, the other with a split
    drawn(local_store)
    job = accept_job(other, 8, job_id="again")
    for unit in (*split(other, job, Unit(0, 8), 3), Unit(8, 16)):
        draw(other, job, unit)

    sameness = compare(local_store, "digits-1", other, "again")

    assert sameness == Sameness(
        rows_compared=16, rows_of_other_numerics=0, problems=(), problem_count=0
    )
    assert sameness.same


@pytest.mark.parametrize(
    ("statuses", "more", "named"),
    [
        ("ooofoooo", {}, "status, symbols_sha256, sha256, log_likelihood_nats"),
        ("oooooooo", {"seed": 3}, "seed"),
        ("oooooooo", {"request_id": "r3", "sample": 1}, "request_id"),
        ("oooooooo", {"model_digest": "e" * 64}, "model_digest"),
    ],
)
def test_a_row_that_differs_is_named(
    statuses: str, more: dict[str, Any], named: str, local_store: Store, other: Store
) -> None:
    drawn(local_store)
    job = accept_job(other, 8)
    draw(other, job, Unit(0, 8), statuses, more)
    draw(other, job, Unit(8, 16))

    sameness = compare(local_store, "digits-1", other, "digits-1")

    assert not sameness.same
    assert any(
        each.startswith("row 3 ('r1') has another") and named in each for each in sameness.problems
    )


def test_bytes_of_other_numerics_are_not_compared(local_store: Store, other: Store) -> None:
    # Given a run of which a unit was drawn by a processor of another kind, to other bytes
    drawn(local_store)
    job = accept_job(other, 8)
    draw(other, job, Unit(0, 8), more={"numerics": "arm64/reference/float32"}, taste="salty")
    draw(other, job, Unit(8, 16))

    sameness = compare(local_store, "digits-1", other, "digits-1")

    assert sameness.same
    assert (sameness.rows_compared, sameness.rows_of_other_numerics) == (16, 8)


def test_bytes_of_the_same_numerics_are_compared(local_store: Store, other: Store) -> None:
    drawn(local_store)
    job = accept_job(other, 8)
    draw(other, job, Unit(0, 8), taste="salty")
    draw(other, job, Unit(8, 16))

    sameness = compare(local_store, "digits-1", other, "digits-1")

    assert sameness.problem_count == 8
    assert sameness.problems[3] == (
        "row 3 ('r1') has another symbols_sha256, sha256 than in digits-1"
    )


def test_only_rows_that_both_have_are_compared(local_store: Store, other: Store) -> None:
    # Given one run under way, the other cancelled in the middle
    job = accept_job(local_store, 8)
    draw(local_store, job, Unit(8, 16))
    job = accept_job(other, 8)
    draw(other, job, split(other, job, Unit(8, 16), 12)[1])
    declare(other, job.job_id, Wanted.CANCEL)
    Ledger(other, job.job_id).seal(job)

    sameness = compare(local_store, "digits-1", other, "digits-1")

    assert (sameness.rows_compared, sameness.problems) == (4, ())


def test_where_nothing_can_be_compared_nothing_is_said_to_be_the_same(
    local_store: Store, other: Store
) -> None:
    # Given one run that is done, the other cancelled before its first row
    drawn(local_store)
    job = accept_job(other, 8, job_id="again")
    declare(other, job.job_id, Wanted.CANCEL)
    Ledger(other, job.job_id).seal(job)

    sameness = compare(local_store, "digits-1", other, "again")

    assert not sameness.same
    assert sameness.problems == ("no row is decided both in digits-1 and in again",)


def test_jobs_of_other_sizes_are_not_the_same(local_store: Store, other: Store) -> None:
    drawn(local_store)
    job = accept_job(other, 4)
    draw(other, job, Unit(0, 8))

    [problem] = compare(local_store, "digits-1", other, "digits-1").problems

    assert problem == "digits-1 has 16 rows, and digits-1 has 8"


def test_what_is_no_job_raises(local_store: Store, other: Store) -> None:
    drawn(local_store)
    with pytest.raises(NotFound):
        compare(local_store, "digits-1", other, "digits-1")
