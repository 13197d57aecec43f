"""What is recorded, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.graph.recorder import ReplayRecorder
from ancestral.models.sampling.graph.tile import WARMED_PHASES, GraphTile
from ancestral.models.sampling.tile import Start
from tests.models.nets import Case, all_cases

CASES = all_cases()
CPU = torch.device("cpu")


class CountingRecorder(ReplayRecorder):
    """Counts what it is asked for."""

    records = 0

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        self.records += 1
        return super().record(step)


@torch.inference_mode()
@pytest.mark.parametrize(("name", "phases"), [("gated_pixelcnn", 7), ("wavenet by both", 1)])
def test_everything_is_recorded_at_load_but_what_is_rarely_asked_for(
    name: str, phases: int
) -> None:
    # Given a tile
    case, recorder = CASES[name], CountingRecorder()
    program = case.net.program()
    tile = GraphTile(program, 3, CPU, torch.float32, recorder, 64 * program.period)
    assert recorder.records == 0
    # When it is warmed, then each phase is recorded
    tile.warm()
    assert recorder.records == phases
    # And an event in it records nothing more, at any temperature
    _draw(tile, case, Settings(temperature=0.7))
    assert recorder.records == phases
    # But the first that is truncated does
    _draw(tile, case, Settings(top_k=3))
    assert recorder.records > phases


@torch.inference_mode()
def test_of_many_phases_some_are_recorded_at_load() -> None:
    case, recorder = CASES["made"], CountingRecorder()
    program = case.net.program()
    tile = GraphTile(program, 3, CPU, torch.float32, recorder, program.period)
    tile.warm()
    assert recorder.records == min(program.columns or 0, WARMED_PHASES)


class Foreign(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the operations that touch a tensor of the host."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        if any(isinstance(leaf, torch.Tensor) and leaf.device == CPU for leaf in leaves):
            self.found.append(str(func))
        return result


@torch.no_grad()
@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_a_step_touches_nothing_of_the_host(name: str) -> None:
    # Given a tile on a device that holds no numbers, so that none can be asked for
    program, foreign = CASES[name].net.program(), Foreign()
    device = torch.device("meta")
    tile = GraphTile(program, 3, device, torch.float32, ReplayRecorder(), program.period)
    # When a step is computed there at which all is due, sweeps too, and one at which less is
    for clock, truncated in ((0, False), (0, True), (1, False)):
        with foreign:
            tile._compute_step(tile._place_at(clock), truncated)
    # Then no tensor of the host takes part
    assert foreign.found == []


def _draw(tile: GraphTile, case: Case, settings: Settings) -> np.ndarray:
    fields = case.requests[0]
    length = int(np.prod(case.net.event_shape(fields)))
    projection = case.net.project(case.net.conditions(fields))
    tile.admit(1, Start(projection, length, 5, 0, settings))
    return tile.run(tile.positions_to_last_end)[1].symbols
