"""What samplers tell people, and what they keep to themselves."""

from __future__ import annotations

import pytest

from ancestral.jobs.units import RowCounts, Unit
from ancestral.orchestration.actor import describe
from ancestral.workers.events import (
    Event,
    Hiccup,
    UnitCommitted,
    UnitFailed,
    UnitGivenUp,
    UnitStarted,
)

UNIT = Unit(20, 30)


@pytest.mark.parametrize(
    ("event", "parts"),
    [
        (
            UnitFailed("host-1-ab", "job", UNIT, "out of memory", 1.0, "Traceback ..."),
            ["rows 20 to 29 broke on host-1-ab", "tried again", "out of memory"],
        ),
        (
            UnitGivenUp("host-1-ab", "job", UNIT, "out of memory"),
            ["rows 20 to 29 are recorded as failed", "out of memory"],
        ),
        (
            Hiccup("host-1-ab", "claiming units", "no answer", None),
            ["host-1-ab gave up claiming units", "no answer"],
        ),
    ],
)
def test_trouble_is_told_in_a_sentence(event: Event, parts: list[str]) -> None:
    sentence = describe(event)

    assert sentence is not None and "\n" not in sentence
    assert all(part in sentence for part in parts)


@pytest.mark.parametrize(
    "event",
    [
        UnitStarted("host-1-ab", "job", UNIT, "attempt"),
        UnitCommitted("host-1-ab", "job", UNIT, RowCounts(10), 1000),
        Hiccup("host-1-ab", "claiming units", "no answer", 2.0),
    ],
)
def test_what_goes_its_way_is_not_told(event: Event) -> None:
    assert describe(event) is None
