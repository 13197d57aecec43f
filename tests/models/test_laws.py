"""The law suite catches what it is there to catch: faults planted in networks that keep them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.gated_pixelcnn import GatedPixelCNN
from ancestral.models.sampling.ops import Dense, Grid, Op, Read, When, Write
from ancestral.models.sampling.program import StepProgram
from ancestral.models.wavenet import WaveNet
from tests.models import laws
from tests.models.nets import image_case, sound_case

IMAGES, SOUNDS = image_case(), sound_case(speaker=True, digit=True)


def check_all(net: Autoregressive, fields: Any) -> None:
    """The laws that hold for any event."""
    for position in range(12):
        laws.check_causality(net, fields, position, seed=1)
    laws.check_sameness(net, [fields], seed=1)
    laws.check_definition(net, fields, seed=1)
    laws.check_log_prob(net, fields, seed=1)


@pytest.mark.parametrize("case", [IMAGES, SOUNDS], ids=["images", "sounds"])
def test_without_a_fault_the_laws_hold(case: Any) -> None:
    check_all(case.net, case.requests[-1])


def test_a_mask_off_by_one_is_no_longer_causal() -> None:
    # Given a first layer that reads the pixel itself
    net = copy.deepcopy(IMAGES.net)
    assert isinstance(net, GatedPixelCNN)
    first = net.layers[0].horizontal
    assert first.columns == (-2, -1)  # type: ignore[union-attr]
    first.columns = (-1, 0)  # type: ignore[union-attr]
    with pytest.raises(AssertionError):
        laws.check_causality(net, {}, 7, seed=1)


def test_a_ring_that_is_one_step_late_is_not_what_forward_computes() -> None:
    # Given a program whose second layer reads everything one step later than it should
    net = copy.deepcopy(SOUNDS.net)
    net.__class__ = _LateRing
    with pytest.raises(AssertionError):
        laws.check_sameness(net, [SOUNDS.requests[0]], seed=1)
    with pytest.raises(AssertionError):
        laws.check_definition(net, SOUNDS.requests[0], seed=1)


def test_a_condition_read_one_frame_ahead_is_not_what_forward_computes() -> None:
    net = copy.deepcopy(SOUNDS.net)
    net.__class__ = _HastyCondition
    with pytest.raises(AssertionError):
        laws.check_sameness(net, [SOUNDS.requests[0]], seed=1)
    with pytest.raises(AssertionError):
        laws.check_definition(net, SOUNDS.requests[0], seed=1)


def test_probabilities_that_do_not_sum_to_one_are_seen() -> None:
    # Given outputs that know the symbol they are for
    net = image_case().net
    net.__class__ = _Clairvoyant
    net.config = replace(net.config, height=1, width=3)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        laws.check_normalisation(net, {})


class _LateRing(WaveNet):
    def program(self) -> StepProgram:
        program = super().program()
        late = program.grids[1]
        longer = Grid(late.rows, late.columns + 1, late.width)

        def changed(op: Op | When) -> Op | When:
            if isinstance(op, Write) and op.grid is late:
                return replace(op, grid=longer)
            if isinstance(op, Dense) and any(_reads(source, late) for source in op.sources):
                sources = tuple(
                    Read(longer, source.dy, source.dx - 1) if isinstance(source, Read) else source
                    for source in op.sources
                )
                return replace(op, sources=sources)
            return op

        return replace(program, step=tuple(map(changed, program.step)))


class _HastyCondition(WaveNet):
    def project(self, conditions: Conditions) -> Projection:
        projection = super().project(conditions)
        assert projection.aligned is not None
        return replace(projection, aligned=projection.aligned.roll(-1, dims=1))


class _Clairvoyant(GatedPixelCNN):
    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        return torch.nn.functional.one_hot(x, self.config.levels).movedim(-1, 1).float()


def _reads(source: object, grid: Grid) -> bool:
    return isinstance(source, Read) and source.grid is grid
