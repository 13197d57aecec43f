"""Bisecting a row that kills samplers is no false alarm, and a fleet that only dies is no endless
loop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.units import LARGEST_UNIT_ROWS
from ancestral.orchestration.crash_limit import DEATHS, IDLE_DEATHS, CrashLimit

SIZES = st.integers(1, 50)


@given(SIZES)
def test_samplers_that_die_with_nothing_in_hand_are_soon_too_many(size: int) -> None:
    limit = CrashLimit(size)
    limit.drawn(10)
    for _ in range(IDLE_DEATHS * size):
        limit.died(0)
        assert not limit.exceeded

    limit.died(0)

    assert limit.exceeded


@given(SIZES, st.integers(1, 5))
def test_every_place_may_be_killed_until_a_row_stands_alone(size: int, max_attempts: int) -> None:
    # As often as the whole unit may break, and once for each half, down to the row
    deaths = max_attempts + LARGEST_UNIT_ROWS.bit_length()
    limit = CrashLimit(size)

    for _ in range(deaths * size):
        limit.died(3)

    assert not limit.exceeded


@given(SIZES)
def test_a_fleet_that_only_dies_ends(size: int) -> None:
    limit = CrashLimit(size)
    limit.drawn(10)
    for _ in range(DEATHS * size + 1):
        limit.drawn(10)
        limit.died(1)

    assert limit.exceeded


@given(SIZES)
def test_a_row_that_is_drawn_makes_up_for_all_deaths(size: int) -> None:
    limit = CrashLimit(size)
    for drawn in range(5):
        limit.drawn(drawn)
        for _ in range(IDLE_DEATHS * size):
            limit.died(0)

    assert not limit.exceeded
