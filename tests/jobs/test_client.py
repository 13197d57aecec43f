"""The client: jobs are submitted, queued, known, and found again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.errors import CorruptObject, QueueUnavailable, UnknownJob, UsageError
from ancestral.jobs.finalise import finalise
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Order, Progress, QueuedJob
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.recovery import latest_epoch
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.request_shards import read_rows
from ancestral.jobs.settings import Settings
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit

Commit = Callable[..., RowsRecord]


def objects(spec: dict[str, Any]) -> list[str]:
    """All that there is in the output."""
    return open_store(spec["output"]).list()


def test_an_accepted_job_is_all_that_a_worker_needs(client: Client, spec: dict[str, Any]) -> None:
    job = client.submit(spec)
    assert client.job(job.job_id) == job
    assert (job.requests, job.rows, job.unit_rows) == (10, 20, 8)
    assert job.model.name == "digits"
    assert job.model.digest == client.registry.resolve("digits").digest
    store = client.store(job.job_id)
    rows = [row for unit in job.units() for row in read_rows(store, job, unit)]
    assert [(row.ordinal, row.request_id, row.sample) for row in rows] == [
        (ordinal, str(ordinal // 2), ordinal % 2) for ordinal in range(20)
    ]
    assert [row.fields["label"] for row in rows] == [ordinal // 2 for ordinal in range(20)]


def test_the_units_of_a_submitted_job_are_in_the_queue(
    client: Client, spec: dict[str, Any]
) -> None:
    job = client.submit({**spec, "priority": 5})
    assert client.queue is not None
    assert client.queue.jobs() == [QueuedJob(job.job_id, spec["output"], priority=5, rows=20)]
    leases = client.queue.claim("ann", 10)
    assert [lease.unit for lease in leases] == [Unit(0, 8), Unit(8, 16), Unit(16, 20)]
    assert {(lease.job_id, lease.output) for lease in leases} == {(job.job_id, spec["output"])}


def test_a_job_lies_where_the_layout_says_and_nowhere_else(
    client: Client, spec: dict[str, Any]
) -> None:
    job = client.submit(spec)
    assert objects(spec) == sorted(
        [layout.spec_path(job.job_id), job.shards[0].path, layout.epoch_path(job.job_id, 1)]
    )
    assert job.shards[0].path.startswith(f"_jobs/{job.job_id}/submits/")


def test_ids_are_safe_and_sort_by_time(client: Client, spec: dict[str, Any]) -> None:
    first, second = client.submit(spec), client.submit(spec)
    assert first.job_id != second.job_id
    assert first.job_id[15:].startswith("-my-digits-")
    stamp = f"{first.job_id[:8]}T{first.job_id[9:15]}Z"
    assert stamp == first.submitted_at.replace("-", "").replace(":", "")
    assert client.jobs() == sorted([first.job_id, second.job_id])


def test_a_name_of_other_letters_still_gives_an_id(client: Client, spec: dict[str, Any]) -> None:
    assert "-job-" in client.submit({**spec, "name": "цифры"}).job_id


def test_paths_are_made_absolute(
    client: Client, spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.csv").write_text("label\n3\n")
    monkeypatch.chdir(tmp_path)
    del spec["grid"]
    job = client.submit({**spec, "input": "r.csv", "output": "lake", "model": "./model"})
    assert job.spec.output == str(tmp_path / "lake")
    assert [each.uri for each in job.inputs] == [job.spec.input] == [str(tmp_path / "r.csv")]
    assert job.spec.model == job.model.uri == str(tmp_path / "model")
    monkeypatch.chdir("/")
    assert client.job(job.job_id) == job


def test_a_job_in_any_store(client: Client, spec: dict[str, Any], store: Store) -> None:
    job = client.submit({**spec, "output": store.uri})
    assert client.job(job.job_id) == job
    assert len(read_rows(client.store(job.job_id), job, Unit(0, 20))) == 20


def test_a_job_can_be_accepted_without_a_queue(settings: Settings, spec: dict[str, Any]) -> None:
    client = Client(settings)
    job = client.submit(spec)
    assert client.job(job.job_id) == job
    with pytest.raises(UsageError, match="ANCESTRAL_REDIS_URL"):
        client.recover(job.job_id)
    # Nobody built a queue for it.
    assert latest_epoch(client.store(job.job_id), job.job_id) == 0


@pytest.mark.redis
def test_the_queue_is_the_one_that_the_settings_name(
    settings: Settings, spec: dict[str, Any], redis_url: str
) -> None:
    client = Client(Settings(settings.home, settings.state_uri, redis_url=redis_url))
    assert isinstance(client.queue, RedisQueue)
    job = client.submit(spec)
    try:
        assert client.queue.counts(job.job_id).ready == 3
    finally:
        client.queue.forget(job.job_id)
        client.queue.close()


def test_without_the_queue_of_the_settings_nothing_is_submitted(
    settings: Settings, spec: dict[str, Any], tmp_path: Path
) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    client = Client(Settings(settings.home, settings.state_uri, redis_url=url))
    with pytest.raises(QueueUnavailable):
        client.submit(spec)
    assert objects(spec) == []


def test_a_lost_queue_is_built_again_with_what_is_undecided(
    settings: Settings, client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    commit(client.store(job.job_id), job, Unit(8, 16))
    successor = Client(settings, MemoryQueue())
    reason = (
        "8 of 20 rows are decided; it is not in the queue: "
        f"`ancestral recover {job.job_id}` puts it there"
    )
    assert successor.status(job.job_id).reason == reason
    assert successor.recover(job.job_id)
    assert successor.queue is not None
    assert [each.unit for each in successor.queue.claim("bob", 9)] == [Unit(0, 8), Unit(16, 20)]
    # What was decided counts, so that the rows add up.
    assert successor.queue.counts(job.job_id).rows_ok == 8


def test_taking_up_a_job_again_takes_nothing_from_its_workers(
    client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    # Given a job of which one unit is held, and one is committed and not told of
    job = client.submit({**spec, "idempotency_key": "k"})
    queue = client.queue
    assert queue is not None
    first, second = queue.claim("ann", 2)
    commit(client.store(job.job_id), job, second.unit)
    # When it is submitted again
    assert client.submit({**spec, "idempotency_key": "k"}) == job
    # Then its queue is the old one, and knows
    counts = queue.counts(job.job_id)
    assert (counts.epoch, counts.leased, counts.rows_ok) == (1, 1, 8)
    assert queue.heartbeat("ann", {first: Progress(1)}) == {first: Order.CONTINUE}
    # When it is recovered by hand, the lease is lost
    assert client.recover(job.job_id)
    assert queue.heartbeat("ann", {first: Progress(1)}) == {first: Order.LOST}


def test_a_finished_job_does_not_come_back_to_the_queue(
    settings: Settings, client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)
    for unit in job.units():
        commit(store, job, unit)
    finalise(store, job.job_id)
    successor = Client(settings, MemoryQueue())
    assert not successor.recover(job.job_id)
    successor.take_up(job)
    assert successor.queue is not None
    assert successor.queue.jobs() == []


def test_a_retried_job_has_a_child_in_the_queue(
    client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    # Given a finished job of which three rows failed
    job = client.submit(spec)
    queue, store = client.queue, client.store(job.job_id)
    assert queue is not None
    for unit, statuses in zip(job.units(), ("ooofffrr", "oooooooo", "oooo"), strict=True):
        commit(store, job, unit, statuses)
    finalise(store, job.job_id)
    queue.forget(job.job_id)
    # When it is retried, twice
    child = client.retry(job.job_id)
    assert client.retry(job.job_id) == child
    # Then its child is known, and queued once
    assert client.job(child.job_id) == child
    assert (child.parent, child.rows) == (job.job_id, 3)
    assert queue.jobs() == [QueuedJob(child.job_id, spec["output"], 0, 3)]
    assert sum(lease.unit.rows for lease in queue.claim("ann", 9)) == 3


@pytest.mark.parametrize("job_id", ["20261122-153012-x-00000000", "../up", "", "a/b"])
def test_an_unknown_job_is_named(client: Client, job_id: str) -> None:
    for method in (client.job, client.status, client.results, client.store, client.wait):
        with pytest.raises(UnknownJob, match=f"'{job_id}'"):
            method(job_id)


def test_a_job_whose_output_is_gone_is_named(client: Client, spec: dict[str, Any]) -> None:
    job = client.submit(spec)
    open_store(spec["output"]).delete(layout.spec_path(job.job_id))
    with pytest.raises(UnknownJob, match="is no longer in its output"):
        client.status(job.job_id)
    assert client.jobs() == [job.job_id]


def test_a_pointer_that_cannot_be_read_hides_no_job(
    client: Client, settings: Settings, spec: dict[str, Any]
) -> None:
    job = client.submit(spec)
    open_store(settings.state_uri).put(layout.state_job_path("broken"), b"no JSON")
    assert client.jobs() == [job.job_id, "broken"]
    with pytest.raises(CorruptObject):
        client.status("broken")


def test_no_secret_of_the_environment_is_written(
    settings: Settings, spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open-sesame")
    Client(settings, MemoryQueue()).submit(spec)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not any(b"open-sesame" in path.read_bytes() for path in written)


def test_spec_json_is_plain_json(client: Client, spec: dict[str, Any]) -> None:
    job = client.submit(spec)
    data = Path(spec["output"], layout.spec_path(job.job_id)).read_bytes()
    document = json.loads(data)
    assert document["rows"] == 20
    assert document["spec"]["sampling"]["seed"] == 7
    assert os.path.isabs(document["spec"]["output"])
