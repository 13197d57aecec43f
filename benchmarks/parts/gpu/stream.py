"""Weights read again and again by every program of a launch, from the second-level cache: a Triton
kernel, and what it computes in torch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

#: Numbers that a program reads at once, and its warps: 16 bytes a thread, four times.
BLOCK, WARPS = 8192, 8


# Triton compiles it, by types of its own.
@triton.jit  # type: ignore[untyped-decorator]
def _stream(weights, sums, count, times, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    lane = tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for _ in range(times):
        for first in range(0, count, BLOCK):
            # Past the first-level cache, in which one program's reading of a block would stay.
            block = tl.load(
                weights + first + lane, mask=first + lane < count, other=0.0, cache_modifier=".cg"
            )
            total += block.to(tl.float32)
    tl.store(sums + tl.program_id(0), tl.sum(total, 0))


def stream(weights: Tensor, programs: int, times: int) -> Tensor:
    """The sum of all weights (N,) bfloat16, times `times`, as each of the programs finds it."""
    sums = torch.empty(programs, dtype=torch.float32, device=weights.device)
    _stream[(programs,)](weights, sums, weights.numel(), times, BLOCK=BLOCK, num_warps=WARPS)
    return sums


def stream_by_torch(weights: Tensor, programs: int, times: int) -> Tensor:
    """The same in torch."""
    return (weights.float().sum() * times).expand(programs)
