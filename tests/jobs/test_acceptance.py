"""Acceptance: a job is accepted whole or not at all, and once for each key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.errors import (
    ConflictError,
    ModelUnreadable,
    RequestsInvalid,
    SpecError,
    StoreDenied,
    StoreUnavailable,
)
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.request_shards import read_rows
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs.bundles import write_bundle


def objects(spec: dict[str, Any]) -> list[str]:
    """All that there is in the output, but for the epochs of queues."""
    paths = open_store(spec["output"]).list()
    return [path for path in paths if "/epochs/" not in path]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grid": {"label": [1, 10]}}, RequestsInvalid),
        ({"grid": {"labels": [1]}}, RequestsInvalid),
        ({"model": "letters"}, ModelUnreadable),
        ({"model": "./nowhere"}, ModelUnreadable),
        ({"sampling": {"temprature": 1}}, SpecError),
        ({"grid": None, "input": "/nowhere/r.csv"}, SpecError),
        ({"sampling": {"samples": 2**31 - 1}}, SpecError),
        ({"sampling": {"samples": 10**7}, "unit": {"rows": 2}}, SpecError),
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


def test_a_draft_is_the_job_with_its_requests_and_leaves_nothing_behind(
    client: Client, spec: dict[str, Any]
) -> None:
    # Given what a spec would become
    spec = {**spec, "idempotency_key": "k"}
    with client.draft(spec) as (drafted, requests):
        asked = read_rows(requests, drafted, Unit(0, drafted.rows))
        folder = Path(requests.uri)
        assert folder.is_dir()

    # Then nothing was written
    assert not folder.exists()
    assert objects(spec) == []
    assert client.jobs() == []

    # And it is what the job is, once it is submitted
    job = client.submit(spec)
    assert (drafted.rows, drafted.unit_rows) == (job.rows, job.unit_rows) == (20, 8)
    assert read_rows(client.store(job.job_id), job, Unit(0, 20)) == asked

    # And a key that is taken for another spec is refused here, too
    with client.draft(spec):
        pass
    with pytest.raises(ConflictError), client.draft({**spec, "name": "other"}):
        pass


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grid": {"label": [1, 10]}}, RequestsInvalid),
        ({"model": "letters"}, ModelUnreadable),
        ({"sampling": {"top_k": 7.5}}, SpecError),
        ({"sampling": {"samples": 2**31 - 1}}, SpecError),
        ({"output": "nonsense://lake"}, SpecError),
    ],
)
def test_a_draft_of_what_would_be_refused_is_refused(
    client: Client, spec: dict[str, Any], change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error), client.draft({**spec, **change}):
        pass


def test_an_output_that_cannot_be_written_is_named(
    client: Client, spec: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "lake").write_text("a file in the way")
    with pytest.raises(StoreDenied) as caught:
        client.submit(spec)
    assert str(tmp_path / "lake") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert client.jobs() == []


@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_an_output_that_can_only_be_read_is_refused(
    client: Client, spec: dict[str, Any], scheme: str
) -> None:
    spec["output"] = f"{scheme}://lake.example/out"
    with pytest.raises(SpecError) as caught:
        client.submit(spec)
    assert str(caught.value) == (
        f"'output': {spec['output'].replace(scheme, scheme.lower())}: web servers are only read: "
        "write to a folder or a bucket"
    )
    with pytest.raises(SpecError), client.draft(spec):
        pass


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
    assert client.jobs() == [job.job_id]


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
    assert client.jobs() == [job.job_id]


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
