"""The builds of the native executor: which of them run here, and loading one.

    generic       every processor
    avx2          x86-64 with AVX2 and FMA
    avx512        and AVX-512 F, BW, DQ, VL
    avx512bf16    and AVX-512 BF16

Each is a shared library with a C interface, made of one source by `setup.py`. A package that was
installed without a C++ compiler has none of them.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ancestral.models.errors import NativeMissing, NativeStale

#: The version of the C interface and of what is computed; `abi.h` has the same number.
ABI = 3

#: The builds, best first, and what `ancestral_processor()` must at least say for each.
LEVELS = {"avx512bf16": 3, "avx512": 2, "avx2": 1, "generic": 0}

_AGAIN = "build it again: make .venv, or pip install"

_log = logging.getLogger("ancestral.models")
_folder = Path(__file__).parent


@dataclass(frozen=True)
class Library:
    """A loaded build, and its functions. They let other Python threads run meanwhile."""

    name: str
    path: Path
    _functions: ctypes.CDLL = field(repr=False)

    def run(self, program: int, call: int) -> None:
        """Runs a call of a program, each given by the address of its structure."""
        self._functions.ancestral_run(program, call)

    def multiply_add_gflops(self, seconds: float, *, bfloat16: bool = False) -> float:
        """The peak of one core, measured for about so long; a multiply-add counts 2. In bfloat16
        it is 0 if this build has no such products."""
        return float(self._functions.ancestral_multiply_add_gflops(seconds, bfloat16))


def available() -> tuple[str, ...]:
    """The names of the builds that are here and that this processor runs, best first.

    Raises NativeStale, and NativeMissing if there are builds that this system cannot load.
    """
    if not _path("generic").exists():
        return ()
    level = int(_open(_path("generic")).ancestral_processor())
    return tuple(name for name, least in LEVELS.items() if least <= level and _path(name).exists())


def load(name: str | None = None) -> Library:
    """The build of that name, or the best one; raises NativeMissing and NativeStale."""
    names = available()
    if name is None and not names:
        raise NativeMissing(f"the native executor was not built; with a C++ compiler, {_AGAIN}")
    if name is not None and name not in names:
        raise NativeMissing(
            f"the native executor's build {name!r} is not here or not for this processor; "
            f"there is {', '.join(names) or 'none'}"
        )
    chosen = name or names[0]
    return Library(chosen, _path(chosen), _open(_path(chosen)))


def find() -> Library | None:
    """The best build; None, and a line in the log of the process, where none can be used.

    Raises NativeStale: what can be repaired by building again should not make things slow.
    """
    try:
        return load()
    except NativeStale:
        raise
    except NativeMissing as error:
        _say_once(f"sampling on the reference executor, which is slower: {error}")
        return None


def look_in(folder: Path) -> Path:
    """Builds are those of `folder` from now on; returns the folder before.

    Tests watch the executor's every step that way, in builds of another kind.
    """
    global _folder
    before, _folder = _folder, folder
    return before


def _path(name: str) -> Path:
    return _folder / f"{name}.so"


@cache
def _open(path: Path) -> ctypes.CDLL:
    try:
        functions = ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeMissing(f"the native executor cannot be loaded; {_AGAIN}: {error}") from error
    version = _version(functions)
    if version != ABI:
        raise NativeStale(f"{path} is of version {version}, this package of {ABI}; {_AGAIN}")
    functions.ancestral_run.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    functions.ancestral_run.restype = None
    functions.ancestral_multiply_add_gflops.argtypes = (ctypes.c_double, ctypes.c_int)
    functions.ancestral_multiply_add_gflops.restype = ctypes.c_double
    functions.ancestral_processor.argtypes = ()
    functions.ancestral_processor.restype = ctypes.c_int
    return functions


def _version(functions: ctypes.CDLL) -> int | None:
    """What version a library says it is of; None, if it says nothing."""
    try:
        version = functions.ancestral_abi
    except AttributeError:
        return None
    version.argtypes, version.restype = (), ctypes.c_int
    return int(version())


@cache
def _say_once(text: str) -> None:
    _log.warning("%s", text)
