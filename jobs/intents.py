"""What people want of a job: that it runs, pauses, or ends early. Kept in the store.

    intents/00000001   pause, "the lake is being moved"
    intents/00000002   run
    intents/00000003   cancel                             final

The queue is told after the object is there, so that a queue that forgot everything learns it again.
The number of an intent orders them, wherever they were declared; the last one holds.
"""

from __future__ import annotations

import enum
import json
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from ancestral.jobs import layout
from ancestral.jobs.errors import AlreadyExists, CorruptObject
from ancestral.jobs.store import Store


class Wanted(enum.Enum):
    """What a job should do."""

    RUN = "run"
    PAUSE = "pause"
    #: Keep what is finished, and draw no more. Nothing can be wanted after it.
    CANCEL = "cancel"
    #: It cannot go on, and somebody has to mend something first.
    FAIL = "fail"


@dataclass(frozen=True)
class Intent:
    """One of them: `number` counts from 1, and 0 stands for a job of which nothing was said."""

    number: int = 0
    wanted: Wanted = Wanted.RUN
    #: Why, in a sentence for people.
    reason: str | None = None
    #: ISO 8601 in UTC.
    created_at: str = ""
    #: Tells one's own from another's of the same number.
    author: str = ""


def latest_intent(store: Store, job_id: str) -> Intent:
    """The intent that holds. Raises CorruptObject and StoreError."""
    number = layout.last_number(store.list(layout.intents_folder(job_id)))
    return _read(store, job_id, number) if number else Intent()


def declare(store: Store, job_id: str, wanted: Wanted, reason: str | None = None) -> Intent:
    """Make `wanted` the intent that holds; the one that holds afterwards.

    That is another's when the same is wanted already, or when the job was cancelled. Raises
    CorruptObject and StoreError.
    """
    author = uuid.uuid4().hex
    while True:
        standing = latest_intent(store, job_id)
        if standing.wanted in (wanted, Wanted.CANCEL):
            return standing
        created_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        intent = Intent(standing.number + 1, wanted, reason, created_at, author)
        document = {**asdict(intent), "wanted": wanted.value}
        try:
            store.create(layout.intent_path(job_id, intent.number), json.dumps(document).encode())
        except AlreadyExists:
            # Somebody was faster, or it is our own and the answer was lost.
            if _read(store, job_id, intent.number) != intent:
                continue
        return intent


def _read(store: Store, job_id: str, number: int) -> Intent:
    path = layout.intent_path(job_id, number)
    try:
        document = json.loads(store.read(path))
        return Intent(**{**document, "number": number, "wanted": Wanted(document["wanted"])})
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptObject(f"{store.uri_of(path)} is no intent") from error
