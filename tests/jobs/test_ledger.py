"""Each unit is decided once, by one record, whoever asks."""

import dataclasses
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import AlreadyExists, CorruptObject, StoreUnavailable
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import RangeRecord, RowsRecord
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.deciding import commit, make_job, split
from tests.jobs.test_records import ROWS, SPLIT


def by(attempt: str, **changes: object) -> RowsRecord:
    return dataclasses.replace(ROWS, attempt=attempt, **changes)  # type: ignore[arg-type]


def test_what_is_no_record_is_corrupt_and_named(store: Store) -> None:
    store.put(layout.record_path("j", ROWS.unit), b"{}")
    with pytest.raises(CorruptObject, match=r"ranges/000000000010-000000000014\.json"):
        Ledger(store, "j").lookup(ROWS.unit)


def test_a_record_under_another_name_is_corrupt(local_store: Store) -> None:
    local_store.put(layout.record_path("j", Unit(0, 4)), ROWS.to_json())
    with pytest.raises(CorruptObject, match="another unit"):
        Ledger(local_store, "j").lookup(Unit(0, 4))


def test_the_first_record_stands(store: Store) -> None:
    ledger = Ledger(store, "j")
    assert ledger.lookup(ROWS.unit) is None
    assert ledger.decide(by("a")) == by("a")
    assert ledger.decide(by("b", worker="bob")) == by("a")
    assert ledger.decide(SPLIT) == by("a")
    assert ledger.lookup(ROWS.unit) == by("a")


def test_a_split_stands_against_rows(store: Store) -> None:
    ledger = Ledger(store, "j")
    assert ledger.decide(SPLIT) == SPLIT
    assert ledger.decide(by("a")) == SPLIT
    elsewhere = dataclasses.replace(SPLIT, at=11, attempt="other")
    assert ledger.decide(elsewhere) == SPLIT


def test_of_many_attempts_one_decides_and_all_agree(store: Store) -> None:
    # Given sixteen attempts at a unit, half of them to split it
    start = threading.Barrier(16)

    def decide(number: int) -> RangeRecord:
        attempt = uuid.uuid4().hex
        start.wait()
        record = by(attempt) if number % 2 else dataclasses.replace(SPLIT, attempt=attempt)
        return Ledger(store, "j").decide(record)

    # When all of them decide it at once
    with ThreadPoolExecutor(16) as pool:
        standing = list(pool.map(decide, range(16)))
    # Then one record stands, and everybody was given that
    assert len(set(standing)) == 1
    assert Ledger(store, "j").lookup(ROWS.unit) == standing[0]


class ForgetfulStore(Store):
    """A store whose answer to the first creation is lost on the wire."""

    lost: Exception | None

    def create(self, path: str, data: bytes | memoryview) -> None:
        super().create(path, data)
        if self.lost:
            lost, self.lost = self.lost, None
            raise lost


@pytest.mark.parametrize("mine", [ROWS, SPLIT], ids=["rows", "split"])
def test_ones_own_success_is_a_success_though_its_answer_was_lost(
    local_store: Store, mine: RangeRecord
) -> None:
    # Given a client that sends again what was received, and is told that it exists
    store = ForgetfulStore(local_store.uri)
    store.lost = AlreadyExists("sent twice")
    # When a unit is decided, then its own record stands
    assert Ledger(store, "j").decide(mine) == mine


@pytest.mark.parametrize("mine", [ROWS, SPLIT], ids=["rows", "split"])
def test_deciding_again_after_an_error_is_safe(local_store: Store, mine: RangeRecord) -> None:
    store = ForgetfulStore(local_store.uri)
    store.lost = StoreUnavailable("the line is dead")
    with pytest.raises(StoreUnavailable):
        Ledger(store, "j").decide(mine)
    assert Ledger(store, "j").decide(mine) == mine


def test_records_come_by_rising_ordinals_and_the_rest_is_undecided(store: Store) -> None:
    # Given a job of four units of which two are decided, last first
    job = make_job(10, 3)
    last, second = commit(store, job, Unit(9, 10)), commit(store, job, Unit(3, 6))
    # And a note that somebody left
    store.put(f"{layout.records_folder(job.job_id)}/README", b"hands off")
    # Then
    ledger = Ledger(store, job.job_id)
    assert list(ledger.records(job)) == [second, last]
    assert ledger.cover(job).undecided == (Unit(0, 3), Unit(6, 9))


