"""What a worker tells while it works, for progress bars, metrics and logs.

A worker calls its listener from several threads, and waits for it: a listener should be quick, and
must not raise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ancestral.jobs.units import RowCounts, Unit

_log = logging.getLogger("ancestral.workers")


@dataclass(frozen=True)
class Event:
    """Something that happened to the worker of that name."""

    worker: str


@dataclass(frozen=True)
class UnitStarted(Event):
    """A unit was leased and its rows were read; they wait for free slots."""

    job_id: str
    unit: Unit
    attempt: str


@dataclass(frozen=True)
class UnitCommitted(Event):
    """This worker's attempt decided the unit; `pack_bytes` is the size of its pack."""

    job_id: str
    unit: Unit
    counts: RowCounts
    pack_bytes: int


@dataclass(frozen=True)
class UnitAdopted(Event):
    """The unit was decided by another attempt, whose record stands; own work was discarded."""

    job_id: str
    unit: Unit
    counts: RowCounts


@dataclass(frozen=True)
class UnitLost(Event):
    """The lease went to somebody else; rows in flight are thrown away."""

    job_id: str
    unit: Unit


@dataclass(frozen=True)
class UnitReleased(Event):
    """The unit was handed back without charging it an attempt."""

    job_id: str
    unit: Unit
    reason: str


@dataclass(frozen=True)
class UnitFailed(Event):
    """The unit broke; it was charged an attempt and can be leased again after `rest_seconds`."""

    job_id: str
    unit: Unit
    error: str
    rest_seconds: float
    traceback: str = field(repr=False)


@dataclass(frozen=True)
class UnitGivenUp(Event):
    """The unit has no attempts left; all its rows are being recorded as failed with `error`."""

    job_id: str
    unit: Unit
    error: str


@dataclass(frozen=True)
class Hiccup(Event):
    """The queue or the store did not answer; `doing` is tried again after `retry_seconds`, or given
    up when that is None."""

    doing: str
    error: str
    retry_seconds: float | None


#: Who is told.
Listener = Callable[[Event], None]


def log_event(event: Event) -> None:
    """The listener of a worker that was given none: trouble is logged as warnings."""
    troubled = isinstance(event, UnitLost | UnitReleased | UnitFailed | UnitGivenUp | Hiccup)
    _log.log(logging.WARNING if troubled else logging.DEBUG, "%s", event)
    if isinstance(event, UnitFailed):
        _log.warning("%s", event.traceback)
