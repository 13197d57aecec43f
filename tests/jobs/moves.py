"""The moves of a job from state to state, as `states.py` draws them."""

from __future__ import annotations

from collections.abc import Mapping

from ancestral.jobs.states import FINISHED, State

#: Where a job can be found next; between two looks it may have passed through several.
MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {State.RUNNING, State.PAUSED, State.CANCELLING, State.FINALISING, State.FAILED}
    ),
    # Back to pending when every worker is gone before a row is decided.
    State.RUNNING: frozenset(
        {State.PENDING, State.PAUSED, State.CANCELLING, State.FINALISING, State.FAILED}
    ),
    State.PAUSED: frozenset(
        {State.PENDING, State.RUNNING, State.CANCELLING, State.FINALISING, State.FAILED}
    ),
    State.FAILED: frozenset(
        {State.PENDING, State.RUNNING, State.PAUSED, State.CANCELLING, State.FINALISING}
    ),
    State.CANCELLING: frozenset({State.FINALISING}),
    State.FINALISING: FINISHED | {State.FAILED},
    State.DONE: frozenset(),
    State.DONE_WITH_ERRORS: frozenset(),
    State.CANCELLED: frozenset(),
}


def can_follow(before: State, after: State) -> bool:
    """Whether a job that was seen in one state can be found in the other later on."""
    reached = {before}
    frontier = {before}
    while frontier:
        frontier = {state for each in frontier for state in MOVES[each]} - reached
        reached |= frontier
    return after in reached
