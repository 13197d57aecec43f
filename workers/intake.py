"""The first stations of the trip: claim units and start them (starting.py).

It runs in a thread of its own and keeps as many rows waiting as a model has slots, so that a
sampler never waits for the queue or the store.

A suspect is drawn alone: a unit that broke before, or any unit while the device is under suspicion.
It is claimed with empty hands and slots, and nothing is claimed before it is settled. So a crash is
the suspect's own, or the device's, and units are cleared that only shared the slots with one that
crashed.

A job that this worker cannot draw is left to others: its unit is handed back without a charge, and
no other is claimed for a minute. Then it is looked at again: what was missing may be there.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from ancestral.jobs.errors import QueueError, UnknownJob
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import Lease
from ancestral.workers.errors import JobRefused
from ancestral.workers.events import Hiccup, JobDeclined, UnitStarted
from ancestral.workers.held import Hold, one_line
from ancestral.workers.patience import LONGEST_PAUSE_SECONDS
from ancestral.workers.starting import Starter
from ancestral.workers.work import WarmModels, Work
from ancestral.workers.workplace import Workplace

#: Pauses double no more often than this: long before, they are as long as they get.
MOST_DOUBLINGS = 20

#: With nothing in hand, pauses grow to so many times the idle seconds: who has had nothing to do
#: for a while troubles the queue less often.
LONGEST_IDLE = 10.0

#: For so long no unit is claimed of a job that was refused.
REFUSED_SECONDS = 60.0


class Intake:
    """Claims units, of one job if it is named, and delivers them with their rows; None is the last.

    With a job named, it ends when that job has no units left; else, when it is closed.
    """

    def __init__(
        self,
        place: Workplace,
        models: WarmModels,
        idle_seconds: float,
        job_id: str | None,
        deliver: Callable[[Work | None], None],
        busy: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        """`busy` says whether rows are in slots, those of lost units included; `clock` returns
        seconds and never goes back."""
        self._place = place
        self._models = models
        self._starter = Starter(place, models)
        self._idle_seconds = idle_seconds
        self._job_id = job_id
        self._job_seen = False
        self._deliver = deliver
        self._busy = busy
        self._clock = clock
        self._closed = False
        self._wake = threading.Event()
        # Each of these two is changed by one thread alone, so neither needs a lock.
        self._rows_in = 0
        self._rows_taken = 0
        #: Calls of the queue that failed, since one answered.
        self._outages = 0
        #: How often the pause has doubled since there was something in hand.
        self._idle_claims = 0
        #: Of the next claim; the same until one is answered, so that none is lost with its answer.
        self._ticket = uuid.uuid4().hex
        #: The unit claimed last, if it is a suspect.
        self._suspect: Hold | None = None
        #: Why the named job cannot be drawn here.
        self._refusal: JobRefused | None = None
        #: By the id of each other job that could not be drawn here a minute ago or less: when that
        #: was.
        self._refused: dict[str, float] = {}
        #: Jobs that were told to be declined, and that did not start since.
        self._declined: set[str] = set()

    def run(self) -> None:
        """Keep rows waiting until closed, or until the job is done; see `step`."""
        while (pause := self.step()) is not None:
            # Until rows were taken, or for so long. It is closed by a flag alone, hence the slices.
            while pause > 0 and not self._closed and not self._wake.is_set():
                self._wake.wait(min(pause, self._idle_seconds))
                pause -= self._idle_seconds
            self._wake.clear()

    def step(self) -> float | None:
        """Claim and start a unit if rows should wait; the seconds until the next step is due, None
        when no more units will come.

        One unit at a time: what this worker does not need yet, another may have a slot for. Raises
        JobRefused when the named job cannot be drawn here.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._closed:
            self._deliver(None)
            return None
        alone = self._suspect is not None and self._suspect.held
        if alone or self._rows_in - self._rows_taken >= self._models.slots:
            return self._idle_seconds
        place = self._place
        try:
            leases = self._claim()
            self._ticket = uuid.uuid4().hex
            if not leases and self._job_is_done():
                self._deliver(None)
                return None
        except QueueError as error:
            self._outages += 1
            pause = self._pause(self._outages)
            place.listener(Hiccup(place.worker, "claiming units", one_line(error), pause))
            return pause
        self._outages = 0
        if not leases:
            return self._idle_pause()
        self._idle_claims = 0
        for lease in leases:
            self._job_seen = True
            self._start(place.held.add(lease))
        return self._pause(place.held.troubles)

    def close(self) -> None:
        """Claim no more. Sets a flag and nothing else, so that a signal handler may call it."""
        self._closed = True

    def take(self, rows: int) -> None:
        """The sampling thread says that so many rows wait no more; of rows that wait again it is
        a negative number."""
        self._rows_taken += rows
        if rows:
            self._wake.set()

    def _claim(self) -> list[Lease]:
        """A unit, but none of a job that was refused a minute ago or less."""
        place, now = self._place, self._clock()
        self._refused = {
            job_id: at for job_id, at in self._refused.items() if now - at < REFUSED_SECONDS
        }
        return place.queue.claim(
            place.worker,
            1,
            self._job_id,
            place.device,
            among_others=self._busy() or not place.held.empty,
            ticket=self._ticket,
            without=self._refused,
        )

    def _start(self, hold: Hold) -> None:
        place = self._place
        self._suspect = hold if hold.lease.alone else None
        with place.held.boundary([hold]):
            try:
                opened = self._starter.look_up(hold)
                if opened is None:
                    return
                work = self._starter.read(hold, opened)
            except JobRefused as error:
                self._refuse(hold, error)
                return
            self._rows_in += len(work.rows)
            lease = hold.lease
            self._declined.discard(lease.job_id)
            place.listener(UnitStarted(place.worker, lease.job_id, lease.unit, work.attempt))
            self._deliver(work)

    def _refuse(self, hold: Hold, error: JobRefused) -> None:
        """Leave the job to those who can draw it; one that was named is nobody's here."""
        place, job_id = self._place, hold.lease.job_id
        if self._job_id is not None:
            self._refusal = error
        else:
            self._refused[job_id] = self._clock()
            if job_id not in self._declined:
                self._declined.add(job_id)
                place.listener(JobDeclined(place.worker, job_id, str(error)))
        place.held.release(hold, str(error), declined=True)

    def _job_is_done(self) -> bool:
        """Whether none of the job's units will be claimed any more."""
        if self._job_id is None:
            return False
        try:
            counts = self._place.queue.counts(self._job_id)
        except UnknownJob:
            # A queue that forgot a job will be told of it again.
            return not self._job_seen
        self._job_seen = True
        if counts.rebuilding or counts.stale:
            return False
        return counts.wanted is Wanted.CANCEL or counts.ready + counts.leased == 0

    def _idle_pause(self) -> float:
        """The idle seconds while something is in hand; else twice as long after each claim."""
        if not self._place.held.empty:
            self._idle_claims = 0
        longer = min(2.0**self._idle_claims, LONGEST_IDLE)
        self._idle_claims = min(self._idle_claims + 1, MOST_DOUBLINGS)
        return longer * self._idle_seconds

    def _pause(self, failures: int) -> float:
        """No pause without failures; with each of them it is twice as long."""
        if not failures:
            return 0.0
        doubled = self._idle_seconds * 2.0 ** min(failures, MOST_DOUBLINGS)
        return min(doubled, LONGEST_PAUSE_SECONDS)
