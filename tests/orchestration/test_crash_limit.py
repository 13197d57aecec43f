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


@given(SIZES, SIZES)
def test_a_fleet_that_grows_is_not_forgiven(size: int, more: int) -> None:
    # Given as many deaths as are not too many yet
    limit = CrashLimit(size)
    for _ in range(IDLE_DEATHS * size):
        limit.died(0)

    # When it grows, then it has as many more as its new places have, and no others
    limit.resize(size + more)
    for _ in range(IDLE_DEATHS * more):
        limit.died(0)
        assert not limit.exceeded
    limit.died(0)
    assert limit.exceeded


@given(SIZES, SIZES)
def test_a_fleet_that_shrinks_is_measured_by_its_own_size_once_a_row_is_drawn(
    size: int, less: int
) -> None:
    # Given as many deaths as are not too many for a larger fleet
    limit = CrashLimit(size + less)
    for _ in range(IDLE_DEATHS * (size + less)):
        limit.died(0)

    # When it shrinks, then that alone is no failure
    limit.resize(size)
    assert not limit.exceeded

    # And when a row is drawn, then as many deaths are too many as in a fleet that was never larger
    limit.drawn(1)
    for _ in range(IDLE_DEATHS * size):
        limit.died(0)
        assert not limit.exceeded
    limit.died(0)
    assert limit.exceeded
