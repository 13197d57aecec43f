"""What a fused tile asks of the device before a run does not grow with the slots that are taken."""

from __future__ import annotations

from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from ancestral.models.sampling.fused.executor import FusedExecutor
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from tests.models.nets import all_cases


class Copies(TorchDispatchMode):
    """Counts what torch copies into tensors that are there."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "copy_" in str(func)
        return func(*args, **(kwargs or {}))


def test_aligned_conditioning_of_all_slots_is_copied_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given sounds with aligned conditioning, alone and with neighbours
    case = all_cases()["wavenet by both"]
    monkeypatch.setattr(FusedExecutor, "chunk_positions", 6)
    counts = []
    for events in (1, 5):
        sampler = Sampler(case.net, slots=5, executor="fused-few")
        for number in range(events):
            sampler.admit(SampleRequest(number, case.requests[0], seed=number))

        # When they go on
        with Copies() as copies:
            sampler.advance()
        counts.append(copies.count)

    # Then as much is copied for five as for one
    assert counts[0] == counts[1] > 0
