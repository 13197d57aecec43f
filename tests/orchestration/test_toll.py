"""Bisecting a row that kills samplers is no false alarm, and a fleet that only dies is no endless
loop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.units import LARGEST_UNIT_ROWS
from ancestral.orchestration.toll import DEATHS, IDLE_DEATHS, Toll

SIZES = st.integers(1, 50)


@given(SIZES)
def test_samplers_that_die_with_nothing_in_hand_are_soon_too_many(size: int) -> None:
    toll = Toll(size)
    toll.draw(10)
    for _ in range(IDLE_DEATHS * size):
        toll.die(0)
        assert not toll.too_high

    toll.die(0)

    assert toll.too_high


@given(SIZES, st.integers(1, 5))
def test_every_place_may_be_killed_until_a_row_stands_alone(size: int, max_attempts: int) -> None:
    # As often as the whole unit may break, and once for each half, down to the row
    deaths = max_attempts + LARGEST_UNIT_ROWS.bit_length()
    toll = Toll(size)

    for _ in range(deaths * size):
        toll.die(3)

    assert not toll.too_high


@given(SIZES)
def test_a_fleet_that_only_dies_ends(size: int) -> None:
    toll = Toll(size)
    toll.draw(10)
    for _ in range(DEATHS * size + 1):
        toll.draw(10)
        toll.die(1)

    assert toll.too_high


@given(SIZES)
def test_a_row_that_is_drawn_makes_up_for_all_deaths(size: int) -> None:
    toll = Toll(size)
    for drawn in range(5):
        toll.draw(drawn)
        for _ in range(IDLE_DEATHS * size):
            toll.die(0)

    assert not toll.too_high
