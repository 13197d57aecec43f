"""Did two runs of the same job make the same? Row by row, by the digests in their index parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ancestral.jobs.index import read_part
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.problems import Problems
from ancestral.jobs.spec import Job, accepted_job
from ancestral.jobs.store import Store, ahead

#: What two runs of one job tell alike of every row.
_ASKED = ("request_id", "sample", "seed", "model_digest", "status")

#: And of every row that both drew in one class of numerics.
DRAWN = ("symbols_sha256", "sha256", "log_likelihood_nats")


@dataclass(frozen=True, kw_only=True)
class Sameness:
    """How two runs differ."""

    #: Rows that both runs have decided and that were compared.
    rows_compared: int
    #: Those of them that were drawn in different classes of numerics: only their statuses should
    #: be the same, not their bytes.
    rows_of_other_numerics: int
    #: Sentences, the first hundred; `problem_count` counts them all.
    problems: tuple[str, ...]
    problem_count: int

    @property
    def same(self) -> bool:
        return not self.problem_count


def compare(store: Store, job_id: str, other_store: Store, other_id: str) -> Sameness:
    """Compares the rows that are decided in both jobs; that there are none is a problem. Raises
    StoreError.

    Whether an index part tells the truth about its packs is for `fsck` to say.
    """
    problems = Problems()
    jobs = [accepted_job(each, name) for each, name in ((store, job_id), (other_store, other_id))]
    if jobs[0].rows != jobs[1].rows:
        problems.add(f"{job_id} has {jobs[0].rows:,} rows, and {other_id} has {jobs[1].rows:,}")
    compared = other_numerics = 0
    for row, other in _pairs(_rows(store, jobs[0]), _rows(other_store, jobs[1])):
        compared += 1
        columns = [*_ASKED]
        if row["numerics"] == other["numerics"]:
            columns += DRAWN
        else:
            other_numerics += 1
        if different := [name for name in columns if row[name] != other[name]]:
            problems.add(
                f"row {row['ordinal']} ({row['request_id']!r}) has another "
                f"{', '.join(different)} than in {other_id}"
            )
    if not compared:
        problems.add(f"no row is decided both in {job_id} and in {other_id}")
    return Sameness(
        rows_compared=compared,
        rows_of_other_numerics=other_numerics,
        problems=problems.kept,
        problem_count=problems.total,
    )


def _rows(store: Store, job: Job) -> Iterator[dict[str, Any]]:
    """The decided rows of a job, by rising ordinals."""
    parts = ahead(
        partial(read_part, store, signature=job.signature), Ledger(store, job.job_id).records(job)
    )
    names = ["ordinal", "numerics", *_ASKED, *DRAWN]
    return itertools.chain.from_iterable(part.select(names).to_pylist() for part in parts)


def _pairs(
    rows: Iterator[dict[str, Any]], others: Iterator[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of the same ordinal in both."""
    row, other = next(rows, None), next(others, None)
    while row is not None and other is not None:
        if row["ordinal"] == other["ordinal"]:
            yield row, other
            row, other = next(rows, None), next(others, None)
        elif row["ordinal"] < other["ordinal"]:
            row = next(rows, None)
        else:
            other = next(others, None)
