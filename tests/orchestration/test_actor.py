"""What samplers tell people, and what they keep to themselves."""

from __future__ import annotations

import pytest

from ancestral.jobs.errors import StoreDenied
from ancestral.jobs.units import RowCounts, Unit
from ancestral.orchestration import actor
from ancestral.orchestration.actor import describe
from ancestral.workers.events import (
    Event,
    Hiccup,
    JobDeclined,
    SlotsHalved,
    UnitCommitted,
    UnitFailed,
    UnitGivenUp,
    UnitReleased,
    UnitSplit,
    UnitStarted,
    WorkerHung,
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
            ["rows 20 to 29 cannot be drawn", "recorded as failed", "out of memory"],
        ),
        (
            UnitGivenUp("host-1-ab", "job", Unit(20, 21), "out of memory"),
            ["row 20 cannot be drawn"],
        ),
        (
            UnitSplit("host-1-ab", "job", UNIT, 25, "bisect"),
            ["rows 20 to 29 broke again", "halved"],
        ),
        (
            UnitReleased("host-1-ab", "job", UNIT, "no room", StoreDenied("no room\nat all")),
            ["handed back until that is mended", "no room"],
        ),
        (
            SlotsHalved("host-1-ab", 32),
            ["host-1-ab ran out of device memory", "draws 32 at once"],
        ),
        (
            JobDeclined("host-1-ab", "job", "cpu does not draw job 7: no bfloat16"),
            ["cpu does not draw job 7", "left to samplers on other devices"],
        ),
        (WorkerHung("host-1-ab", 600.4), ["host-1-ab made no progress for 600 s"]),
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
        UnitSplit("host-1-ab", "job", UNIT, 25, "share"),
        UnitReleased("host-1-ab", "job", UNIT, "the worker is draining"),
        Hiccup("host-1-ab", "claiming units", "no answer", 2.0),
    ],
)
def test_what_goes_its_way_is_not_told(event: Event) -> None:
    assert describe(event) is None


def test_a_process_that_hangs_ends_once_its_last_news_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    done: list[tuple[str, float]] = []
    monkeypatch.setattr("time.sleep", lambda seconds: done.append(("slept", seconds)))
    monkeypatch.setattr("os._exit", lambda code: done.append(("ended", code)))

    # When
    actor.end_process()

    # Then
    assert done == [("slept", actor.LAST_WORDS_SECONDS), ("ended", actor.HUNG)]
