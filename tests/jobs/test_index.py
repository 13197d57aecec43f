"""The columns of the index, and the parts that hold it."""

import dataclasses
import hashlib
import json
import struct
from collections.abc import Callable
from datetime import UTC, timedelta
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.index import (
    ATTEMPT_FIELDS,
    IDENTITY_FIELDS,
    IndexRow,
    decode_part,
    encode_part,
    read_part,
    schema,
)
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit

PLAIN = {"medium": "image", "levels": 16, "shape": [20, 20], "fields": {}}

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
optional_texts = st.none() | texts
whole, small = st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**31 - 1)
reals = st.floats(allow_nan=False)

index_rows = st.builds(
    IndexRow,
    request_id=texts,
    sample=small,
    ordinal=st.integers(0, 2**40),
    job_id=texts,
    status=st.sampled_from(["ok", "failed", "rejected"]),
    kind=texts,
    model=texts,
    model_digest=texts,
    numerics=texts,
    seed=whole,
    temperature=reals,
    conditioning=st.dictionaries(texts, st.none() | texts | whole, max_size=3),
    worker=texts,
    device=texts,
    attempt=texts,
    created_at=st.datetimes(timezones=st.just(UTC)),
    error=optional_texts,
    uri=optional_texts,
    offset=st.none() | whole,
    width=st.none() | small,
    frames=st.none() | whole,
    top_k=st.none() | small,
    top_p=st.none() | reals,
    log_likelihood_nats=st.none() | reals,
)


def test_numbers_and_names_of_fields_never_change() -> None:
    numbers = {field.number: field.name for field in (*IDENTITY_FIELDS, *ATTEMPT_FIELDS)}
    assert numbers == dict(
        enumerate(
            "request_id sample ordinal job_id status error kind model model_digest numerics "
            "media_type uri offset length sha256 symbols_sha256 width height channels frames "
            "sample_rate_hz duration_seconds seed temperature top_k top_p conditioning "
            "log_likelihood_nats likelihood_kind bits_per_dim "
            "worker device attempt created_at sampling_seconds".split(),
            start=1,
        )
    )


def test_a_row_has_exactly_the_columns_of_the_schema() -> None:
    names = [field.name for field in dataclasses.fields(IndexRow)]
    assert sorted(names) == sorted(schema(PLAIN).names)


def test_conditioning_has_typed_columns(make_job: Callable[..., Job]) -> None:
    columns = schema(make_job(1, 1).signature)
    assert columns.field("condition_label").type == pa.int64()
    assert columns.field("condition_style").type == pa.string()
    assert columns.field("condition_slant").type == pa.float64()
    assert columns.field("condition_size").type == pa.int64()
    assert columns.field("condition_label").metadata[b"meaning"] == b"the digit"


def test_parquet_keeps_the_numbers(make_job: Callable[..., Job]) -> None:
    columns = schema(make_job(1, 1).signature)
    file = BytesIO()
    pq.write_table(columns.empty_table(), file)
    written = pq.read_schema(file)
    numbers = {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in written}
    assert numbers["request_id"] == 1
    assert numbers["sampling_seconds"] == 35
    assert len(set(numbers.values())) == len(columns)


def test_a_condition_has_one_number_in_every_job() -> None:
    # Given jobs of two kinds, in whose signatures a field stands at different places
    label = {"type": "category", "values": [0, 1]}
    several = schema({**PLAIN, "fields": {"artifact": {"type": "media"}, "label": label}})
    alone = schema({**PLAIN, "fields": {"label": label}})

    # Then it has one number in both, for ever, and no other field has it
    def number(columns: pa.Schema, name: str) -> bytes:
        return bytes(columns.field(name).metadata[b"PARQUET:field_id"])

    assert number(several, "condition_label") == number(alone, "condition_label") == b"245847249"
    assert number(several, "condition_artifact") != number(alone, "condition_label")


@given(st.lists(index_rows, max_size=5, unique_by=lambda row: row.ordinal))
def test_a_part_holds_its_rows_by_rising_ordinals(rows: list[IndexRow]) -> None:
    part = decode_part(encode_part(rows, PLAIN)).to_pylist()
    expected = [dataclasses.asdict(row) for row in sorted(rows, key=lambda row: row.ordinal)]
    for row in part:
        row["conditioning"] = json.loads(row["conditioning"])
    assert part == expected


@given(
    st.lists(index_rows, max_size=5, unique_by=lambda row: row.ordinal).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(rows))
    )
)
def test_equal_rows_make_equal_bytes(pair: tuple[list[IndexRow], list[IndexRow]]) -> None:
    assert encode_part(pair[0], PLAIN) == encode_part(pair[1], PLAIN)


