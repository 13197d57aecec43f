"""Requests: read, checked, seeded; every problem named by its place."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs.errors import RequestsInvalid, SpecError
from ancestral.jobs.request_shards import Request
from ancestral.jobs.requests import (
    TOLD_REQUESTS,
    PreparedRequests,
    derive_seed,
    prepare_requests,
)
from ancestral.jobs.spec import JobSpec, load_spec
from tests.jobs.bundles import DIGITS, SPEECH

Prepare = Callable[..., list[Request]]


def spec_of(**given: Any) -> JobSpec:
    return load_spec({"name": "j", "model": "m", "output": "o", **given})


def requests_in(prepared: PreparedRequests) -> list[Request]:
    """The requests of all shards, read as another program would."""
    rows = [
        row
        for shard in prepared.shards
        for row in pa.ipc.open_file(shard.path.read_bytes()).read_all().to_pylist()
    ]
    return [
        Request(row["request_id"], row["seed"], json.loads(row["fields"]), row["error"])
        for row in rows
    ]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """prepare(signature, **spec) is the list of checked requests."""

    def run(signature: dict[str, Any] = DIGITS, **given: Any) -> list[Request]:
        with TemporaryDirectory() as folder:
            return requests_in(prepare_requests(spec_of(**given), signature, Path(folder)))

    return run


def lines(path: Path, *records: Any) -> str:
    """A JSONL file; a text stands as it is."""
    path.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in records))
    return str(path)


def problems_of(prepare: Prepare, signature: dict[str, Any] = DIGITS, **given: Any) -> list[str]:
    with pytest.raises(RequestsInvalid) as caught:
        prepare(signature, **given)
    assert caught.value.total >= len(caught.value.problems)
    return list(caught.value.problems)


def test_every_format_gives_the_same_requests(prepare: Prepare, tmp_path: Path) -> None:
    speakers, digits, seeds = ["Jean", "Maria", "Jean"], [7, 0, 3], [5, 2**63 - 1, 0]
    names = ["a", "b", "c"]
    table = {"request_id": names, "speaker": speakers, "digit": digits, "seed": seeds}
    pq.write_table(pa.table(table), tmp_path / "r.parquet")
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    lines(tmp_path / "r.jsonl", *rows)
    cells = [",".join(map(str, row.values())) for row in rows]
    (tmp_path / "r.csv").write_text("\n".join([",".join(table), *cells]))
    expected = [
        Request(name, seed, {"speaker": speaker, "digit": digit, "speed": 1.0, "take": 0})
        for name, speaker, digit, seed in zip(names, speakers, digits, seeds, strict=True)
    ]
    for name in ("r.parquet", "r.jsonl", "r.csv"):
        assert prepare(SPEECH, input=str(tmp_path / name)) == expected


def test_a_dictionary_column_and_a_float_column_are_read(prepare: Prepare, tmp_path: Path) -> None:
    speakers = pa.array(["Jean", "Maria"]).dictionary_encode()
    pq.write_table(pa.table({"speaker": speakers, "digit": [7.0, 1.0]}), tmp_path / "r.parquet")
    requests = prepare(SPEECH, input=str(tmp_path / "r.parquet"))
    assert [(each.fields["speaker"], each.fields["digit"]) for each in requests] == [
        ("Jean", 7),
        ("Maria", 1),
    ]


def test_decimals_are_the_numbers_that_they_are(prepare: Prepare, tmp_path: Path) -> None:
    # Given a table by DuckDB, to which every number with a point is a decimal
    path = str(tmp_path / "r.parquet")
    duckdb.sql(
        "SELECT 70.0 AS request_id, 9007199254740993.0 AS seed, 7.0 AS label, 0.5 AS speed, "
        "[0.25, -1.5] AS place"
    ).to_parquet(path)
    assert pa.types.is_decimal(pq.read_schema(path).field("speed").type)
    fields = {
        "label": {"type": "category", "values": [1, 7]},
        "speed": {"type": "number", "maximum": 4},
        "place": {"type": "vector", "length": 2},
    }

    # When
    (request,) = prepare({**DIGITS, "fields": fields}, input=path)

    # Then
    asked = {"label": 7, "speed": 0.5, "place": [0.25, -1.5]}
    assert request == Request("70", 2**53 + 1, asked)


def test_a_glob_counts_on_through_its_files(prepare: Prepare, tmp_path: Path) -> None:
    lines(tmp_path / "b.jsonl", {"label": 2}, {"label": 3})
    lines(tmp_path / "a.jsonl", {"label": 0}, {"label": 1})
    requests = prepare(input=str(tmp_path / "*.jsonl"))
    assert [(each.request_id, each.fields["label"]) for each in requests] == [
        ("0", 0),
        ("1", 1),
        ("2", 2),
        ("3", 3),
    ]


def test_the_inputs_are_kept_with_their_hashes(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", {"label": 0})
    lines(tmp_path / "b.jsonl", {"label": 0})
    spec = spec_of(input=str(tmp_path / "*.jsonl"))
    prepared = prepare_requests(spec, DIGITS, tmp_path)
    assert [Path(each.uri).name for each in prepared.inputs] == ["a.jsonl", "b.jsonl"]
    # printf '{"label": 0}\n' | sha256sum
    expected = "df1b03f902a1c9ce213ec8810f5aa19c9aac39d8f26616afbddeb457a90c3ab3"
    assert {each.sha256 for each in prepared.inputs} == {expected}


@pytest.mark.parametrize("labels", [[3], [11]], ids=["right", "wrong"])
def test_it_is_told_now_and_then_how_many_are_checked(tmp_path: Path, labels: list[int]) -> None:
    spec = spec_of(grid={"label": labels, "seed": list(range(2 * TOLD_REQUESTS + 1))})
    told: list[int] = []

    with suppress(RequestsInvalid):
        prepare_requests(spec, DIGITS, tmp_path, told.append)

    assert told == [TOLD_REQUESTS, 2 * TOLD_REQUESTS]


def test_a_grid_is_numbered(prepare: Prepare) -> None:
    requests = prepare(SPEECH, grid={"digit": [1, 2], "speaker": ["Jean", "Maria"]})
    assert [
        (each.request_id, each.fields["digit"], each.fields["speaker"]) for each in requests
    ] == [("0", 1, "Jean"), ("1", 1, "Maria"), ("2", 2, "Jean"), ("3", 2, "Maria")]


def test_a_grid_may_hold_seeds(prepare: Prepare) -> None:
    requests = prepare(grid={"label": [3], "seed": [10, 11]})
    assert [(each.seed, each.fields) for each in requests] == [
        (10, {"label": 3}),
        (11, {"label": 3}),
    ]


def test_a_model_without_fields_takes_an_empty_grid(prepare: Prepare) -> None:
    (request,) = prepare({**DIGITS, "fields": {}}, grid={})
    assert request == Request("0", derive_seed(0, "0"), {})


@settings(max_examples=25)
@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True),
    seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6, unique=True),
)
def test_a_grid_is_a_cross_product(labels: list[int], seeds: list[int]) -> None:
    with TemporaryDirectory() as folder:
        spec = spec_of(grid={"label": labels, "seed": seeds})
        requests = requests_in(prepare_requests(spec, DIGITS, Path(folder)))
    assert [each.request_id for each in requests] == [
        str(index) for index in range(len(labels) * len(seeds))
    ]
    assert [(each.fields["label"], each.seed) for each in requests] == [
        (label, seed) for label in labels for seed in seeds
    ]


def test_a_derived_seed_is_what_it_was() -> None:
    # The beginning of: printf '\7\0\0\0\0\0\0\0row-17' | b2sum
    assert derive_seed(7, "row-17") == 0x1C7205F3A4B5B92E >> 1


@given(st.integers(0, 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_derived_seed_depends_on_nothing_else(job_seed: int, request_id: str) -> None:
    seed = derive_seed(job_seed, request_id)
    assert 0 <= seed < 2**63
    assert seed == derive_seed(job_seed, request_id)
    assert seed != derive_seed((job_seed + 1) % 2**63, request_id)
    assert seed != derive_seed(job_seed, request_id + "'")


def test_a_null_seed_is_derived(prepare: Prepare, tmp_path: Path) -> None:
    table = pa.table({"label": [1, 2], "seed": pa.array([None, 9], pa.int64())})
    pq.write_table(table, tmp_path / "r.parquet")
    requests = prepare(input=str(tmp_path / "r.parquet"), sampling={"seed": 7})
    assert [each.seed for each in requests] == [derive_seed(7, "0"), 9]


BAD_LINES = [
    ('{"label": 1', "line 2: is not valid JSON (Expecting ',' delimiter"),
    ({}, "line 2: 'label' is missing"),
    ({"label": None}, "line 2: 'label' is missing"),
    ({"label": 10}, "line 2: 'label' should be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not 10"),
    ({"label": "1"}, "line 2: 'label' should be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not '1'"),
    ({"label": 1, "sed": 3}, "line 2: unknown field 'sed'; did you mean 'seed'?"),
    ({"label": 1, "seed": -1}, "line 2: 'seed' should be a whole number in [0, 2**63), not -1"),
    ({"label": 1, "request_id": None}, "line 2: 'request_id' should be a text of 1 to 200"),
    ({"label": 1, "request_id": "first"}, "line 2: has the same request_id as line 1"),
]


@pytest.mark.parametrize(("bad", "sentence"), BAD_LINES)
def test_a_bad_request_rejects_the_job(
    prepare: Prepare, tmp_path: Path, bad: Any, sentence: str
) -> None:
    path = lines(tmp_path / "r.jsonl", {"label": 1, "request_id": "first"}, bad, {"label": 3})
    (problem,) = problems_of(prepare, input=path)
    assert problem.startswith(f"{path}, {sentence}")


@pytest.mark.parametrize(("bad", "sentence"), BAD_LINES)
def test_a_bad_request_can_be_recorded(
    prepare: Prepare, tmp_path: Path, bad: Any, sentence: str
) -> None:
    path = lines(tmp_path / "r.jsonl", {"label": 1, "request_id": "first"}, bad, {"label": 3})
    first, failed, last = prepare(input=path, on_invalid="record")
    assert (first.request_id, first.error) == ("first", None)
    assert (last.request_id, last.fields, last.error) == ("2", {"label": 3}, None)
    assert (failed.error or "").startswith(f"{path}, {sentence}")
    assert failed.fields == {}
    assert len({first.request_id, failed.request_id, last.request_id}) == 3


def test_recorded_requests_keep_a_readable_id(prepare: Prepare, tmp_path: Path) -> None:
    path = lines(
        tmp_path / "r.jsonl",
        {"request_id": "a", "label": 1},
        {"request_id": "b", "label": 99},
        {"request_id": "a", "label": 2},
        {"request_id": "b", "label": 2},
        "{",
        {"label": 99},
    )
    requests = prepare(input=path, on_invalid="record")
    assert [each.request_id for each in requests] == ["a", "b", "a#2", "b#3", "#4", "5"]
    assert [each.error is None for each in requests] == [True, False, False, False, False, False]


def test_recorded_repeats_have_ids_of_their_own(prepare: Prepare, tmp_path: Path) -> None:
    # Given requests whose own ids are what repeats would be called, twice
    ids = ["a", "a#3", "a#3#3", "a", "a"]
    path = lines(tmp_path / "r.jsonl", *({"request_id": each, "label": 1} for each in ids))

    requests = prepare(input=path, on_invalid="record")

    assert [each.request_id for each in requests] == ["a", "a#3", "a#3#3", "a#3#3#3", "a#4"]
    assert [(each.error or "")[len(path) :] for each in requests] == [
        "",
        "",
        "",
        ", line 4: has the same request_id as line 1",
        ", line 5: has the same request_id as line 1",
    ]


def test_all_problems_are_listed_in_order(prepare: Prepare, tmp_path: Path) -> None:
    path = lines(
        tmp_path / "r.jsonl",
        {"request_id": "a", "label": 1},
        {"request_id": "a", "label": 2},
        {"request_id": "c", "label": 77},
    )
    first, second = problems_of(prepare, input=path)
    assert first == f"{path}, line 2: has the same request_id as line 1"
    assert second.startswith(f"{path}, line 3: 'label' should be one of")


def test_the_first_hundred_problems_are_shown_and_all_counted(
    prepare: Prepare, tmp_path: Path
) -> None:
    path = lines(tmp_path / "r.jsonl", *({"label": 10} for _ in range(250)))
    with pytest.raises(RequestsInvalid) as caught:
        prepare(input=path)
    assert caught.value.total == 250
    assert len(caught.value.problems) == 100
    assert "(and 249 more)" in str(caught.value)


def test_the_first_hundred_repeats_are_shown_and_all_counted(
    prepare: Prepare, tmp_path: Path
) -> None:
    # Given a wrong request after many that repeat an id
    repeats = ({"request_id": "a", "label": 1} for _ in range(251))
    path = lines(tmp_path / "r.jsonl", *repeats, {"label": 10})
    with pytest.raises(RequestsInvalid) as caught:
        prepare(input=path)
    assert caught.value.total == 251
    assert list(caught.value.problems) == [
        f"{path}, line {number}: has the same request_id as line 1" for number in range(2, 102)
    ]


def test_a_duplicate_in_another_file_names_both(prepare: Prepare, tmp_path: Path) -> None:
    first = lines(tmp_path / "a.jsonl", {"label": 1}, {"request_id": "x", "label": 1})
    second = lines(tmp_path / "b.jsonl", "", {"request_id": "x", "label": 1})
    (problem,) = problems_of(prepare, input=str(tmp_path / "*.jsonl"))
    assert problem == f"{second}, line 2: has the same request_id as line 2 of {first}"


def test_an_id_that_equals_an_index_is_a_duplicate(prepare: Prepare, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", {"request_id": 1, "label": 1}, {"label": 1})
    (problem,) = problems_of(prepare, input=path)
    assert "line 2: has the same request_id as line 1" in problem


@pytest.mark.parametrize("on_invalid", ["reject", "record"])
@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"label": [1], "sed": [2]}, "has an unknown column 'sed'; did you mean 'seed'?"),
        ({"request_id": ["a"]}, "the column 'label' is missing"),
    ],
)
def test_a_table_with_wrong_columns_always_rejects(
    prepare: Prepare,
    tmp_path: Path,
    on_invalid: str,
    columns: dict[str, list[Any]],
    sentence: str,
) -> None:
    path = str(tmp_path / "r.parquet")
    pq.write_table(pa.table(columns), path)
    (problem,) = problems_of(prepare, input=path, on_invalid=on_invalid)
    assert problem == f"{path}: {sentence}"


def test_parquet_rows_are_counted_from_zero(prepare: Prepare, tmp_path: Path) -> None:
    path = str(tmp_path / "r.parquet")
    pq.write_table(pa.table({"label": pa.array([1, None, 2], pa.int8())}), path)
    (problem,) = problems_of(prepare, input=path)
    assert problem == f"{path}, row 1 counted from 0: 'label' is missing"


def test_csv_is_typed_by_the_signature(prepare: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("label,seed\nseven,1\n7,x\n\n8,\n")
    first, second = problems_of(prepare, input=str(path))
    assert first.startswith(f"{path}, line 2: 'label' should be one of")
    assert second == f"{path}, line 3: 'seed' should be a whole number in [0, 2**63), not 'x'"


def test_a_seed_that_a_table_may_have_rounded_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"label,seed\n7,{2.0**53}\n8,\n9,{2**53 + 1}\n")
    (problem,) = problems_of(prepare, input=str(path))
    assert problem == (
        f"{path}, line 2: 'seed' should be a whole number in [0, 2**63), not 9007199254740992.0; "
        "floats are rounded from 2**53 on: give it as an integer"
    )


def test_an_input_without_requests_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl")
    assert problems_of(prepare, input=path) == [f"{path}: holds no request"]


def test_an_absent_input_is_named(prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.jsonl: there is no such file"):
        prepare(input=str(tmp_path / "none.jsonl"))


def test_a_duplicate_among_many_is_found(prepare: Prepare, tmp_path: Path) -> None:
    count, again, first = 70_000, 66_000, 17
    names = [f"row-{index}" for index in range(count)]
    names[again] = names[first]
    path = str(tmp_path / "r.parquet")
    labels = pa.array([1] * count, pa.int8())
    pq.write_table(pa.table({"request_id": names, "label": labels}), path)
    (problem,) = problems_of(prepare, input=path)
    assert problem == (
        f"{path}, row 66000 counted from 0: has the same request_id as row 17 counted from 0"
    )
    requests = prepare(input=path, on_invalid="record")
    assert [index for index, each in enumerate(requests) if each.error] == [again]
    assert requests[again].request_id == "row-17#66000"
    assert len({each.request_id for each in requests}) == count
