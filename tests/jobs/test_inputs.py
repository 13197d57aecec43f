"""Inputs: every format as the same stream of records, each with its place."""

import gzip
import hashlib
import lzma
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.errors import SpecError, StoreUnavailable
from ancestral.jobs.inputs import LONGEST_LINE_BYTES, expand, hash_file, read_files, read_grid
from tests.faults.proxy import HttpProxy, Refusal
from tests.jobs.web import Quiet, serving

Write = Callable[[str, bytes | str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(name, content) makes a file and returns its path."""

    def make(name: str, content: bytes | str) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return make


def parquet(path: str, columns: dict[str, Any]) -> str:
    pq.write_table(pa.table(columns), path)
    return path


def places_and_values(path: str) -> list[tuple[str, dict[str, Any], str | None]]:
    (source,) = [
        [(source.place(each.number), each.values, each.problem) for each in source.records]
        for source in read_files([path])
    ]
    return source


def test_jsonl_counts_lines_from_one_and_skips_blank_ones(write: Write) -> None:
    path = write("r.jsonl", '\ufeff{"label": 1}\n\n  \n{"label": 2}')
    assert places_and_values(path) == [
        (f"{path}, line 1", {"label": 1}, None),
        (f"{path}, line 4", {"label": 2}, None),
    ]


def test_csv_counts_lines_and_gives_texts(write: Write) -> None:
    path = write("r.csv", '\ufefflabel,note\r\n1,"two\r\nlines"\r\n\r\n2,x\r\n')
    (source,) = read_files([path])
    assert source.columns == ("label", "note")
    assert source.texts
    assert places_and_values(path) == [
        (f"{path}, line 2", {"label": "1", "note": "two\r\nlines"}, None),
        (f"{path}, line 5", {"label": "2", "note": "x"}, None),
    ]


def test_parquet_counts_rows_from_zero(tmp_path: Path) -> None:
    path = parquet(str(tmp_path / "r.parquet"), {"label": range(10_000)})
    records = places_and_values(path)
    assert len(records) == 10_000
    assert records[0] == (f"{path}, row 0 counted from 0", {"label": 0}, None)
    assert records[-1] == (f"{path}, row 9999 counted from 0", {"label": 9999}, None)


def test_the_labels_of_the_rows_of_a_pandas_frame_are_left_out(tmp_path: Path) -> None:
    # Given a frame that was filtered, so that its rows are not labelled 0, 1, 2 any more
    path, frame = str(tmp_path / "r.parquet"), pd.DataFrame({"label": range(4)})
    frame[frame.label != 2].to_parquet(path)
    assert "__index_level_0__" in pq.read_schema(path).names

    (source,) = [(each.columns, list(each.records)) for each in read_files([path])]

    assert source[0] == ("label",)
    assert [record.values for record in source[1]] == [{"label": 0}, {"label": 1}, {"label": 3}]


def test_compressed_text_is_read(write: Write) -> None:
    path = write("r.jsonl.gz", gzip.compress(b'{"label": 1}\n'))
    assert places_and_values(path) == [(f"{path}, line 1", {"label": 1}, None)]


def test_files_anywhere_are_read() -> None:
    with fsspec.open("memory://inputs/r.csv", "wb") as file:
        file.write(b"label\n3\n")
    assert places_and_values("memory://inputs/r.csv") == [
        ("memory://inputs/r.csv, line 2", {"label": "3"}, None)
    ]
    assert expand("memory://inputs/*.csv") == ["memory:///inputs/r.csv"]
    assert places_and_values("memory:///inputs/r.csv")[0][1] == {"label": "3"}


@pytest.mark.s3
def test_files_in_a_bucket_are_read(s3_server: str) -> None:
    for name in ("a", "b"):
        with fsspec.open(f"s3://ancestral-tests/inputs/{name}.jsonl", "wb") as file:
            file.write(f'{{"label": "{name}"}}\n'.encode() * 3)
    found = expand("s3://ancestral-tests/inputs/*.jsonl")
    assert found == [f"s3://ancestral-tests/inputs/{name}.jsonl" for name in ("a", "b")]
    labels = [each.values["label"] for source in read_files(found) for each in source.records]
    assert labels == ["a"] * 3 + ["b"] * 3


@pytest.mark.s3
def test_an_absent_file_in_a_bucket_is_named(s3_server: str) -> None:
    with pytest.raises(SpecError, match=r"s3://ancestral-tests/none\.csv: there is no such file"):
        expand("s3://ancestral-tests/none.csv")


@pytest.mark.s3
def test_a_bucket_without_credentials_is_named(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        with pytest.raises(SpecError, match=r"s3://ancestral-tests/r\.csv: cannot be read: there"):
            expand("s3://ancestral-tests/r.csv")
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.s3
def test_a_bucket_that_does_not_answer_is_no_fault_of_the_job(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with HttpProxy(s3_server, lambda method, path: Refusal(500, "InternalError")) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(StoreUnavailable, match="cannot be read: the store is in trouble"):
            expand("s3://ancestral-tests/r.csv")
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"label": 1', "is not valid JSON (Expecting ',' delimiter: column 12)"),
        (
            b'{"label": 1,',
            "is not valid JSON (Expecting property name enclosed in double quotes: co",
        ),
        (b"[1, 2]", "should be a JSON object, not [1, 2]"),
        (b'{"label": "\xff"}', "is not text in UTF-8: save the file as UTF-8"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"label": ' + b"9" * 5000 + b"}", "is not valid JSON ("),
        (b'{"label": 7, "label": 3}', "is not valid JSON (the key 'label' is given twice)"),
        (b'{"prefix": {"uri": "a", "uri": "b"}}', "is not valid JSON (the key 'uri' is given"),
    ],
)
def test_a_broken_line_is_a_problem_of_its_own(write: Write, line: bytes, problem: str) -> None:
    path = write("r.jsonl", b'{"label": 1}\n' + line + b'\n{"label": 2}\n')
    first, broken, last = places_and_values(path)
    assert (first[1], last[1]) == ({"label": 1}, {"label": 2})
    assert broken[0] == f"{path}, line 2"
    assert (broken[2] or "").startswith(problem)


def test_a_csv_cell_may_be_long(write: Write) -> None:
    path = write("r.csv", f"label,note\n1,{'x' * 200_000}\n")
    [(_, values, problem)] = places_and_values(path)
    assert (len(values["note"]), problem) == (200_000, None)


def test_a_csv_line_with_too_few_cells_is_a_problem_of_its_own(write: Write) -> None:
    path = write("r.csv", 'label,note\n"1\n"\n2,x\n')
    first, second = places_and_values(path)
    assert first == (f"{path}, line 2", {}, "has 1 cell where the header has 2")
    assert second == (f"{path}, line 4", {"label": "2", "note": "x"}, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.parquet", b"this is no Parquet"),
        ("r.csv", b'label\n"open quote\n'),
        ("r.csv", b"label\n\xff\xfe\n"),
        ("r.csv.gz", b"this is no gzip"),
        ("r.csv.xz", b"this is no xz"),
        ("r.jsonl.xz", lzma.compress(b'{"label": 1}\n')[:30] + bytes(30)),
        ("r.jsonl.gz", gzip.compress(b'{"label": 1}\n' * 10_000, mtime=0)[:-20]),
        ("r.jsonl", b" " * (LONGEST_LINE_BYTES + 1)),
    ],
)
def test_a_broken_file_is_named(write: Write, name: str, content: bytes) -> None:
    path = write(name, content)
    with pytest.raises(SpecError) as caught:
        places_and_values(path)
    assert str(caught.value).startswith(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_of_another_encoding_says_what_to_do(write: Write, encoding: str) -> None:
    path = write("r.csv", "label,name\n1,Zo\xeb\n".encode(encoding))
    with pytest.raises(SpecError) as caught:
        places_and_values(path)
    assert str(caught.value) == f"{path}: is not text in UTF-8: save it as UTF-8"


def test_a_parquet_file_that_breaks_off_inside_is_named(tmp_path: Path) -> None:
    path = parquet(str(tmp_path / "r.parquet"), {"label": os.urandom(50_000).hex().split("0")})
    data = bytearray(Path(path).read_bytes())
    data[100:2000] = bytes(1900)
    Path(path).write_bytes(data)
    with pytest.raises(SpecError) as caught:
        places_and_values(path)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize("content", ["", "\n", "\n1\n"])
def test_a_csv_that_names_no_columns_is_named(write: Write, content: str) -> None:
    path = write("r.csv", content)
    with pytest.raises(SpecError) as caught:
        places_and_values(path)
    assert str(caught.value) == f"{path}, line 1: should name the columns, and is empty"


@pytest.mark.parametrize("name", ["requests.txt", "requests.csv.zst"])
def test_the_name_says_how_a_file_is_read(write: Write, name: str) -> None:
    path = write(name, "label\n1\n")
    with pytest.raises(SpecError) as caught:
        places_and_values(path)
    assert f"{path}: its name should end in one of .parquet, .pq, .jsonl" in str(caught.value)


@pytest.fixture
def forbidding() -> Iterator[str]:
    """The URL of a web server that shows nothing to anybody, and sends /away elsewhere."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            away = self.path.startswith("/away")
            self.send_response(302 if away else 403)
            self.send_header("Location", "/file?token=open-sesame")
            self.end_headers()

    with serving(Handler) as url:
        yield url


@pytest.mark.parametrize("name", ["r.csv", "away/r.csv"])
def test_what_a_web_server_refuses_is_named(forbidding: str, name: str) -> None:
    with pytest.raises(SpecError) as caught:
        expand(f"{forbidding}/{name}")
    assert str(caught.value) == f"{forbidding}/{name}: cannot be read (HTTP status 403)"


def test_a_glob_is_its_files_by_name(write: Write, tmp_path: Path) -> None:
    paths = [write(f"part-{name}.csv", "label\n1\n") for name in ("b", "a", "c")]
    assert expand(str(tmp_path / "part-*.csv")) == sorted(paths)


def test_a_file_whose_name_looks_like_a_glob_is_itself(write: Write) -> None:
    path = write("part[1].csv", "label\n1\n")
    assert expand(path) == [path]
    assert expand(path.replace("part[", "p*t[[]")) == [path]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for name, told in (
        ("none.csv", "there is no such file"),
        ("none-*.csv", "no file matches"),
        ("none?.csv", "no file matches"),
        ("none[1].csv", "no file matches; of a file's own name, [ is written [[]"),
    ):
        with pytest.raises(SpecError) as caught:
            expand(str(tmp_path / name))
        assert str(caught.value) == f"{tmp_path}/{name}: {told}"
    with pytest.raises(SpecError, match="is a folder; name a file"):
        expand(str(tmp_path))
    with pytest.raises(SpecError, match="cannot be read"):
        expand("nonsense://x/y.csv")


@pytest.mark.parametrize(
    "uri", ["{}?X-Signature=open-sesame", "zip://r.csv::{}?sig=open-sesame&name=r.csv"]
)
def test_a_web_address_with_a_query_is_refused_and_its_query_not_told(uri: str) -> None:
    # Given an address whose query may be what opens it
    address = "https://host.example/R.csv"
    with pytest.raises(SpecError) as caught:
        expand(uri.format(address))
    assert str(caught.value).startswith(f"{address}: has a query, which may hold a signature and")
    assert "sesame" not in str(caught.value)


def test_a_file_that_goes_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no such file"):
        list(read_files([str(tmp_path / "none.csv")]))


def test_a_hash_is_that_of_the_stored_bytes(write: Write) -> None:
    content = os.urandom(3 * 2**20 + 7)
    assert hash_file(write("r.jsonl.gz", content)) == hashlib.sha256(content).hexdigest()


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=1, max_size=5), max_size=4
    )
)
def test_a_grid_is_every_combination_the_last_key_fastest(grid: dict[str, list[int]]) -> None:
    source = read_grid(grid)
    records = list(source.records)
    strides = []
    size = 1
    for values in reversed(grid.values()):
        strides.insert(0, size)
        size *= len(values)
    assert len(records) == size
    for number, record in enumerate(records):
        assert record.number == number
        assert record.values == {
            key: values[number // stride % len(values)]
            for (key, values), stride in zip(grid.items(), strides, strict=True)
        }


def test_a_grid_names_its_requests() -> None:
    assert read_grid({"a": [1]}).place(5) == "the grid, request 5 counted from 0"


@pytest.mark.parametrize(("own", "then"), [(2**17, LONGEST_LINE_BYTES), (2**40, 2**40)])
def test_the_limit_of_cells_is_never_lowered_for_the_whole_process(own: int, then: int) -> None:
    code = (
        f"import csv; csv.field_size_limit({own}); "
        "import ancestral.jobs.inputs; print(csv.field_size_limit())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) == then
