"""Models that come with the package, beside those of the registry."""

from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.errors import ModelUnreadable, UsageError
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.registry import Registry
from ancestral.jobs.settings import Settings
from ancestral.jobs.store import Store, open_store
from tests.jobs.bundles import SPEECH, write_bundle


@pytest.fixture
def shipped_folder(tmp_path: Path) -> Path:
    """Ships `digits` and `speech`, and a folder that is no model."""
    write_bundle(tmp_path / "shipped" / "digits", weights=b"shipped")
    write_bundle(tmp_path / "shipped" / "speech", SPEECH)
    (tmp_path / "shipped" / "notes").mkdir()
    return tmp_path / "shipped"


@pytest.fixture
def registry(store: Store, tmp_path: Path, shipped_folder: Path) -> Registry:
    """An empty registry, on every kind of store in turn, and what ships."""
    return Registry(store.uri, tmp_path / "cache", shipped_folder)


def test_what_ships_is_known_by_its_name_and_digest(
    registry: Registry, shipped_folder: Path
) -> None:
    entry = registry.resolve("digits")
    assert (entry.uri, entry.ships) == (str(shipped_folder / "digits"), True)
    assert registry.resolve("digits@latest") == entry
    assert registry.resolve(f"digits@{entry.digest[:7]}") == entry
    assert [(each.name, each.ships) for each in registry.list()] == [
        ("digits", True),
        ("speech", True),
    ]
    (version,) = registry.versions("digits")
    assert (version.entry, version.published_at, version.latest) == (entry, None, True)
    with pytest.raises(ModelUnreadable, match="did you mean 'digits'"):
        registry.resolve("digit")


def test_a_published_model_comes_before_the_one_that_ships(
    registry: Registry, tmp_path: Path
) -> None:
    shipped = registry.resolve("digits")
    write_bundle(tmp_path / "mine", weights=b"mine")
    mine = registry.publish(tmp_path / "mine", "digits")
    assert not mine.ships
    assert registry.resolve("digits") == mine
    assert registry.resolve(f"digits@{shipped.digest}") == shipped
    assert [each.name for each in registry.list() if each.ships] == ["speech"]
    assert [(each.entry, each.latest) for each in registry.versions("digits")] == [
        (mine, True),
        (shipped, False),
    ]
    registry.remove("digits", [mine.digest])
    assert registry.resolve("digits") == shipped


def test_what_ships_is_shared_without_becoming_the_latest(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    shipped = registry.resolve("digits")
    write_bundle(tmp_path / "mine", weights=b"mine")
    mine = registry.publish(tmp_path / "mine", "digits")
    shared = registry.shared(shipped)
    assert (shared.digest, shared.ships) == (shipped.digest, True)
    assert shared.uri.startswith(store.uri)
    assert registry.shared(shipped) == registry.shared(shared) == shared
    assert registry.resolve("digits") == mine
    assert registry.shared(mine) == mine
    # Where the same package is not installed, it is there all the same.
    elsewhere = Registry(store.uri, tmp_path / "elsewhere")
    assert elsewhere.fetch(shared.uri, shared.digest)
    assert elsewhere.resolve(f"digits@{shipped.digest}").uri == shared.uri


def test_a_shared_one_gives_way_to_the_next_that_ships(
    registry: Registry, shipped_folder: Path
) -> None:
    old = registry.shared(registry.resolve("digits"))
    assert registry.resolve("digits") == old
    # A later package has another
    write_bundle(shipped_folder / "digits", weights=b"later")
    assert registry.resolve("digits").digest != old.digest
    assert registry.resolve(f"digits@{old.digest}").uri == old.uri
    assert [(each.latest, each.entry.ships) for each in registry.versions("digits")] == [
        (False, False),
        (True, True),
    ]


def test_one_that_ships_can_be_made_the_latest(registry: Registry, tmp_path: Path) -> None:
    shipped = registry.resolve("digits")
    write_bundle(tmp_path / "mine", weights=b"mine")
    mine = registry.publish(tmp_path / "mine", "digits")
    assert registry.make_latest(f"digits@{shipped.digest}").digest == shipped.digest
    assert registry.resolve("digits").digest == shipped.digest
    registry.remove("digits", [mine.digest])
    registry.remove("digits", [shipped.digest])
    assert registry.resolve("digits") == shipped


def test_what_only_ships_cannot_be_removed(registry: Registry) -> None:
    shipped = registry.resolve("digits")
    with pytest.raises(UsageError, match="comes with the package and cannot be removed"):
        registry.remove("digits", [shipped.digest])


def test_a_job_pins_what_ships_where_every_machine_finds_it(
    tmp_path: Path, shipped_folder: Path, spec: dict[str, Any]
) -> None:
    settings = Settings(
        tmp_path / "other", str(tmp_path / "other" / "state"), shipped_folder=shipped_folder
    )
    client = Client(settings, MemoryQueue())
    job = client.submit(spec)
    assert job.model.name == "digits"
    assert job.model.uri.startswith(settings.state_uri)
    state = open_store(settings.state_uri)
    assert not state.exists("registry/digits/latest.json")
    workers_registry = Registry(settings.state_uri, tmp_path / "cache")
    assert workers_registry.fetch(job.model.uri, job.model.digest)
    # The next one finds it there.
    assert client.submit(spec).model == job.model
