"""One sampler as its fleet sees it: an actor, what it was asked, and what it answered."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from ancestral.orchestration.actor import (
    CONCURRENT_CALLS,
    Introduction,
    News,
    SamplerActor,
    SamplerPlan,
)
from ancestral.orchestration.cluster import ray


@dataclass(eq=False)
class SamplerHandle:
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
    #: When it last gave a sign of life, and whether it had nothing in hand then.
    heard_at: float = 0.0
    idle: bool = False
    #: Whether it was told to finish what it holds.
    draining: bool = False

    @property
    def worker(self) -> str | None:
        return self.known.worker if self.known is not None else None

    @property
    def device(self) -> str | None:
        return self.known.device if self.known is not None else None

    @property
    def node(self) -> str | None:
        return self.known.node if self.known is not None else None

    @property
    def has_ended(self) -> bool:
        """Whether it has drained, or is gone."""
        ended, _ = ray.wait([self.running], timeout=0)
        return bool(ended)

    def listen(self) -> list[str]:
        """What people should hear of, without waiting: a sampler that starts, or died, has no
        answer for us now."""
        if self.known is None:
            self.known = _answer(self.introduction)
            self.heard_at = time.monotonic()
        news: News | None = _answer(self.news)
        if news is None:
            return []
        self.news = self.actor.news.remote()
        self.heard_at, self.idle = time.monotonic(), news.idle
        return news.lines

    def drain(self) -> None:
        """Have it claim no more and finish what it holds; it ends then."""
        self.draining = True
        self.actor.drain.remote()

    def why_ended(self) -> Exception | None:
        """What ended it before it had drained; None if it had."""
        try:
            ray.get(self.running)
        except ray.exceptions.RayTaskError as error:
            return cast(Exception, error.cause)
        except ray.exceptions.RayError as error:
            return cast(Exception, error)
        return None


def start_sampler(plan: SamplerPlan) -> SamplerHandle:
    """Ask Ray for a sampler; it works once its process is up."""
    actor_class = ray.remote(SamplerActor).options(
        num_cpus=1,
        num_gpus=plan.gpus if plan.device == "cuda" else 0,
        max_concurrency=CONCURRENT_CALLS,
        scheduling_strategy="SPREAD",
    )
    actor = actor_class.remote(plan)
    return SamplerHandle(
        actor,
        introduction=actor.introduce.remote(),
        running=actor.run.remote(),
        news=actor.news.remote(),
    )


def in_order_to_go(samplers: list[SamplerHandle]) -> list[SamplerHandle]:
    """Which of these, from the oldest to the youngest, can be spared first.

    Those that wait for a node or start; then those that drain, and end anyway; then those that hold
    nothing; then those on the nodes with the fewest, node by node, for a cluster gives up nodes
    that are empty; then the youngest.
    """
    on_node = Counter(each.node for each in samplers)

    def worth(each: SamplerHandle) -> tuple[bool, bool, bool, int, str]:
        starts = each.known is None
        return not starts, not each.draining, not each.idle, on_node[each.node], each.node or ""

    youngest_first = samplers[::-1]
    return sorted(youngest_first, key=worth)


def cause_of_death(error: Exception) -> str:
    """In a line."""
    if isinstance(error, ray.exceptions.RayActorError):
        if error.actor_init_failed:
            return str(error).strip().rpartition("\n")[2]
        return "its process ended"
    if isinstance(error, ray.exceptions.RayError):
        return type(error).__name__
    return f"{type(error).__name__}: {error}"


def _answer(question: Any) -> Any:
    """What an actor answered; None while it has not, and when it died: its `running` tells."""
    answered, _ = ray.wait([question], timeout=0)
    if not answered:
        return None
    try:
        return ray.get(question)
    except ray.exceptions.RayError:
        return None
