"""The client: a job is accepted whole or not at all, followed, and resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.errors import (
    ConflictError,
    ModelUnreadable,
    QueueUnavailable,
    RequestsInvalid,
    SpecError,
    StoreDenied,
    StoreUnavailable,
    UnknownJob,
    UsageError,
)
from ancestral.jobs.finalise import finalise
from ancestral.jobs.ledger import RangeRecord
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.request_shards import read_rows
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs.bundles import write_bundle

Commit = Callable[..., RangeRecord]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with one model, `digits`."""
    settings = Settings(home=tmp_path / "home", state_uri=str(tmp_path / "home" / "state"))
    write_bundle(tmp_path / "model")
    Client(settings).registry.publish(tmp_path / "model", "digits")
    return settings


@pytest.fixture
def client(settings: Settings) -> Client:
    """A client with a queue of its own."""
    return Client(settings, MemoryQueue())


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    """A job of 20 rows in units of 8."""
    return {
        "name": "My digits!",
        "model": "digits",
        "grid": {"label": list(range(10))},
        "sampling": {"samples": 2, "seed": 7},
        "unit": {"rows": 8},
        "output": str(tmp_path / "lake"),
    }


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
    job = client.submit({**spec, "priority": 5, "max_attempts": 2})
    assert client.queue is not None
    leases = client.queue.claim("ann", 10)
    assert [lease.unit for lease in leases] == [Unit(0, 8), Unit(8, 16), Unit(16, 20)]
    assert {(lease.job_id, lease.output, lease.max_attempts) for lease in leases} == {
        (job.job_id, spec["output"], 2)
    }
    assert [each.priority for each in client.queue.jobs()] == [5]


def test_a_job_lies_where_the_layout_says_and_nowhere_else(
    client: Client, spec: dict[str, Any]
) -> None:
    job = client.submit(spec)
    assert objects(spec) == sorted([layout.spec_path(job.job_id), job.shards[0].path])
    assert job.shards[0].path.startswith(f"_jobs/{job.job_id}/submits/")


