"""Compiles a kernel for a Hopper GPU, which takes none: python -m tests.models.fused.compiling

Prints as JSON what the assembly does. By itself, since where kernels are interpreted, in the same
process, none is compiled.
"""

from __future__ import annotations

import json
import re
import sys

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ancestral.models.sampling.fused.launch import OPTIONS, triton_kernel
from ancestral.models.sampling.fused.source import ARGUMENTS, kernel_source
from ancestral.models.sampling.fused.state import State
from ancestral.models.sampling.program import StepProgram
from tests.models.fused.smallest import smallest

HOPPER = GPUTarget("cuda", 90, 32)
_TYPES = {
    torch.float32: "fp32",
    torch.float64: "fp64",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.uint8: "u8",
}


def assembly(program: StepProgram, slots: int, warps: int) -> str:
    """The PTX of a program's kernel in bfloat16."""
    source = kernel_source(program, slots)
    state = State(program, source, slots, slots, 8, torch.device("cpu"), torch.bfloat16)
    arguments = state.arguments([0], 8, None)
    types = {name: _type_of(arguments[name]) for name in ARGUMENTS}
    # A tensor begins on the edge of 16 bytes, as at every launch.
    edges = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(ARGUMENTS)
        if types[name].startswith("*")
    }
    compiled = triton.compile(
        ASTSource(
            triton_kernel(source.text), {name: types[name] for name in ARGUMENTS}, attrs=edges
        ),
        target=HOPPER,
        options={"num_warps": warps, **OPTIONS},
    )
    assert compiled.asm["cubin"]
    ptx: str = compiled.asm["ptx"]
    return ptx


def _type_of(argument: torch.Tensor | int) -> str:
    return f"*{_TYPES[argument.dtype]}" if isinstance(argument, torch.Tensor) else "i32"


if __name__ == "__main__":
    ptx = assembly(smallest(sys.argv[1]).program(), int(sys.argv[2]), int(sys.argv[3]))
    counts = {
        "products of a warp group": len(re.findall(r"wgmma\.mma_async\.sync", ptx)),
        "products of half a block": len(re.findall(r"wgmma\.mma_async\S*m64n32k16", ptx)),
        "products of a warp": len(re.findall(r"\bmma\.sync", ptx)),
        "loads of 16 bytes": len(re.findall(r"ld\.global\.v4\.b32", ptx)),
        "loads of 2 bytes": len(re.findall(r"ld\.global\.b16", ptx)),
        "barriers": len(re.findall(r"bar\.sync", ptx)),
        "calls": len(re.findall(r"\bcall\.uni", ptx)),
    }
    sys.stdout.write(json.dumps(counts))
