"""Training tables in a stream."""

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.datasets import is_file, read_table
from ancestral.jobs.errors import SpecError


@pytest.fixture
def table(tmp_path: Path) -> str:
    """300 rows, every third of them for testing."""
    columns = {
        "image": pa.array([bytes([row % 256] * 4) for row in range(300)], pa.binary(4)),
        "label": pa.array([row % 10 for row in range(300)], pa.int8()),
        "split": ["test" if row % 3 == 0 else "train" for row in range(300)],
        "license": ["CC0"] * 300,
    }
    path = str(tmp_path / "digits.parquet")
    pq.write_table(pa.table(columns), path, row_group_size=70)
    return path


def test_rows_come_in_order_with_the_columns_asked_for(table: str) -> None:
    rows = list(read_table(table, ["label", "image"]))
    assert rows == [{"label": row % 10, "image": bytes([row % 256] * 4)} for row in range(300)]


def test_a_split_is_its_rows(table: str) -> None:
    labels = [row["label"] for row in read_table(table, ["label"], split="test")]
    assert labels == [row % 10 for row in range(0, 300, 3)]
    (row,) = {tuple(row) for row in read_table(table, ["label"], split="train")}
    assert row == ("label",)


def test_the_column_of_the_split_can_be_asked_for_too(table: str) -> None:
    rows = list(read_table(table, ["split"], split="test"))
    assert rows == [{"split": "test"}] * 100


def test_another_column_can_split(table: str) -> None:
    rows = list(read_table(table, ["split"], split="CC0", split_column="license"))
    assert len(rows) == 300


def test_a_glob_and_a_uri_are_read(tmp_path: Path) -> None:
    for name, label in (("b", 2), ("a", 1)):
        pq.write_table(pa.table({"label": [label]}), tmp_path / f"{name}.parquet")
        with fsspec.open(f"memory://train/{name}.parquet", "wb") as file:
            file.write((tmp_path / f"{name}.parquet").read_bytes())
    for uri in (f"{tmp_path}/*.parquet", "memory://train/*.parquet"):
        assert list(read_table(uri, ["label"])) == [{"label": 1}, {"label": 2}]


def test_what_is_missing_is_named(table: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        list(read_table(table, ["lable"]))
    assert str(caught.value) == f"{table}: has no column 'lable'; did you mean 'label'?"
    with pytest.raises(SpecError) as caught:
        list(read_table(table, ["label"], split="validation"))
    assert str(caught.value) == f"{table}: has no row where split is 'validation'"
    with pytest.raises(SpecError, match="there is no such file"):
        list(read_table(str(tmp_path / "none.parquet"), ["label"]))


def test_a_table_without_rows_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "empty.parquet")
    pq.write_table(pa.table({"label": pa.array([], pa.int8())}), path)
    with pytest.raises(SpecError, match=r"has no row$"):
        list(read_table(path, ["label"]))


def test_what_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "digits.parquet"
    path.write_text("label\n1\n")
    with pytest.raises(SpecError) as caught:
        list(read_table(str(path), ["label"]))
    assert str(caught.value).startswith(f"{path}: is broken (")


def test_a_file_is_there_or_is_not(table: str, tmp_path: Path) -> None:
    assert is_file(table) and is_file(f"file://{table}")
    assert not is_file(str(tmp_path)) and not is_file(f"{table}x")
    with pytest.raises(SpecError, match="cannot be read"):
        is_file("no-such-scheme://lake/x.parquet")
