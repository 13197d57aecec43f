"""Finalisers beside workers, cancellers and each other: all of them make the same."""

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs import public_table
from ancestral.jobs import store as store_module
from ancestral.jobs.errors import RowsMissing
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from tests.jobs.deciding import lay_down, make_job
from tests.jobs.published import outputs, unpublish
from tests.jobs.test_cover import ROWS, UNIT_ROWS, Decision, decisions, make

#: Operations that a finaliser of the small jobs here makes at most.
OPERATIONS = 40


@pytest.fixture(autouse=True)
def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every finaliser stays in one thread; parts have five rows."""
    monkeypatch.setattr(store_module, "READ_AHEAD", 0)
    monkeypatch.setattr(public_table, "PART_ROWS", 5)
    monkeypatch.setattr(public_table, "ROW_GROUP_ROWS", 5)


class Held(Store):
    """A store that waits before its n-th operation until it is told to go on."""

    def __init__(self, uri: str, countdown: int) -> None:
        super().__init__(uri)
        self._countdown = countdown
        self.waits = Event()
        self.go_on = Event()

    def _count(self) -> None:
        self._countdown -= 1
        if self._countdown == 0:
            self.waits.set()
            assert self.go_on.wait(60)

    def create(self, path: str, data: bytes | memoryview) -> None:
        self._count()
        super().create(path, data)

    def read(self, path: str) -> bytes:
        self._count()
        return super().read(path)

    def list(self, folder: str = "") -> list[str]:
        self._count()
        return super().list(folder)

    def exists(self, path: str) -> bool:
        self._count()
        return super().exists(path)


def publish(store: Store, job: Job) -> Manifest | None:
    try:
        return finalise(store, job.job_id)
    except RowsMissing:
        return None
    finally:
        if isinstance(store, Held):
            store.waits.set()


def decide_rest(store: Store, job: Job) -> None:
    for unit in Ledger(store, job.job_id).cover(job).undecided:
        make(store, job, (unit, None))


def check(store: Store, job: Job, made: list[Manifest | None]) -> None:
    """All published the same, with each row once, and so would anybody who came now."""
    decide_rest(store, job)
    final = finalise(store, job.job_id)
    assert all(manifest in (None, final) for manifest in made)
    before = outputs(store)
    unpublish(store)
    assert finalise(store, job.job_id) == final
    assert outputs(store) == before
    ordinals = [
        ordinal
        for part in final.parts
        for ordinal in pq.read_table(pa.BufferReader(store.read(part.path)))["ordinal"].to_pylist()
    ]
    assert sorted(ordinals) == list(range(job.rows))
    assert final.counts.total == job.rows


def test_two_finalisers_with_a_cancel_and_a_commit_between_them() -> None:
    # Held before each of their operations: the first up to its look at the intent, the second while
    # it seals the job.
    for first, second in itertools.product(range(1, 8), range(8, 14)):
        store = Store(f"memory://{uuid.uuid4().hex}")
        job = lay_down(store, make_job(4, 2))
        make(store, job, (next(job.units()), None))
        one, other = Held(store.uri, first), Held(store.uri, second)
        with ThreadPoolExecutor(2) as pool:
            # Given a finaliser that is held somewhere, then a cancel, and a second one, held too
            publications = [pool.submit(publish, one, job)]
            assert one.waits.wait(60)
            declare(store, job.job_id, Wanted.CANCEL)
            publications.append(pool.submit(publish, other, job))
            assert other.waits.wait(60)
            # When the last rows are committed, and the finalisers go on one by one
            decide_rest(store, job)
            made = []
            for held, publication in zip((one, other), publications, strict=True):
                held.go_on.set()
                made.append(publication.result())
        check(store, job, made)


#: What happens while somebody finalises: records come, it is cancelled, others finalise.
events = st.lists(
    decisions() | st.sampled_from(["rest", "cancel", "finalise"]), min_size=1, max_size=6
)


@settings(max_examples=20)
@given(st.lists(decisions(), max_size=5), events, events, st.integers(1, OPERATIONS))
def test_whatever_happens_while_somebody_finalises(
    earlier: list[Decision],
    before: list[Decision | str],
    meanwhile: list[Decision | str],
    moment: int,
) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    job = lay_down(store, make_job(ROWS, UNIT_ROWS))
    made: list[Manifest | None] = []

    def happen(event: Decision | str) -> None:
        match event:
            case "cancel":
                declare(store, job.job_id, Wanted.CANCEL, "a typo")
            case "finalise":
                made.append(publish(store, job))
            case "rest":
                decide_rest(store, job)
            case (_, _):
                make(store, job, event)

    for decision in earlier:
        make(store, job, decision)
    for event in before:
        happen(event)
    held = Held(store.uri, moment)
    with ThreadPoolExecutor(1) as pool:
        publication = pool.submit(publish, held, job)
        assert held.waits.wait(60)
        for event in meanwhile:
            happen(event)
        held.go_on.set()
        made.append(publication.result())
    check(store, job, made)
