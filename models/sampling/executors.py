"""Which executor runs a program here."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.native.compiled import runs
from ancestral.models.sampling.native.executor import NativeExecutor
from ancestral.models.sampling.native.library import Library, find, load
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import ReferenceExecutor

ExecutorName = Literal["auto", "native", "reference"]


def executor_for(
    name: ExecutorName | Library,
    program: StepProgram,
    *,
    slots: int,
    device: torch.device,
    dtype: torch.dtype,
    threads: int,
) -> Executor:
    """The executor of that name, or the native one of that build; for auto the native one where it
    is built and device, dtype and distribution are its own, else the reference.

    Raises ConfigError when they do not go together, and NativeMissing.
    """
    if isinstance(name, str) and name not in get_args(ExecutorName):
        raise ConfigError(f"an executor is {', '.join(get_args(ExecutorName))}, not {name!r}")
    fits = device.type == "cpu" and dtype in (torch.float32, torch.bfloat16) and runs(program)
    found = name if isinstance(name, Library) else None
    if fits and name == "native":
        found = load()
    elif fits and name == "auto":
        found = find()
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
