"""What a slot draws depends on its request alone: not on how many slots there are, who is in the
others, or in which order events came. To the last bit, within an executor."""

from __future__ import annotations

import torch

from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.samples import Sample
from tests.gpu.asked import CASES, drawn, requests_of, same_bits

#: Requests, and the slots that share them out: one at a time, a few, more than a tile of 16.
COUNT, SLOTS = 20, (1, 7, 24)


def check_invariance(name: str, device: str, executor: ExecutorName, dtype: torch.dtype) -> None:
    case = CASES[name]
    requests = requests_of(case, COUNT)
    # Given what is drawn in an order of its own
    alone: dict[object, Sample] = drawn(
        case, requests[::-1], device=device, executor=executor, dtype=dtype, slots=SLOTS[-1]
    )

    # When slots are more or fewer, and neighbours others
    for slots in SLOTS[:-1]:
        # One slot draws one event after another, which takes its time.
        some = requests[: 3 if slots == 1 else COUNT]
        together = drawn(case, some, device=device, executor=executor, dtype=dtype, slots=slots)

        # Then every bit is the same
        for request in some:
            assert same_bits(together[request.key], alone[request.key])


def test_graph(device: str, case: str) -> None:
    check_invariance(case, device, "graph", torch.float32)


def test_fused(device: str, fused_case: str, fused: ExecutorName) -> None:
    check_invariance(fused_case, device, fused, torch.bfloat16)
