"""`ancestral models`: versions pushed, listed, made the latest and removed; models that ship."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.settings import Settings
from ancestral.workers.here import run_here
from tests.jobs.bundles import SPEECH, TALK, write_bundle
from tests.orchestration.home import Home
from tests.orchestration.tiny import tiny_spec


def test_a_bundle_is_pushed_listed_and_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = write_bundle(home.folder / "talk", TALK)

    pushed = home.call_json("models", "push", "talk")

    assert (pushed["name"], pushed["digest"]) == ("talk", digest)
    (version,) = home.call_json("models", "ls", "talk")
    assert version == {**pushed, "published_at": version["published_at"], "latest": True}
    assert pushed in home.call_json("models", "ls")
    monkeypatch.setenv("COLUMNS", "120")
    _, out, _ = home.call("models", "show", "talk")
    # Where it lies is not wrapped, so that it can be copied.
    assert max(len(line) for line in out.splitlines() if not line.startswith("bundle")) <= 120
    assert "text     text      (required)  up to 2,000 characters of abcdefghij" in out
    assert "speaker: [george]" in out and "text: [seven]" in out


def test_versions_are_made_the_latest_and_removed(home: Home) -> None:
    # Given two versions
    first = write_bundle(home.folder / "one", weights=b"one")
    second = write_bundle(home.folder / "two", weights=b"two")
    for folder in ("one", "two/"):
        code, out, _ = home.call("models", "push", f"./{folder}", "--name", "mine")
        assert code == 0
    assert f"mine@{second[:12]}" in out

    # Then the latest can be moved
    lines = home.call("models", "ls", "mine")[1].splitlines()
    assert [line[:12] for line in lines] == [second[:12], first[:12]]
    assert [line.endswith("latest") for line in lines] == [True, False]
    assert home.call_json("models", "latest", f"mine@{first[:6]}")["digest"] == first
    assert home.call_json("models", "show", "mine")["digest"] == first

    # And goes last
    code, out, err = home.call("models", "rm", "mine@latest")
    assert (code, out) == (2, "")
    assert f"mine@{first[:12]} is the latest version: make another one the latest first" in err
    code, out, _ = home.call("models", "rm", f"mine@{second[:6]}")
    assert (code, out) == (0, f"removed mine@{second[:12]}\n")
    removed = home.call_json("models", "rm", "mine", "--all")
    assert removed == [{"name": "mine", "digest": first[:12]}]


def test_a_version_that_a_job_needs_is_kept_unless_forced(home: Home) -> None:
    job = Client(home.settings).submit(tiny_spec(home.lake))

    code, out, err = home.call("models", "rm", "tiny", "--all")

    assert (code, out) == (2, "")
    assert job.job_id in err
    assert home.call("models", "rm", "tiny", "--all", "--force")[0] == 0


def test_a_model_that_ships_is_used_by_its_bare_name(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a package that brings `tiny`, and a home without any model
    shipped = home.folder / "shipped"
    shipped.mkdir()
    (home.settings.home / "bundle").rename(shipped / "tiny")
    home.call("models", "rm", "tiny", "--all")
    write_bundle(shipped / "speech", SPEECH)
    ship(shipped, monkeypatch)

    # Then it is listed
    assert [each["ships"] for each in home.call_json("models", "ls")] == [True, True]
    lines = home.call("models", "ls")[1].splitlines()
    assert all(line.endswith("(comes with the package)") for line in lines)
    (version,) = home.call_json("models", "ls", "tiny")
    assert (version["ships"], version["latest"], version["published_at"]) == (True, True, None)

    # And jobs are drawn with it
    settings = Settings.from_environment()
    results = run_here(tiny_spec(home.lake, samples=1), settings=settings)
    assert results.table().num_rows == 10

    # And what was made for the job can go, but not what ships
    _, out, _ = home.call("models", "ls", "tiny")
    assert out.rstrip().endswith("latest, comes with the package")
    assert home.call("models", "rm", "tiny", "--all")[0] == 0
    code, _, err = home.call("models", "rm", "tiny", "--all")
    assert (code, "comes with the package and cannot be removed" in err) == (2, True)


def ship(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the models in this folder came with the package."""
    of_environment = Settings.from_environment

    def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
        return replace(of_environment(environment), shipped_folder=folder)

    monkeypatch.setattr(Settings, "from_environment", staticmethod(from_environment))