def test_ids_are_safe_and_sort_by_time(client: Client, spec: dict[str, Any]) -> None:
    first, second = client.submit(spec), client.submit(spec)
    assert first.job_id != second.job_id
    assert first.job_id[15:].startswith("-my-digits-")
    stamp = f"{first.job_id[:8]}T{first.job_id[9:15]}Z"
    assert stamp == first.submitted_at.replace("-", "").replace(":", "")
    assert [each.job_id for each in client.jobs()] == sorted([first.job_id, second.job_id])


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


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grid": {"label": [1, 10]}}, RequestsInvalid),
        ({"grid": {"labels": [1]}}, RequestsInvalid),
        ({"model": "letters"}, ModelUnreadable),
        ({"model": "./nowhere"}, ModelUnreadable),
        ({"sampling": {"temprature": 1}}, SpecError),
        ({"grid": None, "input": "/nowhere/r.csv"}, SpecError),
        ({"output": "nonsense://lake"}, SpecError),
        ({"output": "s3://me:open-sesame@lake"}, SpecError),
    ],
)
def test_a_refused_job_leaves_nothing_behind(
    client: Client, spec: dict[str, Any], change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        client.submit({**spec, **change, "idempotency_key": "k"})
    assert "\n" not in str(caught.value)
    assert objects(spec) == []
    assert client.jobs() == []
    assert client.queue is not None
    assert client.queue.jobs() == []
    # Not even the key is taken.
    assert client.submit({**spec, "idempotency_key": "k"}).rows == 20


def test_an_output_that_cannot_be_written_is_named(
    client: Client, spec: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "lake").write_text("a file in the way")
    with pytest.raises(StoreDenied) as caught:
        client.submit(spec)
    assert str(tmp_path / "lake") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert client.jobs() == []


class FailingStore(Store):
    """Cannot create what has `broken` in its path."""

    broken = "requests-00001"

    def create(self, path: str, data: bytes | memoryview) -> None:
        if self.broken in path:
            raise StoreUnavailable("the store went away")
        super().create(path, data)


def test_shards_are_removed_when_the_store_fails_on_the_way(
    client: Client, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ancestral.jobs.acceptance.open_store", FailingStore)
    grid = {"label": list(range(10)), "seed": list(range(7000))}
    with pytest.raises(StoreUnavailable):
        client.submit({**spec, "grid": grid})
    assert objects(spec) == []
    assert client.jobs() == []


def test_shards_stay_when_it_is_unknown_whether_the_job_was_accepted(
    client: Client, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ancestral.jobs.acceptance.open_store", FailingStore)
    monkeypatch.setattr(FailingStore, "broken", "spec.json")
    with pytest.raises(StoreUnavailable):
        client.submit(spec)
    assert len(objects(spec)) == 1
    assert client.jobs() == []


class ForgetfulStore(Store):
    """Creates, and is told that somebody else did: the answer of the first try was lost."""

    def create(self, path: str, data: bytes | memoryview) -> None:
        super().create(path, data)
        if path.endswith("spec.json"):
            super().create(path, data)


def test_an_acceptance_whose_answer_was_lost_is_an_acceptance(
    client: Client, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ancestral.jobs.acceptance.open_store", ForgetfulStore)
    job = client.submit(spec)
    assert client.job(job.job_id) == job
    assert len(read_rows(client.store(job.job_id), job, Unit(0, 20))) == 20


def test_the_same_key_and_spec_are_the_same_job(client: Client, spec: dict[str, Any]) -> None:
    spec["idempotency_key"] = "2026-11-22/digits"
    job = client.submit(spec)
    before = objects(spec)
    assert client.submit(dict(reversed(spec.items()))) == job
    assert objects(spec) == before
    assert [each.job_id for each in client.jobs()] == [job.job_id]


@pytest.mark.parametrize("change", [{"priority": 1}, {"output": "elsewhere"}, {"name": "other"}])
def test_the_same_key_with_another_spec_is_a_conflict(
    client: Client, spec: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    spec["idempotency_key"] = "k"
    if "output" in change:
        change = {"output": str(tmp_path / "elsewhere")}
    job = client.submit(spec)
    with pytest.raises(ConflictError, match=f"the idempotency key 'k' belongs to {job.job_id}"):
        client.submit({**spec, **change})
    assert not (tmp_path / "elsewhere").exists()
    assert [each.job_id for each in client.jobs()] == [job.job_id]


def test_the_key_counts_for_an_output_that_several_states_share(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    spec.update(idempotency_key="k", model=str(tmp_path / "model"))
    write_bundle(tmp_path / "model")
    homes = [Settings(home=tmp_path / name, state_uri=str(tmp_path / name)) for name in "ab"]
    first, second = (Client(home, MemoryQueue()) for home in homes)
    job = first.submit(spec)
    assert second.submit(spec) == job
    third = Client(Settings(home=tmp_path / "c", state_uri=str(tmp_path / "c")), MemoryQueue())
    with pytest.raises(ConflictError):
        third.submit({**spec, "priority": 1})
    assert len(objects(spec)) == 2


def test_of_many_who_race_for_a_key_all_get_one_job(
    settings: Settings, spec: dict[str, Any]
) -> None:
    spec["idempotency_key"] = "k"
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: Client(settings, MemoryQueue()).submit(spec), range(8)))
    assert len({job.to_json() for job in jobs}) == 1
    # The shards of those who lost are gone again.
    assert len(objects(spec)) == 2


def test_of_many_with_other_specs_who_race_for_a_key_one_is_accepted(
    settings: Settings, spec: dict[str, Any], tmp_path: Path
) -> None:
    def submit(number: int) -> Job | None:
        asked = {**spec, "idempotency_key": "k", "output": str(tmp_path / f"lake-{number}")}
        try:
            return Client(settings, MemoryQueue()).submit(asked)
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        jobs = [job for job in pool.map(submit, range(8)) if job is not None]
    assert len(jobs) == 1
    found = [path for n in range(8) for path in objects({"output": str(tmp_path / f"lake-{n}")})]
    assert len(found) == 2


def test_who_died_before_the_acceptance_is_succeeded_by_the_same_spec(
    client: Client, spec: dict[str, Any]
) -> None:
    spec["idempotency_key"] = "k"
    job = client.submit(spec)
    # As if the first submission had taken the key and not come to spec.json.
    open_store(spec["output"]).delete(layout.spec_path(job.job_id))
    again = client.submit(spec)
    assert again.job_id == job.job_id
    assert client.job(job.job_id) == again
    with pytest.raises(ConflictError):
        client.submit({**spec, "priority": 3})


def test_a_job_can_be_accepted_without_a_queue(settings: Settings, spec: dict[str, Any]) -> None:
    client = Client(settings)
    job = client.submit(spec)
    status = client.status(job.job_id)
    assert (status.state, status.rows, status.rows_ok, status.index) == ("queued", 20, 0, None)
    with pytest.raises(UsageError, match="ANCESTRAL_REDIS_URL"):
        client.enqueue(job)


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


def test_the_states_of_a_job(client: Client, spec: dict[str, Any], commit: Commit) -> None:
    job = client.submit(spec)
    queue, store = client.queue, client.store(job.job_id)
    assert queue is not None

    status = client.status(job.job_id)
    assert (status.state, status.name, status.output) == ("queued", "My digits!", spec["output"])
    assert status.reason == "no worker holds any of its 3 units"

    first, second, third = queue.claim("ann", 3)
    status = client.status(job.job_id)
    assert (status.state, status.reason) == ("running", None)

    record = commit(store, job, first.unit, "ooofffrr")
    queue.complete(job.job_id, first.unit, record.counts)
    status = client.status(job.job_id)
    assert (status.state, status.rows_ok, status.rows_failed, status.rows_rejected) == (
        "running",
        3,
        3,
        2,
    )

    for lease in (second, third):
        queue.complete(job.job_id, lease.unit, commit(store, job, lease.unit).counts)
    assert client.status(job.job_id).state == "finalising"
    assert not client.status(job.job_id).finished

    manifest = finalise(store, job.job_id)
    status = client.status(job.job_id)
    assert (status.state, status.finished, status.index) == (
        "done_with_errors",
        True,
        manifest.index,
    )
    assert (status.rows, status.rows_ok, status.rows_failed, status.rows_rejected) == (20, 15, 3, 2)
    assert status.reason == "3 rows failed; the index says why"
    assert client.wait(job.job_id) == status
    assert len(client.results(job.job_id)) == 20


def test_the_ledger_answers_where_there_is_no_queue(
    client: Client, settings: Settings, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)
    onlooker = Client(settings)
    assert onlooker.status(job.job_id).state == "queued"
    commit(store, job, Unit(8, 16))
    status = onlooker.status(job.job_id)
    assert (status.state, status.rows_ok, status.reason) == ("running", 8, None)
    for unit in (Unit(0, 8), Unit(16, 20)):
        commit(store, job, unit)
    assert onlooker.status(job.job_id).state == "finalising"
    finalise(store, job.job_id)
    status = onlooker.status(job.job_id)
    assert (status.state, status.reason) == ("done", None)


def test_a_lost_queue_is_filled_again_with_what_is_undecided(
    settings: Settings, client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    commit(client.store(job.job_id), job, Unit(8, 16))
    successor = Client(settings, MemoryQueue())
    assert successor.status(job.job_id).reason == "it is not in the queue: enqueue it"
    assert successor.enqueue(job) == 2
    assert successor.enqueue(job) == 0
    assert successor.queue is not None
    assert [each.unit for each in successor.queue.claim("bob", 9)] == [Unit(0, 8), Unit(16, 20)]
    # What was decided counts, so that the rows add up.
    assert successor.queue.counts(job.job_id).rows_ok == 8


def test_a_finished_job_does_not_come_back_to_the_queue(
    settings: Settings, client: Client, spec: dict[str, Any], commit: Commit
) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)
    for unit in job.units():
        commit(store, job, unit)
    finalise(store, job.job_id)
    successor = Client(settings, MemoryQueue())
    assert successor.enqueue(job) == 0
    assert successor.queue is not None
    assert successor.queue.jobs() == []


def test_waiting_ends_with_the_time(client: Client, spec: dict[str, Any]) -> None:
    job = client.submit(spec)
    assert client.wait(job.job_id, timeout_seconds=0).state == "queued"


def test_waiting_ends_with_the_job(client: Client, spec: dict[str, Any], commit: Commit) -> None:
    job = client.submit(spec)
    store = client.store(job.job_id)

    def work() -> None:
        for unit in job.units():
            commit(store, job, unit)
        finalise(store, job.job_id)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        assert client.wait(job.job_id, poll_seconds=0.01).state == "done"
        working.result()


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
    assert [each.output for each in client.jobs()] == [spec["output"]]


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