def test_a_split_unit_is_decided_by_its_halves(store: Store) -> None:
    # Given a unit that was split, and a half of it that was split again
    job = make_job(8, 8)
    split(store, job, Unit(0, 8), 5)
    split(store, job, Unit(0, 5), 1)
    commit(store, job, Unit(1, 5))
    # Then the rest is undecided, part by part
    ledger = Ledger(store, job.job_id)
    cover = ledger.cover(job)
    assert cover.rows == (Unit(1, 5),)
    assert cover.split == {Unit(0, 8): 5, Unit(0, 5): 1}
    assert cover.undecided == (Unit(0, 1), Unit(5, 8))
    assert not cover.complete


def test_a_marker_without_a_split_means_nothing(store: Store) -> None:
    # Given a split that came too late, and one that was never made
    job = make_job(8, 4)
    record = commit(store, job, Unit(0, 4))
    assert split(store, job, Unit(0, 4), 2) == record
    store.put(layout.split_path(job.job_id, Unit(4, 8)), b"split\n")
    # Then one unit is committed and the other undecided
    cover = Ledger(store, job.job_id).cover(job)
    assert (cover.rows, dict(cover.split), cover.undecided) == ((Unit(0, 4),), {}, (Unit(4, 8),))


def test_a_split_is_announced_before_it_is_made(local_store: Store) -> None:
    class Witness(Store):
        def create(self, path: str, data: bytes | memoryview) -> None:
            assert self.exists(layout.split_path("j", SPLIT.unit))
            super().create(path, data)

    Ledger(Witness(local_store.uri), "j").decide(SPLIT)
    assert local_store.exists(layout.record_path("j", SPLIT.unit))


def test_a_split_whose_marker_is_gone_is_not_taken_for_rows(local_store: Store) -> None:
    job = make_job(8, 8)
    split(local_store, job, Unit(0, 8), 5)
    local_store.delete(layout.split_path(job.job_id, Unit(0, 8)))
    with pytest.raises(CorruptObject, match="never announced"):
        list(Ledger(local_store, job.job_id).records(job))


def test_a_seal_says_what_was_undecided_for_ever(store: Store) -> None:
    # Given a job of five units, one of them split, that is sealed
    job = make_job(10, 2)
    ledger = Ledger(store, job.job_id)
    kept = commit(store, job, Unit(2, 4))
    split(store, job, Unit(4, 6), 5)
    assert ledger.cancelled() == ()
    sealed = ledger.seal(job)
    assert sealed == ledger.cancelled() == (Unit(0, 2), Unit(4, 10))
    # When more is decided, and the job is sealed again
    for unit in (Unit(0, 2), Unit(4, 5), Unit(6, 8)):
        commit(store, job, unit)
    split(store, job, Unit(8, 10), 9)
    assert ledger.seal(job) == sealed
    # Then what came later does not count
    cover = ledger.cover(job)
    assert (cover.rows, dict(cover.split)) == ((Unit(2, 4),), {})
    assert (cover.undecided, cover.cancelled) == ((), sealed)
    assert cover.complete
    assert list(ledger.records(job)) == [kept]


def test_a_job_that_is_decided_is_sealed_without_anything(local_store: Store) -> None:
    job = make_job(4, 4)
    commit(local_store, job, Unit(0, 4))
    ledger = Ledger(local_store, job.job_id)
    assert ledger.seal(job) == ()
    assert ledger.cover(job).rows == (Unit(0, 4),)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"cancelled": [[1]]}', b'{"cancelled": 7}'])
def test_what_is_no_seal_is_corrupt(local_store: Store, data: bytes) -> None:
    local_store.put(layout.cancelled_path("j"), data)
    with pytest.raises(CorruptObject, match=r"cancelled\.json"):
        Ledger(local_store, "j").cancelled()


def test_jobs_have_ledgers_of_their_own(store: Store) -> None:
    commit(store, make_job(4, 4, "digits"), Unit(0, 4))
    other = Ledger(store, "digits-2")
    assert list(other.records(make_job(4, 4, "digits-2"))) == []
    assert other.lookup(Unit(0, 4)) is None
