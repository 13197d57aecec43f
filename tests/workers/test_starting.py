"""What a unit is looked up in before it is drawn."""

from __future__ import annotations

import pytest

from ancestral.jobs import layout
from ancestral.workers.errors import JobRefused
from ancestral.workers.events import UnitFailed
from tests.workers.fakes import Diary, House


@pytest.mark.parametrize("data", [None, b"{}"])
def test_a_job_that_cannot_be_opened_is_refused_and_no_unit_of_it_is_at_fault(
    house: House, data: bytes | None
) -> None:
    # Given a job whose spec.json is gone, or something else
    job = house.submit(["plain"] * 4)
    store, path = house.client.store(job.job_id), layout.spec_path(job.job_id)
    store.delete(path)
    if data is not None:
        store.put(path, data)

    # When
    diary = Diary()
    with pytest.raises(JobRefused, match=f"job {job.job_id} cannot be opened here: .*spec.json"):
        house.work(job, listener=diary)

    # Then no attempt was charged, and the unit is there for others
    assert not diary.of(UnitFailed)
    (lease,) = house.queue.claim("bob", 1)
    assert lease.attempts == 0
