"""What becomes of a row that has ended."""

from __future__ import annotations

from dataclasses import replace

from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.request_shards import read_rows
from ancestral.jobs.units import Unit
from ancestral.workers.outcomes import outcome_of
from tests.workers.fakes import FakeModels, House


def test_of_media_an_outcome_keeps_what_is_told(house: House) -> None:
    job = house.submit(["plain"])
    (plain,) = read_rows(house.client.store(job.job_id), job, Unit(0, 1))
    prefix = MediaValue(b"the upper half", "/halves/7.png")
    row = replace(plain, fields={"label": "plain", "prefix": prefix})

    outcome = outcome_of(job, FakeModels().get(job), row, None, "not drawn")

    told = {"uri": "/halves/7.png", "sha256": prefix.sha256}
    assert outcome.row == replace(row, fields={"label": "plain", "prefix": told})
    assert (outcome.status, outcome.error) == ("failed", "not drawn")
