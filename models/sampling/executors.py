"""Which executor runs a program here."""

from __future__ import annotations

import logging
import platform
from typing import Literal, get_args

import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.fused.executor import FusedExecutor
from ancestral.models.sampling.graph.executor import GraphExecutor
from ancestral.models.sampling.native.compiled import runs
from ancestral.models.sampling.native.executor import FEW_SLOTS, NativeExecutor
from ancestral.models.sampling.native.library import Library, find, load
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import ReferenceExecutor

ExecutorName = Literal["auto", "native", "reference", "graph", "fused", "fused-few"]

_log = logging.getLogger("ancestral.models")


def executor_for(
    name: ExecutorName | Library,
    program: StepProgram,
    *,
    slots: int,
    device: torch.device,
    dtype: torch.dtype,
    threads: int,
) -> Executor:
    """The executor of that name, or the native one of that build.

    For auto on a GPU it is fused in bfloat16, else graph; on a processor the native one where it is
    built, dtype and distribution are its own, and it is not the slower one, else the reference.

    Raises ConfigError when they do not go together, and NativeMissing.
    """
    if isinstance(name, str) and name not in get_args(ExecutorName):
        raise ConfigError(f"an executor is {', '.join(get_args(ExecutorName))}, not {name!r}")
    if name == "auto" and device.type == "cuda":
        name = "fused" if dtype == torch.bfloat16 else "graph"
    if name == "graph" or name == "fused" or name == "fused-few":
        if threads > 1:
            raise ConfigError(f"the {name} executor has one thread: run a sampler in each process")
        if name == "graph":
            return GraphExecutor(program, device, dtype, slots=slots)
        return FusedExecutor(program, name, slots=slots, device=device, dtype=dtype)
    return _on_processor(name, program, slots, device, dtype, threads)


def _on_processor(
    name: Literal["auto", "native", "reference"] | Library,
    program: StepProgram,
    slots: int,
    device: torch.device,
    dtype: torch.dtype,
    threads: int,
) -> Executor:
    fits = device.type == "cpu" and dtype in (torch.float32, torch.bfloat16) and runs(program)
    found = name if isinstance(name, Library) else None
    if fits and name == "native":
        found = load()
    elif fits and name == "auto":
        found = find()
        # Several threads, and bfloat16, the reference does not have.
        if threads == 1 and dtype == torch.float32 and _is_slow(found, slots):
            _log.info("sampling on the reference executor, which is faster without AVX2 and FMA")
            found = None
    if fits and found is not None:
        return NativeExecutor(program, found, slots=slots, threads=threads, dtype=dtype)
    if name != "reference" and name != "auto":
        raise ConfigError(
            f"the native executor does not draw such symbols in {dtype} on {device}: "
            "take executor='reference'"
        )
    if dtype == torch.bfloat16:
        raise ConfigError("only the native executor draws in bfloat16, and it is not here")
    if threads > 1:
        raise ConfigError("the reference executor has one thread: run a sampler in each process")
    return ReferenceExecutor(program, device, dtype)


def _is_slow(found: Library | None, slots: int) -> bool:
    """Whether the reference is faster with so many slots: on x86-64 the generic build calls a
    function for each multiply-add."""
    generic = found is not None and found.name == "generic"
    return generic and slots > FEW_SLOTS and platform.machine().lower() in ("x86_64", "amd64")
