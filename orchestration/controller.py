"""What one job needs besides workers: its queue kept true, and its end.

    look, twice a second
      the queue does not know the job, or its server was restarted ──► recover
      who was building the queue went silent                       ──► recover
      a minute has passed                                          ──► audit, recover if need be
      no units left, or it is cancelled and nobody holds any       ──► finalise, a part a look
      something is broken that no worker gets past                 ──► the intent to fail

Any number of controllers may look after one job, on any machines: what they do is decided in the
store, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject, NotFound, RowsMissing, UnknownJob
from ancestral.jobs.finalise import finalise, finalise_by_parts
from ancestral.jobs.intents import Intent, Wanted, declare, latest_intent
from ancestral.jobs.manifest import Manifest, read_manifest
from ancestral.jobs.queue import Queue, QueueCounts
from ancestral.jobs.recovery import REBUILD_SECONDS, audit, recount, recover
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.orchestration.scaling import samplers_needed, seconds_of_drawing

#: Between two audits of a job, unless it is so large that they would take more of the time than
#: one part in `AUDIT_SHARE`.
AUDIT_SECONDS = 60.0
AUDIT_SHARE = 10

#: Between two looks at what is wanted of a job that failed, and between two attempts to publish
#: one whose rows were not all there.
LISTING_SECONDS = 5.0


class Controller:
    """Looks after one job until it is published. `say` is told what people should hear of."""

    def __init__(
        self,
        queue: Queue,
        store: Store,
        job: Job,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds and never goes back."""
        self._queue = queue
        self._store = store
        self.job = job
        self._say = say
        self._clock = clock
        self._audit_at = clock()
        self._publish_at = clock()
        #: What is under way of publishing the job.
        self._parts: Iterator[Manifest | None] | None = None
        self._said: str | None = None
        self._heard: tuple[Wanted, int] = (Wanted.RUN, 0)
        self._cancelled_at: float | None = None
        #: The job's failure, from when it is seen until somebody resumes the job.
        self.failure: str | None = None
        self._failure_at = clock()
        #: As of the last look; None while the queue does not know the job.
        self.counts: QueueCounts | None = None

    @property
    def open_units(self) -> int:
        """Units that are ready or held, if the job is to be drawn; as of the last look."""
        counts = self.counts
        if counts is None or counts.wanted is not Wanted.RUN or self.failure is not None:
            return 0
        return counts.ready + counts.leased

    def samplers_needed(self, now: float) -> int:
        """How many samplers should draw the job, as of the last look; `now` is in seconds since
        1970."""
        counts, at = self.counts, self.job.deadline_at
        if counts is None or counts.seconds_per_row is None or at is None:
            return self.open_units
        rows, held = self.job.rows - counts.rows_decided, counts.leased * self.job.unit_rows
        seconds = seconds_of_drawing(rows, held, counts.seconds_per_row)
        return samplers_needed(self.open_units, seconds, at.timestamp() - now)

    def look(self) -> Manifest | None:
        """Do what is due, without waiting; the manifest once the job is published.

        The caller then makes the queue forget the job. Of a large one each look publishes a part,
        so that neither other jobs nor whoever wants to stop wait for all of them. Raises QueueError
        and StoreError when the queue or the store cannot be used now: look again later; UnknownJob
        when the job is no longer in its output.
        """
        try:
            return self._look()
        except (CorruptObject, NotFound) as error:
            self._check_there()
            self._fail(str(error))
            return None

    def _look(self) -> Manifest | None:
        if self._stays_failed():
            return None
        self.counts = counts = self._count()
        if counts is None:
            if read_manifest(self._store, self.job.job_id) is not None:
                return finalise(self._store, self.job.job_id)
            self._recover("the queue does not know it")
        elif counts.stale:
            self._recover("the queue's server was restarted")
        elif counts.rebuilding:
            if counts.rebuilt_seconds >= REBUILD_SECONDS:
                self._recover("who was building its queue went silent")
        elif self._should_go_on(counts):
            if self._clock() >= self._audit_at:
                self._audit()
            elif self._is_over(counts):
                return self._publish()
        return None

    def _count(self) -> QueueCounts | None:
        try:
            return self._queue.counts(self.job.job_id)
        except UnknownJob:
            return None

    def _recover(self, reason: str) -> None:
        self._say(f"job {self.job.job_id}: {reason}; what is undecided is queued from the store")
        if recover(self._queue, self._store, self.job):
            recount(self._queue, self._store, self.job)
        self._audit_at = self._clock() + AUDIT_SECONDS

    def _check_there(self) -> None:
        """Raises UnknownJob when the job is not in its output any more."""
        if not self._store.exists(layout.spec_path(self.job.job_id)):
            raise UnknownJob(
                f"the job {self.job.job_id!r} is no longer in its output {self._store.uri}"
            )

    def _audit(self) -> None:
        self._check_there()
        start = self._clock()
        sound = audit(self._queue, self._store, self.job)
        now = self._clock()
        self._audit_at = now + max(AUDIT_SECONDS, AUDIT_SHARE * (now - start))
        if sound:
            recount(self._queue, self._store, self.job)
        else:
            self._recover("the queue does not say what the store says")

    def _should_go_on(self, counts: QueueCounts) -> bool:
        """Take note of what is wanted; False for a job that has failed."""
        if self._heard != (heard := (counts.wanted, counts.intent)):
            self._heard = heard
            self._cancelled_at = self._clock() if counts.wanted is Wanted.CANCEL else None
            intent = latest_intent(self._store, self.job.job_id)
            if counts.wanted is Wanted.FAIL:
                self._take_for_failed(intent)
            else:
                self._tell(_sentence(counts.wanted, intent))
        return self.failure is None

    def _is_over(self, counts: QueueCounts) -> bool:
        """Whether nothing more will be drawn that should count."""
        if counts.leased:
            # Nobody claims from a job that is cancelled, so nobody else does this for it.
            self._queue.reap()
        now = self._clock()
        if now < self._publish_at:
            return False
        if self._cancelled_at is not None:
            return not counts.leased or now - self._cancelled_at >= self._queue.lease_seconds
        return counts.ready + counts.leased == 0

    def _publish(self) -> Manifest | None:
        parts = self._parts or finalise_by_parts(self._store, self.job.job_id)
        # Should it raise anything, it is begun anew.
        self._parts = None
        try:
            manifest = next(parts)
        except RowsMissing:
            # The queue is wrong about the store.
            self._publish_at = self._clock() + LISTING_SECONDS
            self._audit()
            return None
        if manifest is None:
            self._parts = parts
        return manifest

    def _fail(self, reason: str) -> None:
        """Nobody gets past this: workers should not try, and people should know."""
        intent = declare(self._store, self.job.job_id, Wanted.FAIL, reason)
        self._queue.want(self.job.job_id, intent.wanted, intent.number)
        # A cancelled job stays cancelled in the store; here it is left alone for a while.
        self._take_for_failed(intent if intent.wanted is Wanted.FAIL else Intent(reason=reason))

    def _take_for_failed(self, intent: Intent) -> None:
        self.failure = intent.reason or "it cannot go on"
        self._failure_at = self._clock()
        self._tell(f"failed: {self.failure}; mend it, and resume the job")

    def _stays_failed(self) -> bool:
        """Whether the job has failed, and nobody has resumed or cancelled it since."""
        if self.failure is not None and self._clock() - self._failure_at >= LISTING_SECONDS:
            self._failure_at = self._clock()
            intent = latest_intent(self._store, self.job.job_id)
            if intent.wanted is not Wanted.FAIL:
                self.failure = None
                # Whoever declared it may not have come to tell the queue.
                self._queue.want(self.job.job_id, intent.wanted, intent.number)
        return self.failure is not None

    def _tell(self, sentence: str) -> None:
        """Once, however often it is found."""
        if sentence != self._said:
            self._said = sentence
            self._say(f"job {self.job.job_id} {sentence}")


def _sentence(wanted: Wanted, intent: Intent) -> str:
    reason = f": {intent.reason}" if intent.reason else ""
    match wanted:
        case Wanted.PAUSE:
            return f"is paused{reason}; resume it to go on"
        case Wanted.CANCEL:
            return f"is cancelled{reason}; the rows that are finished are kept"
        case _:
            return "goes on"
