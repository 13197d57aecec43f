"""Range records: what they hold, and what is no record."""

import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.records import (
    FileFact,
    RangeRecord,
    RowsRecord,
    SplitRecord,
    parse_record,
    read_verified,
)
from ancestral.jobs.store import open_store
from ancestral.jobs.units import RowCounts

ROWS = RowsRecord(
    start=10,
    end=14,
    attempt="a" * 32,
    worker="ann",
    device="cpu",
    numerics="x86-64/reference/float32",
    model_digest="d" * 64,
    code_version="0.1.0",
    statuses="oofr",
    index_part=FileFact.of("_jobs/j/attempts/10-14-aaaaaaaa", b"part"),
    packs=(FileFact.of("packs/j/10-14-aaaaaaaa.tar", b"pack"),),
    created_at=datetime(2026, 11, 22, 15, 30, 12, 345678, tzinfo=UTC),
    sampling_seconds=1.25,
)

SPLIT = SplitRecord(
    start=10,
    end=14,
    at=12,
    attempt="b" * 32,
    worker="bob",
    reason="bisect",
    attempts=1,
    last_error="Traceback ...",
    created_at=datetime(2026, 11, 22, 15, 30, 12, tzinfo=UTC),
)

facts = st.builds(FileFact, st.text(), st.integers(0), st.text())
moments = st.datetimes(timezones=st.just(UTC))
rows_records = st.builds(
    lambda start, statuses, **rest: RowsRecord(
        start=start, end=start + len(statuses), statuses=statuses, **rest
    ),
    st.integers(0, 10**12),
    st.text(alphabet="ofr", min_size=1),
    attempt=st.text(),
    worker=st.text(),
    device=st.text(),
    numerics=st.text(),
    model_digest=st.text(),
    code_version=st.text(),
    index_part=facts,
    packs=st.lists(facts, max_size=3).map(tuple),
    created_at=moments,
    sampling_seconds=st.floats(0, 1e9),
)
split_records = st.builds(
    lambda start, first, second, **rest: SplitRecord(
        start=start, at=start + first, end=start + first + second, **rest
    ),
    st.integers(0, 10**12),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    attempt=st.text(),
    worker=st.text(),
    reason=st.text(),
    attempts=st.integers(0, 9),
    last_error=st.none() | st.text(),
    created_at=moments,
)


@given(rows_records | split_records)
def test_a_record_survives_its_json(record: RangeRecord) -> None:
    assert parse_record(record.to_json()) == record


@given(rows_records)
def test_a_record_counts_every_row(record: RowsRecord) -> None:
    assert record.counts.total == record.unit.rows
    assert record.counts == RowCounts(*(record.statuses.count(letter) for letter in "ofr"))


@pytest.mark.parametrize(
    "changes",
    [
        {"statuses": "oof"},
        {"statuses": "oofx"},
        {"end": 10, "statuses": ""},
        {"start": -4, "end": 0},
        {"created_at": datetime(2026, 11, 22)},
    ],
)
def test_rows_that_contradict_themselves_are_not_recorded(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"statuses|time zone"):
        dataclasses.replace(ROWS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [{"at": 10}, {"at": 14}, {"at": 15}, {"start": -1}, {"created_at": datetime(2026, 11, 22)}],
)
def test_a_split_that_is_none_is_not_recorded(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cannot be split|time zone"):
        dataclasses.replace(SPLIT, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"7",
        b"\xff",
        b'{"decision": "rows"}',
        ROWS.to_json().replace(b'"rows"', b'"split"'),
        ROWS.to_json().replace(b'"rows"', b'"maybe"'),
        ROWS.to_json().replace(b'"oofr"', b'"oof"'),
        ROWS.to_json().replace(b'"worker"', b'"walker"'),
        SPLIT.to_json().replace(b'"split"', b'"rows"'),
        SPLIT.to_json().replace(b'"at": 12', b'"at": 14'),
    ],
)
def test_what_is_no_record_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptObject, match="no range record"):
        parse_record(data)


def test_an_object_is_held_against_its_facts() -> None:
    store = open_store("memory://facts")
    fact = FileFact.of("part", b"as it was written")
    store.put("part", b"as it was written")
    assert read_verified(store, fact) == b"as it was written"
    store.put("part", b"as it was flipped")
    with pytest.raises(CorruptObject, match="memory://facts/part"):
        read_verified(store, fact)
