"""Settings: the environment, read in one place."""

from pathlib import Path

import pytest

from ancestral.jobs.errors import UsageError
from ancestral.jobs.settings import Settings


def test_an_empty_environment_has_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".ancestral"
    for environment in ({}, {"ANCESTRAL_HOME": "", "ANCESTRAL_REDIS_URL": "", "RAY_ADDRESS": ""}):
        settings = Settings.from_environment(environment)
        assert settings == Settings(
            home=home,
            state_uri=str(home / "state"),
            redis_url=None,
            data_uri=None,
            ray_address=None,
        )
        assert settings.cache_folder == home / "cache"


def test_every_variable_counts(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "ANCESTRAL_HOME": str(tmp_path),
            "ANCESTRAL_STATE": "s3://lake/state",
            "ANCESTRAL_REDIS_URL": "rediss://queue:6379",
            "ANCESTRAL_DATA": "s3://lake/tables",
            "RAY_ADDRESS": "ray-head:6379",
        }
    )
    assert settings == Settings(
        home=tmp_path,
        state_uri="s3://lake/state",
        redis_url="rediss://queue:6379",
        data_uri="s3://lake/tables",
        ray_address="ray-head:6379",
    )


def test_the_process_environment_is_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANCESTRAL_HOME", str(tmp_path / "elsewhere"))
    assert Settings.from_environment().home == tmp_path / "elsewhere"


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({"ANCESTRAL_HOME": "here"}).home == tmp_path / "here"


def test_without_a_home_directory_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def expanduser(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", expanduser)
    with pytest.raises(UsageError, match="no home directory here: set ANCESTRAL_HOME"):
        Settings.from_environment({})


def test_a_password_is_not_shown() -> None:
    settings = Settings.from_environment({"ANCESTRAL_REDIS_URL": "redis://:open-sesame@queue"})
    assert "open-sesame" not in repr(settings)


def test_a_relative_state_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for given, state in (
        ("here", str(tmp_path / "here")),
        ("~/there", str(tmp_path / "home" / "there")),
        ("file:///lake/state", "file:///lake/state"),
        ("s3:/lake", "s3:/lake"),
    ):
        assert Settings.from_environment({"ANCESTRAL_STATE": given}).state_uri == state


def test_a_state_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(UsageError, match=f"the state is the file {tmp_path}/state"):
        Settings.from_environment({"ANCESTRAL_STATE": str(tmp_path / "state")})
