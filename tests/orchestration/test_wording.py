"""Counts, moments, durations and sizes, as people read them."""

import pytest

from ancestral.orchestration.wording import clock_text, counted, duration, moment, size


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (counted(0, "request"), "0 requests"),
        (counted(1, "request"), "1 request"),
        (counted(1000, "sample"), "1,000 samples"),
        (duration(0.04), "0.0 s"),
        (duration(99.94), "99.9 s"),
        (duration(100), "1 min 40 s"),
        (duration(3599.6), "1 h 0 min"),
        (duration(9000), "2 h 30 min"),
        (clock_text(0.4), "0:00"),
        (clock_text(18), "0:18"),
        (clock_text(123), "2:03"),
        (clock_text(8298), "2:18:18"),
        (size(999), "999 bytes"),
        (size(1234), "1.2 kB"),
        (size(3.4e12), "3.4 TB"),
        (size(5e15), "5,000.0 TB"),
    ],
)
def test_numbers_are_said_in_the_unit_that_fits(said: str, wanted: str) -> None:
    assert said == wanted


def test_a_moment_is_said_in_utc_whatever_zone_it_is_written_in() -> None:
    assert moment("2026-11-22T17:30:59+02:00") == "2026-11-22 15:30 UTC"
