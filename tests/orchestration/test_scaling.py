"""How many samplers a fleet wants: laws, and a day of one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ancestral.orchestration.scaling import Scaling, samplers_needed, seconds_of_drawing


@dataclass(frozen=True)
class Look:
    """What was asked at one moment, and what came of it."""

    now: float
    needed_samplers: int
    size: int


@dataclass(frozen=True)
class Day:
    """One fleet, from look to look."""

    least: int
    most: int
    idle_seconds: float
    looks: list[Look]

    def needed(self, look: Look) -> int:
        return min(max(look.needed_samplers, self.least), self.most)


@st.composite
def days(draw: st.DrawFn) -> Day:
    least = draw(st.integers(0, 5))
    most = draw(st.integers(max(least, 1), 9))
    idle_seconds = draw(st.integers(0, 6))
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1))
    scaling, now, looks = Scaling(least, most, idle_seconds), 0, []
    for seconds, needed_samplers in steps:
        now += seconds
        looks.append(Look(now, needed_samplers, scaling.wanted(needed_samplers, now)))
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
def test_who_is_not_needed_any_more_is_gone_after_a_window(day: Day, needed_samplers: int) -> None:
    # Given a fleet that goes on after that day with the same number of units
    scaling = Scaling(day.least, day.most, day.idle_seconds)
    for look in day.looks:
        scaling.wanted(look.needed_samplers, look.now)
    start = day.looks[-1].now + 1

    # When
    sizes = [scaling.wanted(needed_samplers, start + n) for n in range(int(day.idle_seconds) + 1)]

    # Then
    assert sizes[-1] == min(max(needed_samplers, day.least), day.most)


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
    # Given what the module's picture shows: what is needed at each look
    scaling = Scaling(1, 8, idle_seconds=3)
    units = [0, 1, 20, 9, 2, 3, 2, 0, 0, 0, 0]

    # Then
    sizes = [scaling.wanted(each, now) for now, each in enumerate(units)]
    assert sizes == [1, 1, 8, 8, 8, 8, 8, 3, 3, 2, 1]


UNITS = st.integers(0, 50)
SECONDS = st.floats(1e-6, 1e9)


@given(UNITS, SECONDS, SECONDS)
def test_a_job_needs_the_fewest_samplers_that_meet_its_deadline(
    units: int, sampler_seconds: float, seconds_left: float
) -> None:
    needed = samplers_needed(units, sampler_seconds, seconds_left)

    assert min(units, 1) <= needed <= units
    if needed < units:
        assert sampler_seconds <= needed * seconds_left * (1 + 1e-9)
    if needed > 1:
        assert sampler_seconds > (needed - 1) * seconds_left * (1 - 1e-9)


@given(UNITS, SECONDS, SECONDS | st.just(0.0))
def test_a_job_that_is_late_needs_a_sampler_for_each_open_unit(
    units: int, sampler_seconds: float, seconds: float
) -> None:
    assert samplers_needed(units, sampler_seconds, -seconds) == units


def test_a_fleet_meets_a_deadline_and_does_not_go_up_and_down() -> None:
    # Given a job of 120 units of 50 s each, which is due in 2,000 s, and an idle window of 60 s
    scaling, ready, sizes, now = Scaling(0, 16, idle_seconds=60), 120, [0], 0
    # When each unit in hand ends
    ends: list[int] = []

    # When it is drawn, and from the first unit's end on it is known how long a unit takes
    while ready or ends:
        ends = [end for end in ends if end > now]
        left = ready + len(ends)
        work = seconds_of_drawing(left, len(ends), 50.0)
        needed = left if left == 120 else samplers_needed(left, work, 2000.0 - now)
        sizes.append(scaling.wanted(needed, now))
        begun = max(0, min(sizes[-1] - len(ends), ready))
        ends, ready, now = ends + [now + 50] * begun, ready - begun, now + 1

    # Then all come, few stay, and it ends in time
    changes = [(one, other) for one, other in pairwise(sizes) if one != other]
    assert changes == [(0, 16), (16, 3), (3, 2), (2, 1)]
    assert 1800 < now <= 2000
