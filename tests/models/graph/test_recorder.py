"""A record does again what its step did, whatever Python would decide by then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.graph.recorder import ReplayRecorder

record = ReplayRecorder().record


def test_recording_runs_a_step_once_and_a_record_runs_it_again() -> None:
    total, number = torch.zeros(3), torch.ones(3)
    again = record(lambda: total.add_(number))
    assert total.tolist() == [1, 1, 1]
    number.fill_(5)
    again()
    again()
    assert total.tolist() == [11, 11, 11]


def test_what_python_decided_is_frozen() -> None:
    # Given a step that takes another place each time, as Python has it
    places, visited = torch.zeros(3, 2), []

    def step() -> None:
        places[len(visited)].add_(1)
        visited.append(1)

    # When it is run again by its record
    again = record(step)
    again()
    # Then Python was asked once, and the place is the first one
    assert len(visited) == 1
    assert places.tolist() == [[2, 2], [0, 0], [0, 0]]


def test_what_a_device_decides_is_not_frozen() -> None:
    places, here = torch.zeros(3, 2), torch.zeros(1, dtype=torch.int64)

    def step() -> None:
        places.index_copy_(0, here, torch.index_select(places, 0, here) + 1)
        here.add_(1)

    again = record(step)
    again()
    again()
    assert places.tolist() == [[1, 1], [1, 1], [1, 1]]


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: torch.cat([x, x])[:3] * 2,
        lambda x: x.sort(descending=True)[0],
        lambda x: torch.stack([part + 1 for part in x.split(1)]).view(3),
        lambda x: x.expand(2, 3).t().reshape(6)[:3],
        lambda x: torch.where(x > 2, 0.0, x).contiguous().cumsum(0),
        lambda x: torch.nn.functional.pad(x, (1, 0)).unbind()[1].double().expand(3),
    ],
)
def test_new_tensors_and_views_follow_what_they_were_made_of(
    compute: Callable[[Tensor], Tensor],
) -> None:
    # Given a record of what is computed by way of new tensors, views, and views that may be copies
    for inference in (False, True):
        with torch.inference_mode(inference):
            x, out = torch.tensor([3.0, 1.0, 2.0]), torch.zeros(3)
            again = record(lambda x=x, out=out: out.copy_(compute(x)))  # type: ignore[misc]
            # When it runs on other numbers
            x.copy_(torch.tensor([1.0, 5.0, 4.0]))
            again()
            # Then it is what is computed from those
            assert torch.equal(out, compute(x).to(out))


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x.sum().item(),
        lambda x: x.add_(torch.tensor([1.0, 2.0, 3.0])),
        lambda x: x[x > 1],
        lambda x: x.masked_select(x > 1),
        lambda x: x.nonzero(),
        lambda x: bool((x > 1).all()),
    ],
)
def test_steps_that_no_cuda_graph_can_hold_are_refused(step: Callable[[Tensor], object]) -> None:
    x = torch.ones(3)
    with pytest.raises(ConfigError, match="cannot be recorded"):
        record(lambda: step(x))  # type: ignore[arg-type,return-value]
