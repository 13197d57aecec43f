"""What a fleet knows of a sampler, and which it spares."""

from __future__ import annotations

from ancestral.orchestration.actor import Introduction
from ancestral.orchestration.handle import SamplerHandle, in_order_to_go


def handle(worker: str = "", node: str = "", **more: bool) -> SamplerHandle:
    """Without an actor; one that is still to start has no name."""
    known = Introduction(worker, f"{node}/cpu", node) if worker else None
    return SamplerHandle(None, None, None, None, known=known, **more)


def order(*samplers: SamplerHandle) -> list[str | None]:
    """The names, from who goes first."""
    return [each.worker for each in in_order_to_go(list(samplers))]


def test_those_that_still_start_go_first_then_those_that_hold_nothing() -> None:
    busy, idle, starts = handle("busy", "a"), handle("idle", "a", idle=True), handle()

    assert order(busy, idle, starts) == [None, "idle", "busy"]
    assert order(starts, idle, busy) == [None, "idle", "busy"]


def test_those_that_drain_anyway_go_before_those_that_hold_nothing() -> None:
    drains, idle, starts = (
        handle("drains", "a", draining=True),
        handle("idle", "a", idle=True),
        handle(),
    )

    assert order(drains, idle, starts) == [None, "drains", "idle"]
    assert order(starts, idle, drains) == [None, "drains", "idle"]


def test_nodes_become_empty_one_after_another() -> None:
    # Given samplers that Ray spread over nodes in turn, and one node with fewer
    samplers = [handle(f"{node}{turn}", node) for turn in (1, 2) for node in ("a", "b")]

    assert order(*samplers, handle("c1", "c")) == ["c1", "a2", "a1", "b2", "b1"]


def test_of_equals_the_youngest_goes_first() -> None:
    assert order(handle("old", "a"), handle("young", "a")) == ["young", "old"]
