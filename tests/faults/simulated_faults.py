"""What goes wrong in a simulated world, how often, and for how long.

    call ──► wait ──► refused? ──► effect ──► again, later? ──► wait ──► answer lost?
              │                                                  │
              └── killed, or frozen for a while? ────────────────┘

Some faults cost units an attempt through no fault of their own: a worker that is killed, a lease
that runs out. A careful world has a budget of these, small enough that no sound row can be taken
for a poison row; any other world has as many as happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from random import Random
from typing import TypeVar

from ancestral.jobs.errors import JobError
from tests.faults.simulated_world import Died, Process, World

Answer = TypeVar("Answer")

#: Seconds that an operation takes, and at most.
QUICK = 0.02
LONG = 3.0
#: Longer than any lease.
ENDLESS = 150.0


@dataclass(frozen=True)
class Rates:
    """How often each fault comes: a share of calls, and then of seconds."""

    refused: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    slow: float = 0.0
    killed: float = 0.0
    frozen: float = 0.0
    #: The store does not answer, or denies everything, for a while.
    store_away: float = 0.0
    store_denied: float = 0.0
    queue_away: float = 0.0
    #: The queue has no memory left for claims, for a while.
    queue_full: float = 0.0
    #: The queue's server comes back with what it had a while ago, or with nothing.
    queue_restarted: float = 0.0
    queue_flushed: float = 0.0
    #: The clock of the queue's server, or of a worker, jumps ahead.
    server_jumps: float = 0.0
    clock_jumps: float = 0.0

    @staticmethod
    def drawn(random: Random) -> Rates:
        """Some faults often, some never: what few faults hide shows among many of one kind."""
        rates = {}
        for field in fields(Rates):
            usual = 0.003 if field.name in ("killed", "frozen") else 0.02
            rates[field.name] = random.choice([0.0, 0.0, usual / 4, usual, 3 * usual])
        return Rates(**rates)


class Faults:
    """The faults of one world, until it is `calm`."""

    def __init__(self, world: World, rates: Rates, budget: int | None) -> None:
        """`budget` is how many charging faults there may be; None: any number."""
        self.world = world
        self.rates = rates
        self.calm = False
        self._budget = budget
        # By its name, what a service refuses everything with, and until when.
        self._away: dict[str, tuple[float, JobError]] = {}
        # By its name, how often a service lost its memory.
        self._lives: dict[str, int] = {}
        self._refused_in_a_row: dict[tuple[str, str], int] = {}

    @property
    def careful(self) -> bool:
        """Whether there is a budget."""
        return self._budget is not None

    def happens(self, rate: float, *, charging: bool = False) -> bool:
        """Whether a fault of that rate comes now; if it charges units, at the budget's cost."""
        if self.calm or self.world.random.random() >= rate:
            return False
        if charging and self._budget is not None:
            if self._budget == 0:
                return False
            self._budget -= 1
        return True

    def go_away(self, service: str, seconds: float, error: JobError) -> None:
        """Let a service raise `error` whatever it is asked, for so long."""
        self._away[service] = (self.world.now + seconds, error)
        self.world.tell(f"{service}: {error} for {seconds:.0f} s")

    def lose_memory(self, service: str) -> None:
        """A service came back as another: what was on its way to it does not arrive."""
        self._lives[service] = self._lives.get(service, 0) + 1

    def call(
        self,
        process: Process,
        service: str,
        name: str,
        effect: Callable[[], Answer],
        unavailable: type[JobError],
        *,
        again: bool = True,
        again_charges: bool = False,
    ) -> Answer:
        """What `effect` returns, if the answer comes through.

        `again` says that the call may take effect a second time, later; `again_charges` that this
        costs a unit an attempt in the end.
        """
        story = f"{process.name} {name}"
        self._wait(process)
        if (away := self._absence(service)) or self._refuses(process, name):
            self.world.tell(f"{story}: refused")
            raise away or unavailable(f"{service} did not answer: {name}")
        try:
            answer = effect()
        except JobError as error:
            self.world.tell(f"{story}: {type(error).__name__}")
            raise
        self.world.tell(story)
        if again and self.happens(self.rates.repeated, charging=again_charges):
            self._repeat(service, story, effect)
        self._wait(process)
        if self.happens(self.rates.lost):
            self.world.tell(f"{story}: its answer was lost")
            raise unavailable(f"the answer of {service} was lost: {name}")
        return answer

    def _wait(self, process: Process) -> None:
        random = self.world.random
        if process.mortal and self.happens(self.rates.killed, charging=True):
            self.world.kill(process)
            raise Died
        if process.mortal and self.happens(self.rates.frozen, charging=True):
            self.world.freeze(process, random.uniform(0, 3 * ENDLESS))
        longest = QUICK
        if self.happens(self.rates.slow):
            longest = LONG if self.careful else random.choice([LONG, ENDLESS])
        self.world.sleep(random.uniform(0, longest))

    def _absence(self, service: str) -> JobError | None:
        until, error = self._away.get(service, (0.0, None))
        return error if until > self.world.now and not self.calm else None

    def _refuses(self, process: Process, name: str) -> bool:
        """Refused more often in a row, a heartbeat would let leases run out."""
        key = process.name, name
        most = 2 if self.careful else 1000
        refuses = self._refused_in_a_row.get(key, 0) < most and self.happens(self.rates.refused)
        self._refused_in_a_row[key] = self._refused_in_a_row.get(key, 0) + 1 if refuses else 0
        return refuses

    def _repeat(self, service: str, story: str, effect: Callable[[], object]) -> None:
        echo, life = Process("the wire"), self._lives.get(service, 0)

        def deliver() -> None:
            self.world.sleep(self.world.random.choice([QUICK, LONG, ENDLESS]))
            if life != self._lives.get(service, 0):
                return
            self.world.tell(f"{story}: delivered again")
            try:
                effect()
            except JobError as error:
                self.world.tell(f"{story}: {type(error).__name__}")

        self.world.start(echo, deliver)
