"""How many samplers a fleet wants: laws, and a day of one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ancestral.orchestration.scaling import Scaling


@dataclass(frozen=True)
class Look:
    """What was asked at one moment, and what came of it."""

    now: float
    open_units: int
    size: int


@dataclass(frozen=True)
class Day:
    """One fleet, from look to look."""

    least: int
    most: int
    idle_seconds: float
    looks: list[Look]

    def needed(self, look: Look) -> int:
        return min(max(look.open_units, self.least), self.most)


@st.composite
def days(draw: st.DrawFn) -> Day:
    least = draw(st.integers(0, 5))
    most = draw(st.integers(max(least, 1), 9))
    idle_seconds = draw(st.integers(0, 6))
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1))
    scaling, now, looks = Scaling(least, most, idle_seconds), 0, []
    for seconds, open_units in steps:
        now += seconds
        looks.append(Look(now, open_units, scaling.wanted(open_units, now)))
    return Day(least, most, idle_seconds, looks)


@given(days())
def test_there_are_as_many_as_units_at_once_and_never_more_or_fewer_than_allowed(day: Day) -> None:
    assert all(day.needed(look) <= look.size <= day.most for look in day.looks)


@given(days())
def test_there_are_as_many_as_were_needed_at_most_within_the_window(day: Day) -> None:
    # What a look finds holds until the next one.
    for end, look in enumerate(day.looks):
        begin = look.now - day.idle_seconds
        held = [each for each, later in pairwise(day.looks[: end + 1]) if later.now > begin]
        assert look.size == max(day.needed(each) for each in [*held, look])


@given(days())
def test_nobody_comes_who_is_not_needed(day: Day) -> None:
    before = day.least
    for look in day.looks:
        assert look.size <= max(before, day.needed(look))
        before = look.size


@given(days(), st.integers(0, 12))
def test_who_is_not_needed_any_more_is_gone_after_a_window(day: Day, open_units: int) -> None:
    # Given a fleet that goes on after that day with the same number of units
    scaling = Scaling(day.least, day.most, day.idle_seconds)
    for look in day.looks:
        scaling.wanted(look.open_units, look.now)
    start = day.looks[-1].now + 1

    # When
    sizes = [scaling.wanted(open_units, start + n) for n in range(int(day.idle_seconds) + 1)]

    # Then
    assert sizes[-1] == min(max(open_units, day.least), day.most)


def test_a_look_after_a_gap_is_no_window() -> None:
    # Given a fleet that could not look for long
    scaling = Scaling(0, 8, idle_seconds=3)
    assert scaling.wanted(8, 0) == 8

    # Then a window begins with the first look that finds less
    assert [scaling.wanted(0, now) for now in (100, 101, 102, 103)] == [8, 8, 8, 0]


@given(st.integers(1, 9), st.lists(st.integers(0, 20)))
def test_a_plain_number_stays_what_it_is(size: int, units: list[int]) -> None:
    scaling = Scaling(size, size)

    assert {scaling.wanted(each, 1000.0 * now) for now, each in enumerate(units)} <= {size}


def test_a_day_of_a_fleet() -> None:
    # Given what the module's picture shows: the units open at each look
    scaling = Scaling(1, 8, idle_seconds=3)
    units = [0, 1, 20, 9, 2, 3, 2, 0, 0, 0, 0]

    # Then
    sizes = [scaling.wanted(each, now) for now, each in enumerate(units)]
    assert sizes == [1, 1, 8, 8, 8, 8, 8, 3, 3, 2, 1]
