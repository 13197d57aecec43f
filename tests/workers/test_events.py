"""Events are logged: what happens while all goes well, quietly."""

from __future__ import annotations

import logging

import pytest

from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.events import (
    Event,
    JobDeclined,
    UnitAdopted,
    UnitCommitted,
    UnitFailed,
    UnitLost,
    UnitSplit,
    UnitStarted,
    log_event,
)

UNIT = Unit(0, 8)


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (UnitStarted("ann", "job", UNIT, "a"), logging.DEBUG),
        (UnitCommitted("ann", "job", UNIT, RowCounts(), 512), logging.DEBUG),
        (UnitAdopted("ann", "job", UNIT, RowCounts()), logging.DEBUG),
        (UnitSplit("ann", "job", UNIT, 4, "share"), logging.DEBUG),
        (UnitLost("ann", "job", UNIT), logging.WARNING),
        (JobDeclined("ann", "job", "it needs a GPU"), logging.WARNING),
        # One that nobody thought of is not passed over
        (Event("ann"), logging.WARNING),
    ],
)
def test_what_is_not_usual_is_a_warning(
    caplog: pytest.LogCaptureFixture, event: Event, level: int
) -> None:
    with caplog.at_level(logging.DEBUG, "ancestral.workers"):
        log_event(event)

    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [(level, str(event))]


def test_what_broke_a_unit_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log_event(UnitFailed("ann", "job", UNIT, "OSError: no", 1.0, traceback="Traceback: ..."))

    told, trace = (each.getMessage() for each in caplog.records)
    assert "OSError: no" in told and "Traceback" not in told
    assert trace == "Traceback: ..."
