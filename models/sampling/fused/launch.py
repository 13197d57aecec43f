"""From a kernel's text to something that can be called: by Triton on a GPU, by Triton's
interpreter, or in plain torch.

The text is made here from a program and holds nothing but its words and numbers. Triton wants to
find it in a file, as Python's tracebacks do; both look into `linecache`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import linecache
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.fused import twin
from ancestral.models.sampling.fused.source import GROUP, RUN

#: How kernels are compiled. With a stage more, memories would be read before the step in between
#: has written them; what is fused decides bits, and the default differs between versions.
OPTIONS: dict[str, Any] = {"num_stages": 1, "enable_fp_fusion": True}

#: A tensor of the tables, or a number.
Argument = Tensor | int


class Launcher(ABC):
    """Runs one kernel in as many programs as asked for, each of which is a tile."""

    #: Who computes, and in which version.
    version: str
    #: What the last launch ran, as Triton knows it; None where nothing is compiled.
    compiled: Any = None

    @abstractmethod
    def launch(self, programs: int, arguments: dict[str, Argument]) -> None:
        """Run all programs; `arguments` are those of `source.ARGUMENTS`, by name."""


class TwinLauncher(Launcher):
    """In plain torch, one program after another."""

    version = "twin"

    def __init__(self, text: str) -> None:
        self._program = 0
        words = {**twin.WORDS, "program_number": lambda: self._program}
        self._run = kernel_function(text, words)

    def launch(self, programs: int, arguments: dict[str, Argument]) -> None:
        for self._program in range(programs):
            self._run(**arguments)


class TritonLauncher(Launcher):
    """By Triton, compiled for the GPU, or interpreted where TRITON_INTERPRET says so."""

    def __init__(self, text: str, *, warps: int) -> None:
        """Raises ConfigError when Triton is not here, or what it needs to compile."""
        if not interpreted():
            check_compiler()
        self._kernel = triton_kernel(text)
        self._warps = warps
        self.version = f"triton-{importlib.metadata.version('triton')}"

    def launch(self, programs: int, arguments: dict[str, Argument]) -> None:
        weights = arguments["weights"]
        assert isinstance(weights, Tensor)
        # Triton launches on torch's current device, whatever the pointers are of.
        with torch.cuda.device_of(weights):  # type: ignore[no-untyped-call]
            launch = self._kernel[(programs,)]
            self.compiled = launch(**arguments, num_warps=self._warps, **OPTIONS)


def check_compiler() -> None:
    """Raises ConfigError when no C compiler is here, by which Triton makes what starts kernels."""
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        raise ConfigError("fused kernels need a C compiler: install gcc, or name one in CC")


def interpreted() -> bool:
    """Whether Triton is here and interprets kernels, on a processor."""
    return (
        importlib.util.find_spec("triton") is not None and os.environ.get("TRITON_INTERPRET") == "1"
    )


def kernel_function(
    text: str, words: dict[str, Any], called: Callable[[Any, bool], Any] | None = None
) -> Any:
    """The kernel of a text that may use these words. Of the functions that it calls, `called` makes
    what is called; it is told whether any is called from several places."""
    name = f"<fused kernel {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    known = {**words, "__name__": __name__}
    exec(compile(text, name, "exec"), known)
    own = [each for each in known if each.startswith(GROUP)]
    if called is not None:
        # Each name stands where it is made, and wherever it is called from.
        several = any(text.count(f"{each}(") > 2 for each in own)
        known.update({each: called(known[each], several) for each in own})
    return known[RUN]


def triton_kernel(text: str) -> Any:
    """The kernel of a text, by Triton. What it calls becomes a part of it, as products wait for
    each other around calls; unless some of it is called from several places: then each is compiled
    once, not in every place, which would take minutes.

    Raises ConfigError when Triton is not here.
    """
    try:
        import triton

        from ancestral.models.sampling.fused import draws, kernels
    except ImportError as error:
        raise ConfigError("fused kernels need Triton: pip install triton") from error
    words = {**vars(draws), **vars(kernels)}
    run = kernel_function(text, words, lambda own, several: triton.jit(own, noinline=several))
    # What differs from run to run is no reason to compile again.
    return triton.jit(run, do_not_specialize=["positions", "all_columns"])
