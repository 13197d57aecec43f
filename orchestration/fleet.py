"""The samplers of one cluster: started, watched, replaced when they die, drained at the end.

            start                 tend, twice a second                  stop
    plan ──────────► N samplers ──────────────────────► N samplers ──────────────────► none
                                who died is replaced              drained; who takes
                                                                  too long is killed

The queue is told who died, so that the units come back at once. A sampler on a device that the
queue has drained is parked: it does nothing, but keeps its place, so that the one that replaces it
starts elsewhere. One that cannot draw the fleet's only job keeps its place, too, and is not
replaced. Samplers on a node that is about to go finish what they hold, and others start elsewhere.
The fleet decides nothing about rows, and losing the fleet loses none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ancestral.jobs.queue import STALL_SECONDS
from ancestral.orchestration.actor import CONCURRENT_CALLS, Introduction, SamplerActor, SamplerPlan
from ancestral.orchestration.cluster import draining_nodes, ray
from ancestral.orchestration.crash_limit import CrashLimit
from ancestral.orchestration.errors import FleetFailed, FleetUnfit
from ancestral.workers.errors import JobRefused

#: Before people hear the same sentence again.
REPEAT_SECONDS = 60.0


@dataclass(eq=False)
class _Sampler:
    """One actor, and what it was asked.

    introduction, news: resolve when it answers.
    running: resolves when it has drained, and raises when it is gone.
    """

    actor: Any
    introduction: Any
    running: Any
    news: Any
    #: Who it is, from when it has said so.
    known: Introduction | None = None
    #: When it last gave a sign of life.
    heard_at: float = 0.0

    @property
    def device(self) -> str | None:
        return self.known.device if self.known is not None else None


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
        self._samplers: list[_Sampler] = []
        self._parked: list[_Sampler] = []
        self._unfit: list[_Sampler] = []
        self._drained: set[str] = set()
        self._leaving: frozenset[str] = frozenset()
        #: Who died and was not settled with the queue yet, and why.
        self._dead: list[tuple[_Sampler, str]] = []
        self._crash_limit = CrashLimit(size)
        #: What was said lately, and when.
        self._told: dict[str, float] = {}

    def __len__(self) -> int:
        """Samplers that work or start, as of the last look."""
        return len(self._samplers)

    @property
    def workers(self) -> list[str]:
        """The names of those that have introduced themselves."""
        return [each.known.worker for each in self._samplers if each.known is not None]

    def start(self) -> None:
        """Ask Ray for the samplers that are missing; they work once their processes are up."""
        while len(self._samplers) + len(self._unfit) < self._size:
            self._samplers.append(self._start_one())

    def tend(self, drawn: int) -> None:
        """Pass on what the samplers have to tell, and replace those that died.

        `drawn` is how many rows are drawn by now, by whomever.

        Raises QueueError; FleetFailed when samplers die one after another and no row is drawn in
        between; and FleetUnfit when none of them draws as the fleet's job asks.
        """
        self._crash_limit.drawn(drawn)
        self._mind_devices(self._plan.queue.drained_devices())
        self._mind_nodes(draining_nodes())
        for sampler in list(self._samplers):
            self._listen(sampler)
            ended, _ = ray.wait([sampler.running], timeout=0)
            if ended:
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
            sampler.actor.drain.remote()
        running = [sampler.running for sampler in self._samplers]
        if running:
            ray.wait(running, num_returns=len(running), timeout=seconds)
        for sampler in self._samplers:
            self._listen(sampler)
        for sampler in [*self._samplers, *self._parked, *self._unfit]:
            ray.kill(sampler.actor)
        self._samplers.clear()
        self._parked.clear()
        self._unfit.clear()

    def _start_one(self) -> _Sampler:
        actor_class = ray.remote(SamplerActor).options(
            num_cpus=1,
            num_gpus=self._plan.gpus if self._plan.device == "cuda" else 0,
            max_concurrency=CONCURRENT_CALLS,
            scheduling_strategy="SPREAD",
        )
        actor = actor_class.remote(self._plan)
        return _Sampler(
            actor,
            introduction=actor.introduce.remote(),
            running=actor.run.remote(),
            news=actor.news.remote(),
        )

    def _take_leave(self, sampler: _Sampler) -> None:
        """A sampler has ended: it drained, or it is dead."""
        self._samplers.remove(sampler)
        ended_by = _why_ended(sampler)
        if isinstance(ended_by, JobRefused):
            self._set_aside(sampler, ended_by)
            return
        if ended_by is not None:
            self._dead.append((sampler, _cause_of_death(ended_by)))
        elif sampler.device in self._drained:
            self._parked.append(sampler)
            self._samplers.append(self._start_one())
            return
        elif self._plan.job_id is None:
            # It was drained, and its node is about to go or its device was pardoned meanwhile.
            self._samplers.append(self._start_one())
        ray.kill(sampler.actor)

    def _set_aside(self, sampler: _Sampler, refusal: JobRefused) -> None:
        """Go on without one that cannot draw the job, if there are others."""
        self._unfit.append(sampler)
        if len(self._unfit) == self._size:
            raise FleetUnfit(str(refusal))
        self._tell(f"{refusal}; it is left to samplers on other devices")

    def _bury_the_dead(self) -> None:
        """Let their units come back at once, and replace them; later, if the queue is away."""
        while self._dead:
            sampler, death = self._dead[-1]
            worker = sampler.known.worker if sampler.known is not None else None
            held = self._plan.queue.expire(worker) if worker is not None else 0
            self._crash_limit.died(held)
            if self._crash_limit.exceeded:
                raise FleetFailed(
                    f"samplers die before they get anything done; the last one: {death}"
                )
            self._dead.pop()
            self._say(f"a sampler died ({death}); another one takes over, and its rows come back")
            self._samplers.append(self._start_one())

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
                sampler.actor.drain.remote()
        for sampler in [each for each in self._parked if each.device not in self._drained]:
            self._parked.remove(sampler)
            ray.kill(sampler.actor)

    def _mind_nodes(self, leaving: frozenset[str]) -> None:
        """Have the samplers on nodes that are about to go finish what they hold."""
        going = [each for each in self._samplers if each.known and each.known.node in leaving]
        for node in {each.known.node for each in going if each.known} - self._leaving:
            self._say(f"node {node} is about to go; its samplers finish, and others take over")
        self._leaving = leaving
        for sampler in going:
            sampler.actor.drain.remote()

    def _listen(self, sampler: _Sampler) -> None:
        """Without waiting: a sampler that starts, or died, has no answer for us now."""
        if sampler.known is None:
            sampler.known = _answer(sampler.introduction)
            sampler.heard_at = time.monotonic()
        lines = _answer(sampler.news)
        if lines is not None:
            for line in lines:
                self._tell(line)
            sampler.news = sampler.actor.news.remote()
            sampler.heard_at = time.monotonic()

    def _tell(self, line: str) -> None:
        """What all samplers say, again and again, is said once in a while."""
        now = time.monotonic()
        self._told = {each: at for each, at in self._told.items() if now - at < REPEAT_SECONDS}
        if line not in self._told:
            self._told[line] = now
            self._say(line)

    def _is_silent(self, sampler: _Sampler) -> bool:
        return (
            sampler.known is not None
            and time.monotonic() - sampler.heard_at > self._silence_seconds
        )


def _answer(question: Any) -> Any:
    """What an actor answered; None while it has not, and when it died: its `running` tells."""
    answered, _ = ray.wait([question], timeout=0)
    if not answered:
        return None
    try:
        return ray.get(question)
    except ray.exceptions.RayError:
        return None


def _why_ended(sampler: _Sampler) -> Exception | None:
    """What ended a sampler before it had drained; None if it had."""
    try:
        ray.get(sampler.running)
    except ray.exceptions.RayTaskError as error:
        return cast(Exception, error.cause)
    except ray.exceptions.RayError as error:
        return cast(Exception, error)
    return None


def _cause_of_death(error: Exception) -> str:
    """In a line."""
    if isinstance(error, ray.exceptions.RayActorError):
        if error.actor_init_failed:
            return str(error).strip().rpartition("\n")[2]
        return "its process ended"
    if isinstance(error, ray.exceptions.RayError):
        return type(error).__name__
    return f"{type(error).__name__}: {error}"
