"""The states of a job, and how it moves between them.

                              pause               resume
                 ┌───────► paused ◄──────────┐      ▲ │
                 │            │ resume       │      │ ▼
    submit ──► pending ──► running ──────────┴──► failed      somebody has to mend something
                 │            │      every row is decided
                 │ cancel     ├───────────────────► finalising ──► done
                 ▼            ▼ cancel                  ▲     ├──► done_with_errors
              cancelling ◄──(paused, failed)            │     └──► cancelled
                 └──────────────────────────────────────┘
                   leases are handed back, what is undecided is sealed

Nothing keeps a state. It is told from what the store and the queue say at the moment, here and
nowhere else, and every state but `running` carries a reason.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ancestral.jobs.errors import UsageError
from ancestral.jobs.intents import Wanted
from ancestral.jobs.units import RowCounts


class State(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    FINALISING = "finalising"
    DONE = "done"
    DONE_WITH_ERRORS = "done_with_errors"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether the job changes no more."""
        return self in FINISHED


FINISHED = frozenset({State.DONE, State.DONE_WITH_ERRORS, State.CANCELLED})


@dataclass(frozen=True)
class Facts:
    """What is known of a job that has no manifest yet."""

    rows: int
    #: Rows of which it is known what became of them; of a sealed job, all.
    decided: int
    wanted: Wanted = Wanted.RUN
    #: Why that is wanted.
    wanted_reason: str | None = None
    #: Units that workers hold.
    leased: int = 0
    #: Units that wait for a worker.
    ready: int = 0
    #: Whether a queue told of it; who works on it is not known else.
    queued: bool = True
    #: What keeps workers from claiming; None when nothing does.
    obstacle: str | None = None
    #: Why a worker left it to others; "" if none did.
    declined: str = ""


def state_of(facts: Facts) -> tuple[State, str | None]:
    """The state of an unfinished job, and why it is in it."""
    if facts.wanted is Wanted.FAIL:
        return State.FAILED, facts.wanted_reason or "it cannot go on"
    if facts.decided == facts.rows:
        return State.FINALISING, "every row is decided, and its table is being written"
    units = "1 unit is" if facts.leased == 1 else f"{facts.leased} units are"
    held = f"; {units} being handed back" if facts.leased else ""
    if facts.wanted is Wanted.CANCEL:
        return State.CANCELLING, f"{facts.wanted_reason or 'cancelled'}{held}"
    if facts.wanted is Wanted.PAUSE:
        return State.PAUSED, f"{facts.wanted_reason or 'by `ancestral pause`'}{held}"
    if facts.leased:
        return State.RUNNING, None
    # Once rows are decided it has begun, even if nobody works on it now.
    left = f"; one left it to others: {facts.declined}" if facts.declined else ""
    reason = facts.obstacle or f"no worker holds any of its {facts.ready} units{left}"
    if facts.decided and not facts.queued:
        decided = f"{facts.decided:,} of {facts.rows:,} rows are decided"
        return State.PENDING, f"{decided}; {reason}"
    return (State.RUNNING if facts.decided else State.PENDING), reason


def final_state(counts: RowCounts, cancelled_for: str | None = None) -> tuple[State, str]:
    """The state of a job whose rows ended like this, and why; `cancelled_for` is a reason."""
    if counts.cancelled:
        undrawn = f"{counts.cancelled} of {counts.total} rows were not drawn"
        return State.CANCELLED, f"{cancelled_for}; {undrawn}" if cancelled_for else undrawn
    if counts.failed:
        return State.DONE_WITH_ERRORS, f"{counts.failed} rows failed; the index says why"
    return State.DONE, "every row is in the index"


#: What cannot be done any more with a finished job.
_DONE_TO_IT = {
    Wanted.RUN: "resumed",
    Wanted.PAUSE: "paused",
    Wanted.CANCEL: "cancelled",
    Wanted.FAIL: "stopped",
}


def check_wanted(job_id: str, state: State, wanted: Wanted) -> None:
    """Raises UsageError when a job in this state cannot be made to do what is wanted."""
    if state.finished:
        raise UsageError(f"job {job_id} is {state}: it cannot be {_DONE_TO_IT[wanted]} any more")
    if state is State.CANCELLING and wanted is not Wanted.CANCEL:
        raise UsageError(f"job {job_id} is being cancelled; submit it anew to draw the rest")
