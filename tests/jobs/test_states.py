"""States: told from the facts, with a reason, in moves that the drawing has."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ancestral.jobs.errors import UsageError
from ancestral.jobs.intents import Wanted
from ancestral.jobs.states import (
    FINISHED,
    Facts,
    State,
    check_wanted,
    final_state,
    state_of,
)
from ancestral.jobs.units import RowCounts
from tests.jobs.moves import MOVES, can_follow

facts = st.builds(
    Facts,
    rows=st.just(9),
    decided=st.integers(0, 9),
    wanted=st.sampled_from(Wanted),
    wanted_reason=st.none() | st.just("a typo"),
    leased=st.integers(0, 2),
    ready=st.integers(0, 2),
    queued=st.booleans(),
    obstacle=st.none() | st.just("the queue is away"),
    declined=st.just("") | st.just("no cuda here"),
)


@pytest.mark.parametrize(
    ("known", "state", "reason"),
    [
        (Facts(9, 0, ready=3), State.PENDING, "no worker holds any of its 3 units"),
        (
            Facts(9, 0, ready=3, declined="no cuda here"),
            State.PENDING,
            "no worker holds any of its 3 units; one left it to others: no cuda here",
        ),
        (Facts(9, 0, ready=3, obstacle="it is stale"), State.PENDING, "it is stale"),
        (Facts(9, 0, leased=1), State.RUNNING, None),
        (Facts(9, 4, leased=1, obstacle="it is stale"), State.RUNNING, None),
        (Facts(9, 4, ready=1), State.RUNNING, "no worker holds any of its 1 units"),
        (
            Facts(7500, 1920, queued=False, obstacle="no queue is at hand"),
            State.PENDING,
            "1,920 of 7,500 rows are decided; no queue is at hand",
        ),
        (Facts(9, 0, queued=False, obstacle="no queue"), State.PENDING, "no queue"),
        (Facts(9, 4, Wanted.PAUSE), State.PAUSED, "by `ancestral pause`"),
        (
            Facts(9, 4, Wanted.PAUSE, "lunch", leased=2),
            State.PAUSED,
            "lunch; 2 units are being handed back",
        ),
        (Facts(9, 4, Wanted.CANCEL, "a typo"), State.CANCELLING, "a typo"),
        (
            Facts(9, 4, Wanted.CANCEL, leased=1),
            State.CANCELLING,
            "cancelled; 1 unit is being handed back",
        ),
        (Facts(9, 4, Wanted.FAIL, "the model is gone"), State.FAILED, "the model is gone"),
        (Facts(9, 9, Wanted.FAIL, "a part is gone"), State.FAILED, "a part is gone"),
        (
            Facts(9, 9, Wanted.CANCEL),
            State.FINALISING,
            "every row is decided, and its table is being written",
        ),
    ],
)
def test_a_state_is_told_from_the_facts(known: Facts, state: State, reason: str | None) -> None:
    assert state_of(known) == (state, reason)


@given(facts)
def test_every_state_but_running_has_a_reason(known: Facts) -> None:
    state, reason = state_of(known)
    assert not state.finished
    assert reason or state is State.RUNNING


@given(facts, facts)
def test_a_job_moves_as_it_is_drawn(one: Facts, other: Facts) -> None:
    # Given two looks at a job: what is decided stays so, and a cancel is for ever
    assume(one.decided <= other.decided)
    assume(one.wanted is not Wanted.CANCEL or other.wanted is Wanted.CANCEL)
    # Then the drawing leads from what was seen first to what was seen later
    assert can_follow(state_of(one)[0], state_of(other)[0])


@pytest.mark.parametrize(
    ("counts", "state", "reason"),
    [
        (RowCounts(ok=4), State.DONE, "every row is in the index"),
        (RowCounts(ok=2, rejected=2), State.DONE, "every row is in the index"),
        (RowCounts(ok=3, failed=1), State.DONE_WITH_ERRORS, "1 rows failed; the index says why"),
        (
            RowCounts(ok=1, failed=1, cancelled=2),
            State.CANCELLED,
            "a typo; 2 of 4 rows were not drawn",
        ),
    ],
)
def test_how_rows_ended_is_how_the_job_ended(counts: RowCounts, state: State, reason: str) -> None:
    assert final_state(counts, "a typo") == (state, reason)
    assert state.finished


def test_a_cancelled_job_needs_no_reason() -> None:
    assert final_state(RowCounts(cancelled=4))[1] == "4 of 4 rows were not drawn"


def test_nothing_follows_the_end_and_every_job_can_end() -> None:
    assert set(MOVES) == set(State)
    for state in State:
        assert can_follow(state, state)
        assert state.finished == (not MOVES[state])
        assert any(can_follow(state, end) for end in FINISHED)
    for one, other in itertools.permutations(FINISHED, 2):
        assert not can_follow(one, other)


@pytest.mark.parametrize(
    ("wanted", "done"),
    [
        (Wanted.RUN, "resumed"),
        (Wanted.PAUSE, "paused"),
        (Wanted.CANCEL, "cancelled"),
        (Wanted.FAIL, "stopped"),
    ],
)
def test_of_a_finished_job_nothing_can_be_wanted(wanted: Wanted, done: str) -> None:
    for state in FINISHED:
        with pytest.raises(UsageError, match=f"job j is {state}: it cannot be {done} any more"):
            check_wanted("j", state, wanted)


def test_a_cancel_is_final() -> None:
    check_wanted("j", State.CANCELLING, Wanted.CANCEL)
    for wanted in (Wanted.RUN, Wanted.PAUSE, Wanted.FAIL):
        with pytest.raises(UsageError, match="being cancelled; submit it anew"):
            check_wanted("j", State.CANCELLING, wanted)


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.PAUSED, State.FAILED])
@pytest.mark.parametrize("wanted", Wanted)
def test_of_any_other_job_everything_can_be_wanted(state: State, wanted: Wanted) -> None:
    check_wanted("j", state, wanted)
