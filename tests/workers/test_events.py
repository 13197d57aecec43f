"""What a worker tells: trouble in sentences for people, the rest for who looks closer."""

from __future__ import annotations

import logging

import pytest

from ancestral.jobs.errors import StoreDenied
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.events import (
    Event,
    Hiccup,
    JobDeclined,
    SlotsHalved,
    UnitAdopted,
    UnitCommitted,
    UnitFailed,
    UnitGivenUp,
    UnitLost,
    UnitReleased,
    UnitSplit,
    UnitStarted,
    WorkerHung,
    describe,
    log_event,
)

UNIT = Unit(20, 30)


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (UnitStarted("ann", "job", UNIT, "a"), logging.DEBUG),
        (UnitCommitted("ann", "job", UNIT, RowCounts(), 512), logging.DEBUG),
        (UnitAdopted("ann", "job", UNIT, RowCounts()), logging.DEBUG),
        (UnitSplit("ann", "job", UNIT, 24, "share"), logging.DEBUG),
        (UnitLost("ann", "job", UNIT), logging.INFO),
        # One that nobody thought of is not passed over
        (Event("ann"), logging.INFO),
    ],
)
def test_what_people_need_not_hear_is_logged_below_warnings(
    caplog: pytest.LogCaptureFixture, event: Event, level: int
) -> None:
    with caplog.at_level(logging.DEBUG, "ancestral.workers"):
        log_event(event)

    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [(level, str(event))]


def test_what_people_should_hear_is_a_warning_in_a_sentence_and_its_traceback_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = UnitFailed("ann", "job", UNIT, "OSError: no", 1.0, traceback="Traceback: ...")

    with caplog.at_level(logging.DEBUG, "ancestral.workers"):
        log_event(event)

    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.WARNING, "rows 20 to 29 broke on ann and will be tried again: OSError: no"),
        (logging.INFO, "Traceback: ..."),
    ]


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
            ["cpu does not draw job 7", "left to other samplers"],
        ),
        (WorkerHung("host-1-ab", 600.4), ["host-1-ab made no progress for 600 s"]),
        (
            Hiccup("host-1-ab", "claiming units", "no answer", None),
            ["host-1-ab gave up claiming units", "no answer"],
        ),
        (
            Hiccup("host-1-ab", "writing a pack", "no space left on device", 5.0, 3.5),
            ["waiting: no space left on device"],
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
        Hiccup("host-1-ab", "writing a pack", "no space left on device", 1.0, 2.5),
    ],
)
def test_what_goes_its_way_is_not_told(event: Event) -> None:
    assert describe(event) is None