def test_conditioning_is_json_and_typed(
    make_job: Callable[..., Job], make_row: Callable[..., IndexRow]
) -> None:
    job = make_job(2, 2)
    fields = {"style": "thin", "label": 7, "slant": -0.25, "size": 2**62}
    rows = [make_row(job, 0, conditioning=fields), make_row(job, 1, conditioning={})]
    one, other = decode_part(encode_part(rows, job.signature)).to_pylist()
    assert one["conditioning"] == (
        '{"label":7,"size":4611686018427387904,"slant":-0.25,"style":"thin"}'
    )
    assert {name: one[f"condition_{name}"] for name in fields} == fields
    assert other["conditioning"] == "{}"
    assert {other[f"condition_{name}"] for name in fields} == {None}


def test_an_error_that_is_no_unicode_costs_no_unit(
    make_job: Callable[..., Job], make_row: Callable[..., IndexRow]
) -> None:
    row = make_row(make_job(1, 1), 0, status="failed", error="cannot read 'caf\udce9.wav'")
    part = decode_part(encode_part([row], make_job(1, 1).signature))
    assert part["error"].to_pylist() == ["cannot read 'caf?.wav'"]


def test_a_row_without_what_it_must_have_is_not_written(
    make_job: Callable[..., Job], make_row: Callable[..., IndexRow]
) -> None:
    row = make_row(make_job(1, 1), 0, seed=None)
    with pytest.raises(ValueError, match="has no seed"):
        encode_part([row], make_job(1, 1).signature)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"ARROW1\0\0 and then nothing of the kind"])
def test_what_is_no_part_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptObject):
        decode_part(data)


def test_a_committed_part_is_read(
    local_store: Store, make_job: Callable[..., Job], commit: Callable[..., RowsRecord]
) -> None:
    job = make_job(10, 5)
    record = commit(local_store, job, Unit(5, 10), "oofro")
    table = read_part(local_store, record, job.signature)
    assert table["ordinal"].to_pylist() == [5, 6, 7, 8, 9]
    assert table["status"].to_pylist() == ["ok", "ok", "failed", "rejected", "ok"]


def test_a_part_that_is_not_as_its_record_says_is_corrupt(
    local_store: Store, make_job: Callable[..., Job], commit: Callable[..., RowsRecord]
) -> None:
    job = make_job(10, 5)
    record = commit(local_store, job, Unit(5, 10), "oofro")
    # Other rows, other statuses, other columns
    for changes, signature in [
        ({"start": 6, "end": 11}, job.signature),
        ({"statuses": "ooooo"}, job.signature),
        ({}, PLAIN),
    ]:
        wrong = dataclasses.replace(record, **changes)
        with pytest.raises(CorruptObject):
            read_part(local_store, wrong, signature)
    # Other bytes under the same name, though they are a sound part
    local_store.put(record.index_part.path, encode_part([], job.signature))
    with pytest.raises(CorruptObject, match="not what was written"):
        read_part(local_store, record, job.signature)


def test_created_at_keeps_its_microseconds(
    make_job: Callable[..., Job], make_row: Callable[..., IndexRow]
) -> None:
    job = make_job(1, 1)
    moment = make_row(job, 0).created_at + timedelta(microseconds=7)
    part = decode_part(encode_part([make_row(job, 0, created_at=moment)], job.signature))
    assert part["created_at"].to_pylist() == [moment]


def test_media_and_numbers_have_typed_columns(
    make_job: Callable[..., Job], make_row: Callable[..., IndexRow]
) -> None:
    fields = {
        "prefix": {"type": "media"},
        "latent": {"type": "vector", "length": 2},
        "place": {"type": "map", "shape": [1, 1, 2], "default": None},
        "mixed": {"type": "category", "values": ["a", 7]},
    }
    job = make_job(2, 2).model_copy(update={"signature": {**PLAIN, "fields": fields}})
    value, numbers = MediaValue(b"half", "/half.png"), [[[0.5, 1.5]]]
    given = {"prefix": value, "latent": [0.5, -1.0], "place": numbers, "mixed": 7}
    rows = [
        make_row(job, 0, conditioning=given),
        make_row(job, 1, conditioning={**given, "place": None, "mixed": "a"}),
    ]

    table = decode_part(encode_part(rows, job.signature))

    assert table.schema.field("condition_latent").type == pa.list_(pa.float64())
    assert table["condition_latent"].to_pylist() == [[0.5, -1.0]] * 2
    assert table["condition_prefix"].to_pylist() == [value.sha256] * 2
    place = hashlib.sha256(struct.pack("<2d", 0.5, 1.5)).hexdigest()
    assert table["condition_place"].to_pylist() == [place, None]
    assert table["condition_mixed"].to_pylist() == ["7", "a"]
    first, second = map(json.loads, table["conditioning"].to_pylist())
    assert first == {
        "prefix": {"uri": "/half.png", "sha256": value.sha256},
        "latent": [0.5, -1.0],
        "place": {"sha256": place},
        "mixed": 7,
    }
    assert (second["place"], second["mixed"]) == (None, "a")
