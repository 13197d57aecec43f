"""How many records a network takes, and which places share one."""

from __future__ import annotations

import pytest

from ancestral.models.sampling.graph.phases import Phases
from ancestral.models.sampling.grid_memory import Place
from ancestral.models.sampling.program import StepProgram
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.graph.test_indexed import PROGRAMS, places


def _phases(program: StepProgram, positions: int) -> int:
    phases = Phases(program)
    return len({phases.of(place) for place in places(program, positions)})


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("linear", 1),
        ("wavenet by both", 1),
        # Each column has weights of its own.
        ("made", 12),
        ("darn", 17),
        # It reads whole rows in no sweep.
        ("pixelcnn in colour by label", 1),
        # A sweep begins in rows that keep 1, 2 or 3; and one step.
        ("gated_pixelcnn", 6 + 1),
        # Sweeps over 3 rows and over 2 of every fourth; in each of four rows three other columns.
        ("pixelcnn_pp", 24 + 4 * 3),
    ],
)
def test_a_network_has_as_many_phases_as_steps_that_differ(name: str, count: int) -> None:
    program = PROGRAMS[name]
    assert _phases(program, Phases(program).cycle) == count


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_cycle_meets_them_all(name: str) -> None:
    program = PROGRAMS[name]
    cycle = Phases(program).cycle
    assert _phases(program, cycle) == _phases(program, 3 * cycle)


def test_a_deep_wavenet_is_one_phase() -> None:
    # Given rings of 2, 3, 5, 9, ... 513 columns
    config = WaveNetConfig(levels=4, residual=1, skip=1, depth=10, stacks=1)
    phases = Phases(WaveNet(config).program())
    # Then each column of them is found by the same step
    assert phases.cycle == 1
    assert phases.of(Place(0, 0, 0)) == phases.of(Place(0, 0, 512))
