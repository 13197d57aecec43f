"""The samplers of one cluster: started, watched, replaced when they die, drained at the end.

            start                 tend, every second                      stop
    plan ──────────► N samplers ──────────────────────► N samplers ──────────────────► none
                                who died is replaced              drained; who takes
                                                                  too long is killed

What a dead sampler had in hand comes back by itself: its leases run out, and other samplers claim
the units. So the fleet decides nothing about rows, and losing the fleet loses none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ancestral.orchestration.actor import CONCURRENT_CALLS, SamplerActor, SamplerPlan
from ancestral.orchestration.cluster import ray
from ancestral.orchestration.errors import FleetFailed

#: Deaths, for each place in the fleet, after which it is not by chance that nothing gets done.
DEATHS_WITHOUT_PROGRESS = 3


@dataclass(eq=False)
class _Sampler:
    """One actor: `running` resolves when it has drained, and raises when it is gone; `news` is the
    question that it was last asked."""

    actor: Any
    running: Any
    news: Any


class Fleet:
    """`size` samplers that work by one plan. `say` is told what people should hear of."""

    def __init__(self, plan: SamplerPlan, size: int, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._size = size
        self._say = say
        self._samplers: list[_Sampler] = []
        self._deaths = 0
        self._rows = -1

    def __len__(self) -> int:
        """Samplers that have not ended, as of the last look."""
        return len(self._samplers)

    def start(self) -> None:
        """Ask Ray for the samplers that are missing; they work once their processes are up."""
        while len(self._samplers) < self._size:
            self._samplers.append(self._start_one())

    def tend(self, rows: int) -> None:
        """Pass on what the samplers have to tell, and replace those that died.

        `rows` is how many rows are decided by now, by whomever.

        Raises FleetFailed when samplers die one after another and no row is decided in between.
        """
        if rows != self._rows:
            self._rows, self._deaths = rows, 0
        for sampler in list(self._samplers):
            self._pass_on_news(sampler)
            ended, _ = ray.wait([sampler.running], timeout=0)
            if not ended:
                continue
            self._samplers.remove(sampler)
            death = _cause_of_death(sampler)
            ray.kill(sampler.actor)
            if death is not None:
                self._replace(death)

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
            self._pass_on_news(sampler)
            ray.kill(sampler.actor)
        self._samplers.clear()

    def _start_one(self) -> _Sampler:
        actor_class = ray.remote(SamplerActor).options(
            num_cpus=1,
            num_gpus=1 if self._plan.device == "cuda" else 0,
            max_concurrency=CONCURRENT_CALLS,
            scheduling_strategy="SPREAD",
        )
        actor = actor_class.remote(self._plan)
        return _Sampler(actor, running=actor.run.remote(), news=actor.news.remote())

    def _replace(self, death: str) -> None:
        self._deaths += 1
        if self._deaths > DEATHS_WITHOUT_PROGRESS * self._size:
            raise FleetFailed(f"samplers die before they get anything done; the last one: {death}")
        self._say(f"a sampler died ({death}); another one takes over, and its rows come back")
        self._samplers.append(self._start_one())

    def _pass_on_news(self, sampler: _Sampler) -> None:
        """Without waiting: a sampler that starts, or died, has no answer for us now."""
        answered, _ = ray.wait([sampler.news], timeout=0)
        if not answered:
            return
        try:
            lines = ray.get(sampler.news)
        except ray.exceptions.RayError:
            # It died; its `running` tells, and of what.
            return
        for line in lines:
            self._say(line)
        sampler.news = sampler.actor.news.remote()


def _cause_of_death(sampler: _Sampler) -> str | None:
    """Why a sampler that ended did so before it had drained; None if it had."""
    try:
        ray.get(sampler.running)
    except ray.exceptions.RayTaskError as error:
        return f"{type(error.cause).__name__}: {error.cause}"
    except ray.exceptions.RayActorError as error:
        if error.actor_init_failed:
            return str(error).strip().rpartition("\n")[2]
        return "its process ended"
    except ray.exceptions.RayError as error:
        return type(error).__name__
    return None
