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

#: Once a queue or a store was waited for so long, people should hear of it.
UNTOLD_SECONDS = 3.0


@dataclass(frozen=True)
class Event:
    """Something that happened to the worker of that name."""

    worker: str


@dataclass(frozen=True)
class UnitEvent(Event):
    """Something that happened to a unit there."""

    job_id: str
    unit: Unit


@dataclass(frozen=True)
class UnitStarted(UnitEvent):
    """A unit was leased and its rows were read; they wait for free slots."""

    attempt: str


@dataclass(frozen=True)
class UnitCommitted(UnitEvent):
    """This worker's attempt decided the unit; `pack_bytes` is the size of its pack."""

    counts: RowCounts
    pack_bytes: int


@dataclass(frozen=True)
class UnitAdopted(UnitEvent):
    """The unit was decided by another attempt, whose record stands; own work was discarded."""

    counts: RowCounts


@dataclass(frozen=True)
class UnitSplit(UnitEvent):
    """This worker split the unit at the row `at`.

    reason: "bisect", to find the row that breaks it; "guide", since it is larger than needed now;
    "share", with a worker that has nothing to do; "hand back" or "drain", to keep what is drawn.
    """

    at: int
    reason: str


@dataclass(frozen=True)
class UnitLost(UnitEvent):
    """The unit went to somebody else, or was split by another worker; rows in flight are thrown
    away."""


@dataclass(frozen=True)
class UnitReleased(UnitEvent):
    """The unit was handed back without charging it an attempt; `error` is the trouble of the store
    or the queue that it could not be drawn for, if there was any."""

    reason: str
    error: Exception | None = None


@dataclass(frozen=True)
class JobDeclined(Event):
    """This worker cannot draw as the job asks, for that reason, and leaves its units to others.

    It is told once, though the job is looked at again each minute.
    """

    job_id: str
    reason: str


@dataclass(frozen=True)
class UnitFailed(UnitEvent):
    """The unit broke; it was charged an attempt and can be leased again after `rest_seconds`."""

    error: str
    rest_seconds: float
    traceback: str = field(repr=False)


@dataclass(frozen=True)
class UnitGivenUp(UnitEvent):
    """The unit has no attempts left; its rows are being recorded as failed with the last error, of
    which `error` is the line that names it."""

    error: str


@dataclass(frozen=True)
class Hiccup(Event):
    """The queue or the store did not answer; `doing` is tried again after `retry_seconds`, or given
    up when that is None."""

    doing: str
    error: str
    retry_seconds: float | None
    #: For how long it was tried again and again by now, as far as that was counted.
    waited_seconds: float = 0.0


@dataclass(frozen=True)
class SlotsHalved(Event):
    """Device memory ran out: the rows in slots are begun anew, `slots` at once from now on."""

    slots: int


@dataclass(frozen=True)
class WorkerHung(Event):
    """The worker has units in hand, and made no progress for so many seconds."""

    seconds: float


#: Who is told.
Listener = Callable[[Event], None]


#: What happens while all goes well.
_USUAL = (UnitStarted, UnitCommitted, UnitAdopted, UnitSplit)


def log_event(event: Event) -> None:
    """The listener of a worker that was given none: what people should hear of is logged as a
    warning, in a sentence; the rest for who looks closer, and so is what broke a unit."""
    if (sentence := describe(event)) is not None:
        _log.warning("%s", sentence)
    else:
        _log.log(logging.DEBUG if isinstance(event, _USUAL) else logging.INFO, "%s", event)
    if isinstance(event, UnitFailed):
        _log.info("%s", event.traceback)


def describe(event: Event) -> str | None:
    """The event as a sentence for people, if it is one they should hear of."""
    match event:
        case UnitFailed():
            return (
                f"{_rows(event.unit)} broke on {event.worker} and will be tried again: "
                f"{event.error}"
            )
        case UnitSplit(reason="bisect"):
            return f"{_rows(event.unit)} broke again, and are halved to find the one that breaks"
        case UnitGivenUp():
            return (
                f"{_rows(event.unit)} cannot be drawn and will be recorded as failed; the last "
                f"attempt: {event.error}"
            )
        case UnitReleased(error=Exception()):
            return f"units are handed back until that is mended: {event.reason}"
        case JobDeclined():
            return f"{event.reason}; it is left to other samplers"
        case SlotsHalved():
            return (
                f"{event.worker} ran out of device memory, begins its rows again and draws "
                f"{event.slots} at once from now on"
            )
        case WorkerHung():
            return f"{event.worker} made no progress for {event.seconds:.0f} s and is ended"
        case Hiccup(retry_seconds=None):
            return f"{event.worker} gave up {event.doing}: {event.error}"
        case Hiccup() if event.waited_seconds >= UNTOLD_SECONDS:
            return f"waiting: {event.error}"
        case _:
            return None


def _rows(unit: Unit) -> str:
    return f"row {unit.start}" if unit.rows == 1 else f"rows {unit.start} to {unit.end - 1}"
