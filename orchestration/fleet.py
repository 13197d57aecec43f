"""The samplers of one cluster: started, watched, replaced when they die, drained at the end.

            start                 tend, twice a second                  stop
    plan ──────────► N samplers ──────────────────────► N samplers ──────────────────► none
                                who died is replaced              drained; who takes
                                                                  too long is killed

The queue is told who died, so that the units come back at once. A sampler on a device that the
queue has drained is parked: it does nothing, but keeps its place, so that the one that replaces it
starts elsewhere. One that cannot draw the fleet's only job keeps its place, too, and is not
replaced. Samplers on a node that is about to go finish what they hold, and others start elsewhere;
those that are too many after a `resize` finish it, too, and no others start. The fleet decides
nothing about rows, and losing the fleet loses none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ancestral.jobs.queue import STALL_SECONDS
from ancestral.orchestration.actor import SamplerPlan
from ancestral.orchestration.cluster import draining_nodes, ray
from ancestral.orchestration.crash_limit import CrashLimit
from ancestral.orchestration.errors import FleetFailed, FleetUnfit
from ancestral.orchestration.handle import (
    SamplerHandle,
    cause_of_death,
    in_order_to_go,
    start_sampler,
)
from ancestral.workers.errors import JobRefused

#: Before people hear the same sentence again.
REPEAT_SECONDS = 60.0

#: That samplers have to tell what they said while they drained.
LAST_NEWS_SECONDS = 2.0


class Fleet:
    """`size` samplers that work by one plan. `say` is told what people should hear of."""

    def __init__(
        self,
        plan: SamplerPlan,
        size: int,
        say: Callable[[str], None],
        *,
        silence_seconds: float = STALL_SECONDS,
    ) -> None:
        """A sampler that worked and then says nothing for `silence_seconds` is killed."""
        self._plan = plan
        self._size = size
        self._say = say
        self._silence_seconds = silence_seconds
        self._samplers: list[SamplerHandle] = []
        self._surplus: list[SamplerHandle] = []
        self._parked: list[SamplerHandle] = []
        self._unfit: list[SamplerHandle] = []
        self._drained: set[str] = set()
        self._leaving: frozenset[str] = frozenset()
        #: Who died and was not settled with the queue yet, why, and whether it was one too many.
        self._dead: list[tuple[SamplerHandle, str, bool]] = []
        self._crash_limit = CrashLimit(size)
        #: What was said lately, and when.
        self._told: dict[str, float] = {}

    def __len__(self) -> int:
        """Samplers that work or start, as of the last look."""
        return len(self._samplers)

    @property
    def workers(self) -> list[str]:
        """The names of those that have introduced themselves."""
        return [each.worker for each in self._samplers if each.worker is not None]

    def start(self) -> None:
        """Ask Ray for the samplers that are missing; they work once their processes are up."""
        while self._lacks_one():
            self._samplers.append(start_sampler(self._plan))

    def resize(self, size: int) -> None:
        """Be so many samplers from now on: start those that are missing, drain the surplus.

        The surplus is not replaced. For a fleet that serves all jobs.
        """
        assert self._plan.job_id is None
        self._size = size
        self._crash_limit.resize(size)
        self.start()
        surplus = in_order_to_go(self._samplers)[: len(self._samplers) - size]
        for sampler in surplus:
            self._let_go(sampler)
        if surplus:
            # They would keep nodes. Whoever starts on a drained device again is parked again.
            _kill(self._parked)

    def tend(self, drawn: int) -> None:
        """Pass on what the samplers have to tell, and replace those that died.

        `drawn` is how many rows are drawn by now, by whomever.

        Raises QueueError; FleetFailed when samplers die one after another and no row is drawn in
        between; and FleetUnfit when none of them draws as the fleet's job asks.
        """
        self._crash_limit.drawn(drawn)
        self._mind_devices(self._plan.queue.drained_devices())
        self._mind_nodes(draining_nodes())
        for sampler in [*self._samplers, *self._surplus]:
            self._listen(sampler)
            if sampler.has_ended:
                self._take_leave(sampler)
            elif self._is_silent(sampler):
                self._say("a sampler does not answer any more and is ended")
                ray.kill(sampler.actor)
                sampler.heard_at = time.monotonic()
        self._bury_the_dead()

    def stop(self, seconds: float) -> None:
        """Drain all samplers, for so many seconds at most; kill those that take longer.

        Rows that a killed sampler had in hand are drawn again later.
        """
        for sampler in self._samplers:
            sampler.drain()
        draining = [*self._samplers, *self._surplus]
        running = [sampler.running for sampler in draining]
        if running:
            ray.wait(running, num_returns=len(running), timeout=seconds)
        for sampler in draining:
            self._listen(sampler)
        # That was asked before they drained; what they said since is what they answer now.
        answers = [sampler.news for sampler in draining if sampler.known is not None]
        if answers:
            ray.wait(answers, num_returns=len(answers), timeout=LAST_NEWS_SECONDS)
        for sampler in draining:
            self._listen(sampler)
        for samplers in (self._samplers, self._surplus, self._parked, self._unfit):
            _kill(samplers)

    def _lacks_one(self) -> bool:
        return len(self._samplers) + len(self._unfit) < self._size

    def _let_go(self, sampler: SamplerHandle) -> None:
        """Have one that is too many finish what it holds."""
        self._samplers.remove(sampler)
        self._listen(sampler)
        if sampler.known is None:
            # It holds nothing, and would go on asking for a node. Should it have begun this very
            # moment, its units come back with their leases.
            ray.kill(sampler.actor)
        else:
            sampler.drain()
            self._surplus.append(sampler)

    def _take_leave(self, sampler: SamplerHandle) -> None:
        """A sampler has ended: it drained, or it is dead."""
        surplus = sampler in self._surplus
        (self._surplus if surplus else self._samplers).remove(sampler)
        ended_by = sampler.why_ended()
        if isinstance(ended_by, JobRefused):
            self._set_aside(sampler, ended_by)
            return
        if ended_by is not None:
            self._dead.append((sampler, cause_of_death(ended_by), surplus))
        elif not surplus and sampler.device in self._drained:
            self._parked.append(sampler)
            self._samplers.append(start_sampler(self._plan))
            return
        elif not surplus and self._plan.job_id is None:
            # It was drained, and its node is about to go or its device was pardoned meanwhile.
            self._samplers.append(start_sampler(self._plan))
        ray.kill(sampler.actor)

    def _set_aside(self, sampler: SamplerHandle, refusal: JobRefused) -> None:
        """Go on without one that cannot draw the job, if there are others."""
        self._unfit.append(sampler)
        if len(self._unfit) == self._size:
            raise FleetUnfit(str(refusal))
        self._tell(f"{refusal}; it is left to other samplers")

    def _bury_the_dead(self) -> None:
        """Let their units come back at once, and replace them; later, if the queue is away."""
        while self._dead:
            sampler, death, surplus = self._dead[-1]
            held = self._plan.queue.expire(sampler.worker) if sampler.worker is not None else 0
            self._dead.pop()
            if surplus:
                self._say(f"a sampler died ({death}); its rows come back, and no other is needed")
                continue
            self._crash_limit.died(held)
            if self._crash_limit.exceeded:
                raise FleetFailed(
                    f"samplers die before they get anything done; the last one: {death}"
                )
            self._say(f"a sampler died ({death}); another one takes over, and its rows come back")
            self._samplers.append(start_sampler(self._plan))

    def _mind_devices(self, drained: Mapping[str, list[str]]) -> None:
        """Stop the samplers on drained devices, and give up the places of pardoned ones."""
        for device in drained.keys() - self._drained:
            self._say(
                f"{device} is drained: units {' and '.join(drained[device])} broke there and "
                f"nowhere else; `ancestral devices --pardon {device}` lets it draw again"
            )
        self._drained = set(drained)
        for sampler in self._samplers:
            if sampler.device in self._drained:
                sampler.drain()
        for sampler in [each for each in self._parked if each.device not in self._drained]:
            self._parked.remove(sampler)
            ray.kill(sampler.actor)

    def _mind_nodes(self, leaving: frozenset[str]) -> None:
        """Have the samplers on nodes that are about to go finish what they hold."""
        going = [each for each in self._samplers if each.node in leaving]
        for node in {each.node for each in going} - self._leaving:
            self._say(f"node {node} is about to go; its samplers finish, and others take over")
        self._leaving = leaving
        for sampler in going:
            sampler.drain()

    def _listen(self, sampler: SamplerHandle) -> None:
        for line in sampler.listen():
            self._tell(line)

    def _tell(self, line: str) -> None:
        """What all samplers say, again and again, is said once in a while."""
        now = time.monotonic()
        self._told = {each: at for each, at in self._told.items() if now - at < REPEAT_SECONDS}
        if line not in self._told:
            self._told[line] = now
            self._say(line)

    def _is_silent(self, sampler: SamplerHandle) -> bool:
        return (
            sampler.known is not None
            and time.monotonic() - sampler.heard_at > self._silence_seconds
        )


def _kill(samplers: list[SamplerHandle]) -> None:
    """All of them, now."""
    for sampler in samplers:
        ray.kill(sampler.actor)
    samplers.clear()
