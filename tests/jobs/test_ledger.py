"""Each unit is decided once, by one record, whoever asks."""

import dataclasses
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs import layout
from ancestral.jobs.errors import AlreadyExists, CorruptObject, StoreUnavailable
from ancestral.jobs.ledger import FileFact, Ledger, RangeRecord, read_verified
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import RowCounts, Unit

RECORD = RangeRecord(
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


def by(attempt: str, **changes: object) -> RangeRecord:
    return dataclasses.replace(RECORD, attempt=attempt, **changes)  # type: ignore[arg-type]


facts = st.builds(FileFact, st.text(), st.integers(0), st.text())
records = st.builds(
    lambda start, statuses, **rest: RangeRecord(
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
    created_at=st.datetimes(timezones=st.just(UTC)),
    sampling_seconds=st.floats(0, 1e9),
)


@given(records)
def test_a_record_survives_its_json(record: RangeRecord) -> None:
    assert RangeRecord.from_json(record.to_json()) == record


@given(records)
def test_a_record_counts_every_row(record: RangeRecord) -> None:
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
def test_a_record_that_contradicts_itself_is_not_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"statuses|time zone"):
        by("a", **changes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        RECORD.to_json().replace(b'"rows"', b'"split"'),
        RECORD.to_json().replace(b'"oofr"', b'"oof"'),
        RECORD.to_json().replace(b'"worker"', b'"walker"'),
    ],
)
def test_what_is_no_record_is_corrupt(store: Store, data: bytes) -> None:
    store.put(layout.record_path("j", RECORD.unit), data)
    with pytest.raises(CorruptObject, match=r"ranges/000000000010-000000000014\.json"):
        Ledger(store, "j").lookup(RECORD.unit)


def test_a_record_under_another_name_is_corrupt(local_store: Store) -> None:
    local_store.put(layout.record_path("j", Unit(0, 4)), RECORD.to_json())
    with pytest.raises(CorruptObject, match="another unit"):
        Ledger(local_store, "j").lookup(Unit(0, 4))


def test_the_first_record_stands(store: Store) -> None:
    ledger = Ledger(store, "j")
    assert ledger.lookup(RECORD.unit) is None
    assert ledger.decide(by("a")) == by("a")
    assert ledger.decide(by("b", worker="bob")) == by("a")
    assert ledger.lookup(RECORD.unit) == by("a")


def test_of_many_attempts_one_decides_and_all_agree(store: Store) -> None:
    # Given sixteen attempts at a unit
    start = threading.Barrier(16)

    def decide(attempt: str) -> RangeRecord:
        start.wait()
        return Ledger(store, "j").decide(by(attempt))

    attempts = [uuid.uuid4().hex for _ in range(16)]
    # When all of them decide it at once
    with ThreadPoolExecutor(16) as pool:
        standing = list(pool.map(decide, attempts))
    # Then one record stands, and everybody was given that
    assert len(set(standing)) == 1
    assert Ledger(store, "j").lookup(RECORD.unit) == standing[0]
    assert standing[0].attempt in attempts


class ForgetfulStore(Store):
    """A store whose answer to the first creation is lost on the wire."""

    lost: Exception | None

    def create(self, path: str, data: bytes | memoryview) -> None:
        super().create(path, data)
        if self.lost:
            lost, self.lost = self.lost, None
            raise lost


def test_ones_own_success_is_a_success_though_its_answer_was_lost(local_store: Store) -> None:
    # Given a client that sends again what was received, and is told that it exists
    store = ForgetfulStore(local_store.uri)
    store.lost = AlreadyExists("sent twice")
    # When a unit is decided, then its own record stands
    assert Ledger(store, "j").decide(by("mine")).attempt == "mine"


def test_deciding_again_after_an_error_is_safe(local_store: Store) -> None:
    store = ForgetfulStore(local_store.uri)
    store.lost = StoreUnavailable("the line is dead")
    with pytest.raises(StoreUnavailable):
        Ledger(store, "j").decide(by("mine"))
    assert Ledger(store, "j").decide(by("mine")).attempt == "mine"


def test_records_come_by_rising_ordinals_and_the_rest_is_undecided(
    store: Store, make_job: Callable[..., Job]
) -> None:
    # Given a job of four units of which two are decided, last first
    job = make_job(10, 3)
    ledger = Ledger(store, job.job_id)
    for start, end in [(9, 10), (3, 6)]:
        ledger.decide(by("a", start=start, end=end, statuses="o" * (end - start)))
    # And a note that somebody left
    store.put(f"{layout.records_folder(job.job_id)}/README", b"hands off")
    # Then
    assert [record.unit for record in ledger.records()] == [Unit(3, 6), Unit(9, 10)]
    assert list(ledger.undecided(job)) == [Unit(0, 3), Unit(6, 9)]


def test_jobs_have_ledgers_of_their_own(store: Store, make_job: Callable[..., Job]) -> None:
    Ledger(store, "digits").decide(RECORD)
    assert list(Ledger(store, "digits-2").records()) == []
    assert Ledger(store, "digits-2").lookup(RECORD.unit) is None


def test_an_object_is_held_against_its_facts() -> None:
    store = open_store("memory://facts")
    fact = FileFact.of("part", b"as it was written")
    store.put("part", b"as it was written")
    assert read_verified(store, fact) == b"as it was written"
    store.put("part", b"as it was flipped")
    with pytest.raises(CorruptObject, match="memory://facts/part"):
        read_verified(store, fact)
