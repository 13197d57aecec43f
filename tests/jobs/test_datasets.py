"""Training tables in a stream."""

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.datasets import (
    RowGroup,
    is_file,
    read_group,
    read_table,
    row_groups,
    split_sizes,
)
from ancestral.jobs.errors import SpecError


@pytest.fixture
def table(tmp_path: Path) -> str:
    """300 rows, every third of them for testing."""
    columns = {
        "image": pa.array([bytes([row % 256] * 4) for row in range(300)], pa.binary(4)),
        "label": pa.array([row % 10 for row in range(300)], pa.int8()),
        "split": ["test" if row % 3 == 0 else "train" for row in range(300)],
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


@pytest.mark.parametrize("row_group_size", [7, 70, 1000])
def test_rows_of_a_split_are_read_in_any_part(tmp_path: Path, row_group_size: int) -> None:
    # Given two files, whose first rows are for testing alone
    numbers = [list(range(100)), list(range(100, 250))]
    for file, rows in enumerate(numbers):
        splits = ["test" if row < 20 or row % 3 == 0 else "train" for row in rows]
        table = pa.table({"row": rows, "split": splits, "sound": [bytes(50)] * len(rows)})
        pq.write_table(table, tmp_path / f"{file}.parquet", row_group_size=row_group_size)

    groups = row_groups(f"{tmp_path}/*.parquet", ["row"], split="train")

    # Then all are found in order, and each part is what it is of the whole
    expected = [row for row in range(20, 250) if row % 3]
    assert [row for group in groups for row in read(group, 0, len(group))] == expected
    for group in groups:
        whole = read(group, 0, len(group))
        for start, stop in ((0, 1), (1, len(group)), (len(group) // 2, len(group) - 1)):
            assert read(group, start, stop) == whole[start:stop]


def test_rows_of_every_split_are_counted(tmp_path: Path) -> None:
    for file, splits in (("a", ["train", "trian", None]), ("b", ["test", "train", "train"])):
        table = pa.table({"split": pa.array(splits).dictionary_encode()})
        pq.write_table(table, tmp_path / f"{file}.parquet", row_group_size=2)

    assert split_sizes(f"{tmp_path}/*.parquet") == {"train": 3, "trian": 1, None: 1, "test": 1}


def read(group: RowGroup, start: int, stop: int) -> list[int]:
    return [row["row"] for row in read_group(group, ["row"], start, stop)]


def test_what_a_group_holds_is_that_of_the_columns_that_are_wanted(tmp_path: Path) -> None:
    rows = 1000
    columns = {
        "sound": pa.array([bytes([row % 256]) * 100 for row in range(rows)]),
        "other": list(range(rows)),
        "split": ["train" if row % 4 else "test" for row in range(rows)],
    }
    path = str(tmp_path / "table.parquet")
    pq.write_table(pa.table(columns), path, use_dictionary=["split"], row_group_size=rows)

    [group] = row_groups(path, ["sound"], split="train")

    assert (group.number, len(group)) == (0, 750)
    assert group.bytes == pytest.approx(750 * 104, rel=0.02)


def test_rows_without_a_split_are_of_none(tmp_path: Path) -> None:
    table = pa.table({"row": [0, 1, 2], "split": ["train", None, "train"]})
    pq.write_table(table, tmp_path / "table.parquet")

    [group] = row_groups(str(tmp_path / "table.parquet"), ["row"], split="train")

    assert read(group, 0, 2) == [0, 2]


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_texts_of_any_type_tell_splits(tmp_path: Path, kind: pa.DataType) -> None:
    splits = pa.array(["train", "test", "train", None]).cast(kind)
    path = str(tmp_path / "table.parquet")
    pq.write_table(pa.table({"row": [0, 1, 2, 3], "split": splits}), path)

    assert split_sizes(path) == {"train": 2, "test": 1, None: 1}
    assert [read(group, 0, 2) for group in row_groups(path, ["row"], split="train")] == [[0, 2]]
    assert [row["row"] for row in read_table(path, ["row"], split="train")] == [0, 2]


@pytest.mark.parametrize("splits", [[0, 1], [True, False], [b"train", b"test"]], ids=str)
def test_splits_that_are_no_texts_are_named(tmp_path: Path, splits: list[object]) -> None:
    table = pa.table({"row": [0, 1], "split": splits})
    path = str(tmp_path / "table.parquet")
    pq.write_table(table, path)
    sentence = (
        f"{path}: the column 'split' holds {table.schema.field('split').type}, and should hold "
        "texts like 'train' and 'test'"
    )

    for read_split in (row_groups, read_table):
        with pytest.raises(SpecError) as caught:
            list(read_split(path, ["row"], split="train"))
        assert str(caught.value) == sentence
    assert len(list(read_table(path, ["row", "split"]))) == 2


def test_groups_of_what_is_missing_are_named(table: str) -> None:
    with pytest.raises(SpecError, match="has no column 'lable'; did you mean 'label'"):
        row_groups(table, ["lable"], split="train")
    with pytest.raises(SpecError, match="has no row where split is 'validation'"):
        row_groups(table, ["label"], split="validation")


def test_a_bucket_is_read_in_parts(table: str) -> None:
    with fsspec.open("memory://parts/digits.parquet", "wb") as file:
        file.write(Path(table).read_bytes())

    groups = row_groups("memory://parts/digits.parquet", ["label"], split="test")

    labels = [row["label"] for row in read_group(groups[2], ["label"], 3, 6)]
    assert len(groups) == 5
    assert labels == [row % 10 for row in range(140, 210) if row % 3 == 0][3:6]


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
    known = "has no row where split is 'validation'; known are test, train"
    assert str(caught.value) == f"{table}: {known}"
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
