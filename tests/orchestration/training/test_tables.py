"""Training tables by name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.errors import SpecError
from ancestral.orchestration.training.recipe import SHIPPED
from ancestral.orchestration.training.tables import absolute_table, table_uri


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ANCESTRAL_DATA with a table of piano, and one that is called as one that ships."""
    for name in ("piano", "digits20"):
        pq.write_table(pa.table({"split": ["train"]}), tmp_path / f"{name}.parquet")
    monkeypatch.setenv("ANCESTRAL_DATA", str(tmp_path))
    return tmp_path


def test_what_ships_comes_first_and_then_the_folder(data: Path) -> None:
    assert table_uri("digits20") == str(SHIPPED / "digits20.parquet")
    assert table_uri("piano") == str(data / "piano.parquet")


def test_a_path_or_uri_is_taken_as_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    (data / "plain").touch()
    for path in ("tables/*.parquet", "s3://lake/digits.parquet", "other.parquet", "plain"):
        assert table_uri(path) == path


def test_a_name_may_be_a_glob_in_the_folder(data: Path) -> None:
    assert table_uri("prompts_*") == str(data / "prompts_*.parquet")


def test_the_folder_may_be_a_uri(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("ANCESTRAL_DATA", f"file://{data}/")
    assert table_uri("piano") == f"file://{data}/piano.parquet"


def test_the_error_says_where_a_name_was_looked_for(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpecError) as caught:
        table_uri("digits2")
    assert str(caught.value) == (
        f"no table 'digits2' ships, and there is no {data}/digits2.parquet; "
        "did you mean 'digits20'?"
    )

    monkeypatch.delenv("ANCESTRAL_DATA")
    with pytest.raises(SpecError, match="'piano' ships, and ANCESTRAL_DATA is not set"):
        table_uri("piano")


def test_other_processes_find_the_same_table(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    (data / "plain").touch()
    assert [absolute_table(name) for name in ("digits20", "piano")] == ["digits20", "piano"]
    assert absolute_table("plain") == str(data / "plain")
    assert absolute_table("piano.parquet") == str(data / "piano.parquet")
    assert absolute_table("s3://lake/x.parquet") == "s3://lake/x.parquet"
