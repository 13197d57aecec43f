"""A cancelled job keeps what is finished, and is published without what nobody drew."""

import pyarrow.parquet as pq
import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import RowsMissing
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.states import State
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.deciding import commit, lay_down, make_job
from tests.jobs.published import decide_all, outputs, unpublish


def test_what_is_finished_is_kept_and_the_rest_is_cancelled(store: Store) -> None:
    # Given a job of which two units are decided when it is cancelled
    job = decide_all(store, make_job(20, 5), "oofro" * 4, [Unit(5, 10), Unit(15, 20)])
    declare(store, job.job_id, Wanted.CANCEL, "a typo")
    # When it is published
    manifest = finalise(store, job.job_id)
    # Then every row has ended in one way
    assert (manifest.state, manifest.rows) == (State.CANCELLED, 20)
    assert manifest.reason == "a typo; 10 of 20 rows were not drawn"
    counts = (manifest.rows_ok, manifest.rows_failed, manifest.rows_rejected)
    assert counts == (6, 2, 2)
    assert manifest.rows_cancelled == 10
    assert manifest.cancelled == (Unit(0, 5), Unit(10, 15))
    assert manifest.pack_count == 2
    # And what a worker commits later changes nothing
    before = outputs(store)
    commit(store, job, Unit(0, 5))
    assert finalise(store, job.job_id) == manifest
    unpublish(store)
    assert finalise(store, job.job_id) == manifest
    assert outputs(store) == before


def test_a_job_that_was_never_begun_can_be_cancelled(local_store: Store) -> None:
    job = lay_down(local_store, make_job(20, 5))
    intent = declare(local_store, job.job_id, Wanted.CANCEL)
    manifest = finalise(local_store, job.job_id)
    assert (manifest.state, manifest.rows_cancelled) == (State.CANCELLED, 20)
    assert manifest.cancelled == (Unit(0, 20),)
    assert manifest.finished_at == intent.created_at
    assert manifest.numerics == ()
    rows = pq.read_table(manifest.index)
    assert rows["error"].to_pylist() == ["the job was cancelled"] * 20
    assert local_store.read(layout.packs_list_path(job.job_id)) == b""


def test_a_cancel_that_comes_too_late_cancels_nothing(local_store: Store) -> None:
    # Given a job whose rows are all decided, and what it is published as
    job = decide_all(local_store, make_job(8, 4), "o" * 8)
    done = finalise(local_store, job.job_id)
    before = outputs(local_store)
    unpublish(local_store)
    # When it is cancelled before it is published
    declare(local_store, job.job_id, Wanted.CANCEL, "a typo")
    # Then it is what it would have been
    assert finalise(local_store, job.job_id) == done
    assert done.state is State.DONE
    assert outputs(local_store) == before


@pytest.mark.parametrize("wanted", [Wanted.PAUSE, Wanted.FAIL])
def test_only_a_cancelled_job_is_sealed(local_store: Store, wanted: Wanted) -> None:
    job = decide_all(local_store, make_job(8, 4), "o" * 8, [Unit(0, 4)])
    declare(local_store, job.job_id, wanted)
    with pytest.raises(RowsMissing):
        finalise(local_store, job.job_id)
    assert Ledger(local_store, job.job_id).cancelled() == ()
