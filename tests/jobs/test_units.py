"""Units: ranges of rows."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.units import (
    FEWEST_UNITS,
    LARGEST_UNIT_BYTES,
    LARGEST_UNIT_ROWS,
    MOST_UNITS,
    RowCounts,
    Unit,
    default_unit_rows,
    is_root,
    merge,
    plan_units,
)

units = st.tuples(st.integers(0, 10**15), st.integers(1, 10**6)).map(
    lambda pair: Unit(pair[0], pair[0] + pair[1])
)
counts = st.builds(RowCounts, *[st.integers(0, 10**9)] * 4)


def rows_of(unit: Unit) -> list[int]:
    return list(range(unit.start, unit.end))


@given(units)
def test_a_name_tells_the_unit(unit: Unit) -> None:
    assert Unit.parse(unit.name) == unit


@given(st.lists(units, max_size=9))
def test_names_sort_like_units(several: list[Unit]) -> None:
    small = [unit for unit in several if unit.end < 10**12]
    assert [unit.name for unit in sorted(small)] == sorted(unit.name for unit in small)


@given(st.integers(1, 500), st.integers(1, 300))
def test_root_units_have_each_row_once(rows: int, unit_rows: int) -> None:
    planned = list(plan_units(rows, unit_rows))
    assert [row for unit in planned for row in rows_of(unit)] == list(range(rows))
    assert {unit.rows for unit in planned[:-1]} <= {unit_rows}


@given(st.integers(1, 12), st.integers(1, 15))
def test_root_units_are_known_from_others(rows: int, unit_rows: int) -> None:
    every = [Unit(start, end) for start in range(rows) for end in range(start + 1, rows + 2)]
    roots = [unit for unit in every if is_root(unit, rows, unit_rows)]
    assert roots == list(plan_units(rows, unit_rows))


@given(st.integers(0, 50), st.integers(1, 50), st.integers(1, 60))
def test_cut_pieces_have_each_row_once(start: int, rows: int, size: int) -> None:
    unit = Unit(start, start + rows)
    pieces = list(unit.cut(size))
    assert [row for piece in pieces for row in rows_of(piece)] == rows_of(unit)
    assert all(piece.rows <= size for piece in pieces)


@given(units.filter(lambda unit: unit.rows > 1), st.data())
def test_halves_have_each_row_once(unit: Unit, data: st.DataObject) -> None:
    at = data.draw(st.just(unit.middle) | st.integers(unit.start + 1, unit.end - 1))
    first, second = unit.split(at)
    assert (first.start, first.end, second.start, second.end) == (unit.start, at, at, unit.end)
    assert first.rows > 0
    assert second.rows > 0
    assert unit.contains(first)
    assert unit.contains(second)
    assert not first.contains(unit)


@pytest.mark.parametrize("at", [3, 7, 2, 8])
def test_a_unit_is_not_split_at_its_ends(at: int) -> None:
    with pytest.raises(AssertionError):
        Unit(3, 7).split(at)


@given(st.sets(st.integers(0, 30)))
def test_merging_joins_neighbours_and_keeps_rows(rows: set[int]) -> None:
    merged = merge(Unit(row, row + 1) for row in sorted(rows))
    assert [row for unit in merged for row in rows_of(unit)] == sorted(rows)
    assert all(one.end < other.start for one, other in itertools.pairwise(merged))


@given(counts, counts)
def test_counts_add_up(one: RowCounts, other: RowCounts) -> None:
    assert (one + other).total == one.total + other.total
    assert (one + other).cancelled == one.cancelled + other.cancelled


@pytest.mark.parametrize(
    ("rows", "unit_rows"),
    [
        *((1, 1), (FEWEST_UNITS, 1), (FEWEST_UNITS * 10, 10), (10**9, LARGEST_UNIT_ROWS)),
        *((MOST_UNITS * 1000, 1000), (MOST_UNITS * 1000 + 1, 1001)),
    ],
)
def test_a_small_job_is_cut_for_a_small_fleet_and_a_large_one_for_memory(
    rows: int, unit_rows: int
) -> None:
    assert default_unit_rows(rows, 0) == unit_rows


@pytest.mark.parametrize(
    ("rows", "row_bytes", "unit_rows"),
    [
        (10**6, LARGEST_UNIT_BYTES // LARGEST_UNIT_ROWS, LARGEST_UNIT_ROWS),
        (10**6, LARGEST_UNIT_BYTES // 12, 12),
        (10**6, LARGEST_UNIT_BYTES * 2, 1),
        (MOST_UNITS * 10, LARGEST_UNIT_BYTES // 2, 10),
    ],
)
def test_a_unit_of_large_requests_has_fewer_rows_while_a_job_has_room_for_more_units(
    rows: int, row_bytes: int, unit_rows: int
) -> None:
    assert default_unit_rows(rows, row_bytes) == unit_rows
