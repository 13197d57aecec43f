"""Requests that give media, from every kind of input to the rows that a worker reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs import inputs, units
from ancestral.jobs.client import Client
from ancestral.jobs.errors import RequestsInvalid, SpecError
from ancestral.jobs.inputs import read_files
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.request_shards import Request, Row, read_rows, write_shards
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.units import Unit
from tests.jobs.bundles import AUTOENCODER, write_bundle

HALVES = [b"BM, the BMP of a three", b"BM, the BMP of a seven"]

Submit = Callable[..., tuple[Job, list[Row]]]


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """submit(spec) is an accepted job that completes digits, and its rows."""
    write_bundle(tmp_path / "model")
    write_bundle(tmp_path / "autoencoder", AUTOENCODER)
    (tmp_path / "halves").mkdir()
    for name, data in zip(("3.png", "7.png"), HALVES, strict=True):
        (tmp_path / "halves" / name).write_bytes(data)
    client = Client(Settings(tmp_path / "home", str(tmp_path / "state")))

    def run(**given: Any) -> tuple[Job, list[Row]]:
        spec = {
            "name": "j",
            "kind": "complete",
            "model": str(tmp_path / "model"),
            "output": str(tmp_path / "lake"),
            **given,
        }
        job = client.submit(spec)
        return job, read_rows(client.store(job.job_id), job, Unit(0, job.rows))

    return run


def write_lines(path: Path, *records: dict[str, Any]) -> str:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return str(path)


def test_units_of_large_media_are_small(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "LARGEST_UNIT_BYTES", 20_000)
    (tmp_path / "large.png").write_bytes(b"BM" * 4500)
    grid = {"label": list(range(10)) * 10, "prefix": [str(tmp_path / "large.png")]}

    assert submit(grid=grid, unit={"rows": 5})[0].unit_rows == 5
    assert submit(grid=grid)[0].unit_rows == 2
    # Samples of one request share what it gave
    assert submit(grid=grid, sampling={"samples": 2})[0].unit_rows == 4


@pytest.mark.parametrize("piece", [None, {"offset": 0, "length": 9}])
def test_a_web_address_with_a_query_in_a_grid_is_refused_as_it_would_be_kept(
    submit: Submit, piece: dict[str, int] | None
) -> None:
    address = "https://host.example/3.png?sig=open-sesame"
    prefix = address if piece is None else {"uri": address, **piece}

    with pytest.raises(SpecError, match=r"^https://host\.example/3\.png: has a query") as caught:
        submit(grid={"label": [3], "prefix": [prefix]})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_every_form_of_input_names_files_from_its_own_folder(
    submit: Submit, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a table beside the folder of files, and a user who is elsewhere
    monkeypatch.chdir("/")
    path = tmp_path / f"r.{form}"
    table = {"label": [3, 7], "prefix": ["halves/3.png", "halves/7.png"]}
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    match form:
        case "jsonl":
            write_lines(path, *rows)
        case "csv":
            path.write_text("label,prefix\n3,halves/3.png\n7,halves/7.png\n")
        case _:
            pq.write_table(pa.table(table), path)

    _, read = submit(input=str(path))

    assert [row.fields["prefix"] for row in read] == [
        MediaValue(data, str(tmp_path / "halves" / name))
        for data, name in zip(HALVES, ("3.png", "7.png"), strict=True)
    ]


def test_a_parquet_file_may_hold_the_bytes_or_pieces_of_packs(
    submit: Submit, tmp_path: Path
) -> None:
    # Given a column of bytes, and one of the kind that our own index gives
    (tmp_path / "pack.tar").write_bytes(b"".join(HALVES))
    pieces = [
        {"uri": "pack.tar", "offset": 0, "length": 22},
        {"uri": str(tmp_path / "pack.tar"), "offset": 22, "length": None},
    ]
    for name, column in (("bytes", HALVES), ("pieces", pieces)):
        table = pa.table({"label": [3, 7], "prefix": column})
        pq.write_table(table, tmp_path / f"{name}.parquet")

        _, read = submit(input=str(tmp_path / f"{name}.parquet"))

        assert [row.fields["prefix"].data for row in read] == HALVES
        uri = None if name == "bytes" else str(tmp_path / "pack.tar")
        assert {row.fields["prefix"].uri for row in read} == {uri}


def test_a_grid_names_files_from_the_working_folder(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "halves")
    grid = {"label": [7], "prefix": ["7.png", {"uri": "3.png", "offset": 8, "length": 3}]}

    job, read = submit(grid=grid, sampling={"samples": 2})

    assert [row.fields["prefix"].data for row in read] == [HALVES[1]] * 2 + [b"BMP"] * 2
    assert list(job.signature["fields"]) == ["label", "prefix", "keep"]


def test_a_job_does_not_depend_on_files_that_change(submit: Submit, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "r.jsonl", {"label": 3, "prefix": "halves/3.png", "keep": 10})
    _, before = submit(input=path)
    (tmp_path / "halves" / "3.png").unlink()
    assert before[0].fields["prefix"].data == HALVES[0]
    assert before[0].fields["keep"] == 10


def test_a_missing_file_is_a_problem_of_its_request(submit: Submit, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "r.jsonl",
        {"label": 3, "prefix": "halves/3.png"},
        {"label": 4, "prefix": "halves/4.png"},
        {"label": 7, "prefix": "halves/7.png"},
    )
    problem = f"{path}, line 2: {tmp_path}/halves/4.png: there is no such file"

    with pytest.raises(RequestsInvalid) as caught:
        submit(input=path)
    assert caught.value.problems == (problem,)

    _, read = submit(input=path, on_invalid="record")
    assert [row.error for row in read] == [None, problem, None]
    assert read[2].fields["prefix"].data == HALVES[1]


@pytest.mark.parametrize("form", ["file", "bytes"])
def test_what_does_not_begin_like_an_image_is_a_problem_of_its_request(
    submit: Submit, tmp_path: Path, form: str
) -> None:
    # Given an image, and a page in which a web server says that it has none
    page = b"<html>not found</html>"
    (tmp_path / "halves" / "7.png").write_bytes(page)
    given = ["halves/3.png", "halves/7.png"] if form == "file" else [HALVES[0], page]
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"label": [3, 7], "prefix": given}), path)
    origin = f"{tmp_path}/halves/7.png" if form == "file" else "'prefix'"
    problem = (
        f"{path}, row 1 counted from 0: {origin}: does not begin like a PNG, WebP, JPEG, GIF or "
        "BMP file"
    )

    with pytest.raises(RequestsInvalid) as caught:
        submit(input=str(path))
    assert caught.value.problems == (problem,)

    _, read = submit(input=str(path), on_invalid="record")
    assert [row.error for row in read] == [None, problem]


def test_what_does_not_go_together_is_a_problem_of_its_request(
    submit: Submit, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "r.jsonl", {"image": "halves/3.png", "fraction": 0.5})
    with pytest.raises(RequestsInvalid, match="'fraction' needs a 'second_image'"):
        submit(input=path, model=str(tmp_path / "autoencoder"), kind="reconstruct")


def test_a_kind_that_the_model_cannot_do_is_refused(submit: Submit, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot do 'kind: complete'"):
        submit(grid={"prefix": ["x"]}, model=str(tmp_path / "autoencoder"))
    assert not (tmp_path / "lake").exists()


def test_a_shard_is_full_when_it_holds_many_bytes(tmp_path: Path) -> None:
    requests = [
        Request(str(number), number, {"prefix": MediaValue(bytes(100)), "label": number})
        for number in range(7)
    ]
    shards = list(write_shards(requests, tmp_path, shard_bytes=300))
    assert [(shard.path.name, shard.first_request, shard.requests) for shard in shards] == [
        ("requests-00000", 0, 3),
        ("requests-00001", 3, 3),
        ("requests-00002", 6, 1),
    ]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows of Parquet files were held at a time."""
    held: list[int] = []
    iter_batches = pq.ParquetFile.iter_batches

    def watched(table: pq.ParquetFile, **given: Any) -> Iterator[pa.RecordBatch]:
        for batch in iter_batches(table, **given):
            held.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    return held


def test_few_rows_of_large_media_are_held_at_a_time(
    tmp_path: Path, held: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a row group that is larger than what may be held
    media = [bytes([number]) * 1000 for number in range(40)]
    path = str(tmp_path / "r.parquet")
    pq.write_table(pa.table({"prefix": media}), path, compression="none", use_dictionary=False)
    monkeypatch.setattr(inputs, "BATCH_BYTES", 5000)

    (records,) = [list(source.records) for source in read_files([path])]

    assert [record.values["prefix"] for record in records] == media
    assert max(held) <= 5


@pytest.mark.parametrize(
    ("value", "most"), [(b"sound" * 1000, 64), ("7.png", 64), ([0.5] * 100, 64), (0.5, 4096)]
)
def test_few_rows_of_one_large_medium_are_held_at_a_time(
    tmp_path: Path, held: list[int], value: object, most: int
) -> None:
    # Given a value that a small file tells many rows of
    path = str(tmp_path / "r.parquet")
    pq.write_table(pa.table({"prefix": [value] * 5000}), path)

    (records,) = [list(source.records) for source in read_files([path])]

    assert [record.values["prefix"] for record in records] == [value] * 5000
    assert max(held) == most
