"""Which build of the native executor is loaded, and what is said when none can be."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from ancestral.models.errors import NativeMissing, NativeStale
from ancestral.models.sampling import native
from ancestral.models.sampling.native import library

STUB = Path(__file__).with_name("stub.cpp")
NAMES = ("avx512bf16", "avx512", "avx2", "generic")

#: Puts builds of the stub, for a processor of that level, where the package looks for its own.
Stubs = Callable[..., Path]

#: A build of the stub for a processor of that level, of that version.
Compiled = Callable[[int, int], Path]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder, where the package looks for builds.

    It outlives the test: the loader knows files by their inodes, which others get once it is gone.
    """
    folder = tmp_path_factory.mktemp("builds")
    before = library.look_in(folder)
    yield folder
    library.look_in(before)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The stub for a processor of that level and of that version, compiled once for all tests."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("stubs")

    @cache
    def build(processor: int, version: int) -> Path:
        path = folder / f"{processor}-{version}.so"
        flags = ["-shared", "-fPIC", f"-DPROCESSOR={processor}", f"-DVERSION={version}"]
        subprocess.run([compiler, *flags, "-o", path, STUB], check=True)
        return path

    return build


@pytest.fixture
def stubs(folder: Path, compiled: Compiled) -> Stubs:
    def put(*names: str, processor: int = 3, version: int = library.ABI) -> Path:
        for name in names:
            # A file of its own: of a file that it has loaded the loader takes what it has.
            shutil.copy(compiled(processor, version), folder / f"{name}.so")
        return folder

    return put


@pytest.mark.parametrize(
    ("processor", "runnable"),
    [(0, NAMES[3:]), (1, NAMES[2:]), (2, NAMES[1:]), (3, NAMES)],
)
def test_the_best_build_of_those_that_the_processor_runs_is_loaded(
    stubs: Stubs, processor: int, runnable: tuple[str, ...]
) -> None:
    # Given all builds, and a processor
    folder = stubs(*NAMES, processor=processor)

    # Then what it runs is found, best first, and the best one is loaded
    assert native.available() == runnable
    best = library.load()
    assert (best.name, best.path) == (runnable[0], folder / f"{runnable[0]}.so")
    assert library.find() == best


def test_a_build_that_was_not_made_is_passed_over(stubs: Stubs) -> None:
    stubs("generic", "avx2", processor=3)

    assert native.available() == ("avx2", "generic")
    assert library.load().name == "avx2"


def test_a_build_is_loaded_by_its_name(stubs: Stubs) -> None:
    stubs(*NAMES)

    assert [library.load(name).name for name in NAMES] == list(NAMES)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse"])
def test_a_build_that_cannot_run_is_refused(stubs: Stubs, name: str) -> None:
    # Given a processor without AVX-512, and no build for AVX2
    stubs("generic", "avx512", processor=1)

    with pytest.raises(NativeMissing, match=f"'{name}' is not here or .* there is generic$"):
        library.load(name)


def test_a_library_is_called_with_addresses_and_seconds(stubs: Stubs) -> None:
    stubs("generic")
    program, call = ctypes.c_int(40), ctypes.c_int(2)

    build = library.load()
    build.run(ctypes.addressof(program), ctypes.addressof(call))

    assert (program.value, call.value) == (40, 42)
    assert build.multiply_add_gflops(0.5) == 500.0
    assert build.multiply_add_gflops(0.5, bfloat16=True) == 1000.0


@pytest.mark.parametrize("look", [library.load, library.find, native.available])
def test_a_build_of_another_version_is_refused(stubs: Stubs, look: Callable[[], object]) -> None:
    folder = stubs("generic", version=library.ABI + 1)

    with pytest.raises(NativeStale, match=re.escape(str(folder)) + ".*; build it again"):
        look()


def test_a_library_that_is_something_else_is_refused(folder: Path) -> None:
    # Given a library without our functions: the interpreter's own module of mathematics
    (folder / "generic.so").symlink_to(sys.modules["_ctypes"].__file__ or "")

    with pytest.raises(NativeStale, match="of version None"):
        library.load()


def test_a_file_that_is_no_library_counts_as_none(folder: Path) -> None:
    (folder / "generic.so").write_bytes(b"not a library")

    with pytest.raises(NativeMissing, match="cannot be loaded; build it again"):
        library.load()
    assert library.find() is None


def test_without_a_build_there_is_an_error_for_who_asks_for_one(folder: Path) -> None:
    assert native.available() == ()
    with pytest.raises(NativeMissing, match="not built; with a C\\+\\+ compiler, build it again"):
        library.load()


def test_the_sources_are_of_the_version_that_is_loaded() -> None:
    header = Path(library.__file__).with_name("abi.h").read_text(encoding="utf-8")

    assert re.findall(r"\bABI = (\d+);", header) == [str(library.ABI)]


@pytest.mark.skipif(not native.available(), reason="the native executor is not built")
def test_the_builds_of_this_installation_load() -> None:
    for name in native.available():
        assert library.load(name).name == name
    best = library.load()
    assert best.multiply_add_gflops(0.01) > 0
    has_bfloat16 = best.multiply_add_gflops(0.01, bfloat16=True) > 0
    assert has_bfloat16 == (best.name == "avx512bf16")


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists(),
    reason="the system does not list what its processor can do",
)
@pytest.mark.skipif(not native.available(), reason="the native executor is not built")
def test_the_processor_is_judged_as_the_system_judges_it() -> None:
    # Given what the system says of the processor
    flags = set(re.search(r"flags\s*: (.*)", Path("/proc/cpuinfo").read_text())[1].split())  # type: ignore[index]
    needs = {
        "avx512bf16": {"fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16"},
        "avx512": {"fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"},
        "avx2": {"fma", "avx2"},
        "generic": set(),
    }

    # Then of the builds that were made, exactly those are there that it can run
    folder = library.load().path.parent
    made = [name for name in needs if (folder / f"{name}.so").exists()]
    assert native.available() == tuple(name for name in made if needs[name] <= flags)
