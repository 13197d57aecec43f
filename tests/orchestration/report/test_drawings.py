"""Charts: what the drawn shapes say about the numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ancestral.orchestration.report.drawings import (
    curve,
    histogram,
    nice_step,
    stacked_bars,
    waveform,
)
from ancestral.orchestration.report.measures import drawing_seconds, throughput

STARTED = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)


@given(st.floats(1e-6, 1e9), st.integers(1, 50))
def test_steps_are_few_round_and_no_larger_than_they_must_be(span: float, steps: int) -> None:
    step = nice_step(span, steps)

    assert span / step <= steps * 1.01
    assert span / step >= steps / 2.51
    assert f"{step:.0e}"[0] in "125"


def points_of(drawing: str) -> list[tuple[float, float]]:
    """Where a curve goes, in pixels."""
    path = re.search(r'd="M([^"]*)"', drawing)
    assert path is not None
    return [(float(x), float(y)) for x, y in (point.split() for point in path[1].split("L"))]


def test_a_curve_goes_through_every_value_from_the_lowest_to_the_highest() -> None:
    drawing = curve(np.array([-5.0, 15.0, 5.0]), columns=30, height=22)

    assert points_of(drawing) == [(5, 21), (15, 1), (25, 11)]


def test_a_long_curve_misses_no_peak() -> None:
    # Given more values than columns, with one peak and one trough
    values = np.zeros(1000)
    values[345], values[812] = 7.0, -1.0

    points = points_of(curve(values, columns=10, height=10))

    assert len(points) == 20
    assert [x for x, y in points if y == 1] == [3.5]
    assert [x for x, y in points if y == 9] == [8.5]


@pytest.mark.parametrize("values", [[], [np.nan], [3.0], [3.0, 3.0], [np.inf, 1.0, 2.0]])
def test_every_series_has_a_curve(values: list[float]) -> None:
    drawing = curve(np.array(values))

    assert "nan" not in drawing and "inf" not in drawing
    assert drawing.count("<path") == (1 if np.isfinite(values).any() else 0)


def test_values_that_differ_by_rounding_alone_have_a_histogram() -> None:
    values = np.array([2.885390081777927, 2.8853900817779268])

    drawing = histogram(values, unit="bits", description="bits", marks={"mean": values.mean()})

    assert drawing.count("2 rows") == 1


def test_a_waveform_has_a_stroke_for_each_column_from_its_lowest_to_its_highest_sample() -> None:
    # Given silence, then a loud stretch, then one half as loud that stays above zero
    samples = np.concatenate(
        [np.zeros(10), np.tile([30000, -30000], 5), np.full(10, 15000)]
    ).astype(np.int16)

    # When
    drawing = waveform(samples, columns=3, height=22)

    # Then the strokes are (top, bottom) in pixels, zero in the middle and always in
    strokes = [
        (float(top), float(bottom))
        for top, bottom in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", drawing)
    ]
    assert strokes == [(11.0, 11.6), (1.0, 21.0), (6.0, 11.0)]


def test_a_sound_shorter_than_the_drawing_is_wide_is_drawn_too() -> None:
    assert waveform(np.array([5], np.int16), columns=90).count("M") == 1


@example([5e-324], 0.0)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(-100, 100))
def test_a_histogram_counts_every_value_once(values: list[float], mark: float) -> None:
    drawing = histogram(
        np.array(values), unit="bits", description="of bits", marks={"mean": mark}, bins=7
    )

    assert sum(int(count) for count in re.findall(r"bits: (\d+) rows", drawing)) == len(values)
    places = [
        float(x) for x in re.findall(r'(?:rect class="bar"|text)[^>]* x="([-\d.]+)"', drawing)
    ]
    assert all(0 <= x <= 520 for x in places)


def test_names_in_a_chart_are_escaped() -> None:
    drawing = stacked_bars(
        {"<b>": np.ones(2)}, width=1.0, unit="s", value_unit="rows", description='"><b>'
    )

    assert "<b>" not in drawing


def index_of(attempts: list[tuple[str, float, float, int]]) -> pa.Table:
    """The columns of an index that throughput is read from; an attempt is its worker, the second
    at which it was committed, how many seconds its rows took together, and how many they are."""
    columns: dict[str, list[object]] = {
        name: [] for name in ("ordinal", "attempt", "worker", "created_at", "sampling_seconds")
    }
    for number, (worker, committed, spent, rows) in enumerate(attempts):
        for _ in range(rows):
            columns["ordinal"].append(len(columns["ordinal"]))
            columns["attempt"].append(str(number))
            columns["worker"].append(worker)
            columns["created_at"].append(STARTED + timedelta(seconds=committed))
            columns["sampling_seconds"].append(spent / rows if spent else None)
    return pa.table(columns)


def test_drawing_begins_so_long_before_the_first_commit_as_its_rows_took() -> None:
    # Given a worker whose first unit took 4 seconds, and one that began after it
    table = index_of([("ann", 10, 4, 8), ("bob", 11, 3, 6), ("ann", 15, 5, 8)])

    assert drawing_seconds(table) == pytest.approx(9)


def test_units_that_shared_the_slots_of_a_worker_stand_one_after_another() -> None:
    # Given two units that were committed a moment apart, of 3 seconds of the sampler each
    table = index_of([("ann", 10.0, 3, 9), ("ann", 10.1, 3, 9)])

    # Then the worker drew for 6 seconds, at 3 rows a second all the time
    assert drawing_seconds(table) == pytest.approx(6)
    chart = throughput(table)
    assert chart is not None
    rates = re.findall(r"<title>ann: ([\d.]+) rows a second at", chart.drawing)
    assert set(rates) == {"3"}


def test_rows_that_were_never_drawn_take_no_time() -> None:
    assert 0 < drawing_seconds(index_of([("ann", 10, 0, 8)])) < 0.01


def test_the_bars_of_throughput_hold_every_row_under_its_worker() -> None:
    # Given 40 rows in 40 seconds by one worker, and 80 by another
    units = [("ann", 10.0 * (n + 1), 10.0, 10) for n in range(4)]
    units += [("bob", 10.0 * (n + 1), 10.0, 20) for n in range(4)]

    # When
    chart = throughput(index_of(units))

    # Then every bar of a second stands at their speed
    assert chart is not None
    rates = re.findall(r"<title>(\w+): ([\d.]+) rows a second at", chart.drawing)
    assert rates == [("ann", "1")] * 40 + [("bob", "2")] * 40
    assert chart.legend == ("ann", "bob")


def test_many_workers_share_the_last_colour() -> None:
    chart = throughput(index_of([(f"worker {n:02d}", 10, 10, 1) for n in range(20)]))

    assert chart is not None
    assert chart.legend == (*(f"worker {n:02d}" for n in range(5)), "15 more")
