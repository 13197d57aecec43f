"""The cover: each row of a job in one leaf, whatever was decided, by whom, in whatever order."""

import uuid
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover, descend, within
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit, plan_units
from tests.jobs.deciding import commit, decide, make_job, split

ROWS, UNIT_ROWS = 12, 5

#: What a decider does: create a record of rows (None) or of a split somewhere.
Decision = tuple[Unit, int | None]


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Any record of any range that could ever be a unit: cuts are made wherever one likes."""
    unit = draw(st.sampled_from(list(plan_units(ROWS, UNIT_ROWS))))
    for _ in range(draw(st.integers(0, 3))):
        if unit.rows > 1:
            at = draw(st.integers(unit.start + 1, unit.end - 1))
            unit = draw(st.sampled_from(unit.split(at)))
    if unit.rows == 1 or draw(st.booleans()):
        return unit, None
    return unit, draw(st.integers(unit.start + 1, unit.end - 1))


def make(store: Store, job: Job, decision: Decision) -> None:
    unit, at = decision
    if at is None:
        decide(store, job, unit)
    else:
        split(store, job, unit, at)


def ordinals(units: tuple[Unit, ...]) -> list[int]:
    return [ordinal for unit in units for ordinal in range(unit.start, unit.end)]


def check(cover: Cover) -> None:
    """Each row stands in one leaf, and leaves rise."""
    leaves = (*cover.rows, *cover.undecided, *cover.cancelled)
    assert sorted(ordinals(leaves)) == list(range(ROWS))
    for each in (cover.rows, cover.undecided, cover.cancelled):
        assert list(each) == sorted(each)
    assert cover.complete == (not cover.undecided)


def empty_store() -> Store:
    return open_store(f"memory://{uuid.uuid4().hex}")


@given(st.lists(decisions(), max_size=12))
def test_the_leaves_have_each_row_once_and_only_get_finer(made: list[Decision]) -> None:
    store, job = empty_store(), make_job(ROWS, UNIT_ROWS)
    ledger = Ledger(store, job.job_id)
    before = ledger.cover(job)
    for decision in made:
        make(store, job, decision)
        cover = ledger.cover(job)
        check(cover)
        # To read what is committed, nothing has to be known of the rest.
        assert ledger.begun(job).rows == cover.rows
        # What was committed stays, what was split stays, and the rest lies within what was open.
        assert set(before.rows) <= set(cover.rows)
        assert before.split.items() <= cover.split.items()
        assert all(within(before.undecided, unit) for unit in cover.undecided)
        before = cover


class Meddled(Store):
    """A store to which something happens just before an object of a job is created."""

    path = ""
    meddle: Callable[[], None]

    def create(self, path: str, data: bytes | memoryview) -> None:
        if path == self.path:
            self.meddle()
        super().create(path, data)


@settings(max_examples=50)
@given(*[st.lists(decisions(), max_size=6)] * 3)
def test_a_seal_holds_whatever_comes_between(
    earlier: list[Decision], between: list[Decision], later: list[Decision]
) -> None:
    job = make_job(ROWS, UNIT_ROWS)
    store = Meddled(f"memory://{uuid.uuid4().hex}")
    ledger = Ledger(store, job.job_id)

    def meddle() -> None:
        store.path = ""
        for decision in between:
            make(store, job, decision)
        rival = ledger.seal(job)
        assert rival == ledger.cancelled()

    for decision in earlier:
        make(store, job, decision)
    before = ledger.cover(job)
    # Given somebody who seals the job, and between whose look and deed others decide and seal
    store.path, store.meddle = layout.cancelled_path(job.job_id), meddle
    sealed = ledger.seal(job)
    cover = ledger.cover(job)
    # Then there is one seal, under it everything is known, and what was committed before is kept
    check(cover)
    assert cover.complete
    assert ledger.begun(job).rows == cover.rows
    assert cover.cancelled == sealed
    assert set(before.rows) <= set(cover.rows)
    # And nothing that comes later changes anything
    for decision in later:
        make(store, job, decision)
    assert ledger.cover(job) == cover
    assert ledger.seal(job) == sealed


def test_what_lies_below_a_committed_range_is_nobodys() -> None:
    recorded = [Unit(0, 4), Unit(0, 2), Unit(2, 4), Unit(4, 6)]
    cover = descend([Unit(0, 4), Unit(4, 8)], recorded, {Unit(0, 2): 1})
    assert cover == Cover(rows=(Unit(0, 4),), split={}, undecided=(Unit(4, 8),))


def test_a_split_deeper_than_any_stack() -> None:
    rows = 5000
    split_units = {Unit(start, rows): start + 1 for start in range(rows - 1)}
    last = Unit(rows - 1, rows)
    cover = descend([Unit(0, rows)], {*split_units, last}, split_units)
    assert cover.rows == (last,)
    assert cover.undecided == tuple(Unit(start, start + 1) for start in range(rows - 1))


def test_records_of_other_cuts_do_not_count(local_store: Store) -> None:
    # Given a unit that was split at 3, and rows committed for a cut that was never made
    job = make_job(8, 8)
    split(local_store, job, Unit(0, 8), 3)
    commit(local_store, job, Unit(0, 4))
    cover = Ledger(local_store, job.job_id).cover(job)
    assert (cover.rows, cover.undecided) == ((), (Unit(0, 3), Unit(3, 8)))


@pytest.mark.parametrize(
    ("unit", "inside"),
    [
        (Unit(2, 4), True),
        (Unit(3, 4), True),
        (Unit(8, 9), True),
        (Unit(2, 5), False),
        (Unit(1, 3), False),
        (Unit(0, 1), False),
        (Unit(4, 8), False),
        (Unit(9, 20), False),
    ],
)
def test_within_is_all_rows_of_one_range(unit: Unit, inside: bool) -> None:
    assert within([Unit(2, 4), Unit(8, 12)], unit) is inside
    assert not within([], unit)
