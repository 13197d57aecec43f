"""Models removed, unless jobs need them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.errors import ModelUnreadable, UsageError
from ancestral.jobs.finalise import finalise
from ancestral.jobs.removal import remove_models
from ancestral.jobs.store import open_store
from tests.jobs.bundles import write_bundle


@pytest.fixture
def second(client: Client, tmp_path: Path) -> str:
    """The digest of a second version of `digits`, which is the latest."""
    write_bundle(tmp_path / "second", weights=b"second")
    return client.registry.publish(tmp_path / "second", "digits").digest


@pytest.fixture
def first(client: Client) -> str:
    """The digest of the version that was there before."""
    return client.registry.resolve("digits").digest


def test_a_version_that_no_job_needs_is_removed(client: Client, first: str, second: str) -> None:
    (removed,) = remove_models(client, f"digits@{first[:6]}")
    assert first.startswith(removed)
    assert [each.entry.digest for each in client.registry.versions("digits")] == [second]


def test_all_versions_are_removed(client: Client, first: str, second: str) -> None:
    removed = remove_models(client, "digits", every=True)
    assert set(removed) == {first[:12], second[:12]}
    assert client.registry.list() == []


def test_a_version_that_a_job_needs_stays_until_it_is_finished(
    client: Client, spec: dict[str, Any], first: str, second: str
) -> None:
    # Given a job of each version
    job = client.submit({**spec, "model": f"digits@{first}"})
    other = client.submit({**spec, "model": f"digits@{second}"})
    # Then they hold the versions that they pin
    for model, every, named in (
        (f"digits@{first}", False, [job.job_id]),
        ("digits", True, [job.job_id, other.job_id]),
    ):
        with pytest.raises(UsageError, match="is what unfinished jobs draw with") as caught:
            remove_models(client, model, every=every)
        assert all(job_id in str(caught.value) for job_id in named)
    assert len(client.registry.versions("digits")) == 2
    # Until they are at their end
    client.cancel(job.job_id)
    finalise(client.store(job.job_id), job.job_id)
    remove_models(client, f"digits@{first}")
    assert [each.entry.digest for each in client.registry.versions("digits")] == [second]


def test_a_job_that_draws_with_another_name_is_not_in_the_way(
    client: Client, spec: dict[str, Any], first: str, second: str, tmp_path: Path
) -> None:
    # Given the same bundle under two names, and a job of each
    client.registry.publish(tmp_path / "model", "numbers")
    jobs = {
        name: client.submit({**spec, "model": f"{name}@{first}"}) for name in ("digits", "numbers")
    }
    # Then each name is held by its own job
    for name, other in (("digits", "numbers"), ("numbers", "digits")):
        with pytest.raises(UsageError) as caught:
            remove_models(client, f"{name}@{first}")
        assert jobs[name].job_id in str(caught.value)
        assert jobs[other].job_id not in str(caught.value)
    # And can go once it has ended
    client.cancel(jobs["digits"].job_id)
    finalise(client.store(jobs["digits"].job_id), jobs["digits"].job_id)
    remove_models(client, f"digits@{first}")
    model = jobs["numbers"].model
    assert client.registry.fetch(model.uri, model.digest)


def test_a_job_whose_output_is_gone_needs_nothing(
    client: Client, spec: dict[str, Any], first: str, second: str
) -> None:
    job = client.submit({**spec, "model": f"digits@{first}"})
    store = open_store(spec["output"])
    for path in store.list():
        store.delete(path)
    remove_models(client, f"digits@{first}")
    with pytest.raises(ModelUnreadable):
        client.registry.fetch(job.model.uri, job.model.digest)


def test_what_is_forced_is_mended_by_pushing_again(
    client: Client, spec: dict[str, Any], first: str, second: str, tmp_path: Path
) -> None:
    job = client.submit({**spec, "model": f"digits@{first}"})
    remove_models(client, f"digits@{first}", force=True)
    with pytest.raises(ModelUnreadable, match=r"there is no config\.json"):
        client.registry.fetch(job.model.uri, job.model.digest)
    client.registry.publish(tmp_path / "model", "digits")
    assert client.registry.fetch(job.model.uri, job.model.digest)


@pytest.mark.parametrize(
    ("model", "every"), [("digits", False), ("digits@abcd", True), ("./digits", True)]
)
def test_what_to_remove_has_to_be_said(client: Client, model: str, every: bool) -> None:
    with pytest.raises(UsageError, match="say what to remove: NAME@DIGEST, or NAME --all"):
        remove_models(client, model, every=every)


def test_a_version_of_no_name_is_not_all_of_them(client: Client, first: str, second: str) -> None:
    for model in ("digits@", "digits@newest"):
        with pytest.raises(ModelUnreadable, match="after '@' goes 'latest' or the beginning of"):
            remove_models(client, model)
    assert len(client.registry.versions("digits")) == 2


@pytest.mark.parametrize(("model", "every"), [("speech@abcd", False), ("speech", True)])
def test_what_is_not_there_cannot_be_removed(client: Client, model: str, every: bool) -> None:
    with pytest.raises(ModelUnreadable, match="no model is called 'speech'"):
        remove_models(client, model, every=every)


def test_what_only_ships_stays(client: Client, tmp_path: Path) -> None:
    digest = write_bundle(tmp_path / "shipped" / "emoji")
    client = Client(replace(client.settings, shipped_folder=tmp_path / "shipped"))
    for model, every in ((f"emoji@{digest}", False), ("emoji", True)):
        with pytest.raises(UsageError, match="comes with the package and cannot be removed"):
            remove_models(client, model, every=every)
