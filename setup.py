"""How the native executor is built; all else about the package is said in pyproject.toml.

    executor.cpp and its headers ──┬──▶ generic.so      every processor
                                   ├──▶ avx2.so         x86-64 with AVX2 and FMA
                                   ├──▶ avx512.so       and AVX-512 F, BW, DQ, VL
                                   └──▶ avx512bf16.so   and AVX-512 BF16

They are shared libraries with a C interface, and lie beside `models/sampling/native/library.py`,
which loads the best one that the processor has. None is needed: what does not compile is left out,
and without any the reference executor serves.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from sysconfig import get_platform

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

PACKAGE = "ancestral.models.sampling.native"
FOLDER = Path("models/sampling/native")

FLAGS = [
    *("-O3", "-g0", "-std=c++17", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti"),
    # Multiply-adds are written where they are meant, so that every build gives the same bits.
    "-ffp-contract=off",
]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# Python compiles with -fwrapv, under which no sum of whole numbers is ever found too large.
SANITIZE_COMPILE = [*SANITIZE, "-O1", "-g", "-fno-omit-frame-pointer", "-fno-wrapv"]

AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
X86 = {"avx2": ["-mavx2", "-mfma"], "avx512": AVX512, "avx512bf16": [*AVX512, "-mavx512bf16"]}


def builds() -> dict[str, list[str]]:
    """The builds for the processor that is compiled for, with what sets each apart."""
    return {"generic": [], **(X86 if get_platform().endswith(("x86_64", "amd64")) else {})}


def extension(name: str, flags: list[str]) -> Extension:
    return Extension(
        f"{PACKAGE}.{name}",
        sources=[str(FOLDER / "executor.cpp")],
        # This file too, because it holds the flags.
        depends=[*sorted(map(str, FOLDER.glob("*.h"))), "setup.py"],
        extra_compile_args=[*FLAGS, *flags],
        language="c++",
        optional=True,
    )


class BuildLibraries(build_ext):
    """Compiles every build by itself, two or more at a time, and says so if none came out of it."""

    user_options = [  # noqa: RUF012
        *build_ext.user_options,
        ("sanitize", None, "watch addresses and undefined behaviour; every build must compile"),
    ]
    boolean_options = [*build_ext.boolean_options, "sanitize"]  # noqa: RUF012

    def initialize_options(self) -> None:
        super().initialize_options()
        self.sanitize = False

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count()
        if self.sanitize:
            for each in self.extensions:
                each.extra_compile_args += SANITIZE_COMPILE
                each.extra_link_args += SANITIZE
                each.optional = False

    def get_ext_filename(self, fullname: str) -> str:
        """Not a module of any one Python, so its name carries no interpreter's."""
        return os.path.join(*fullname.split(".")) + ".so"

    def build_extensions(self) -> None:
        super().build_extensions()
        if not any(Path(self.get_ext_fullpath(each.name)).exists() for each in self.extensions):
            self.warn(
                "the native executor was not built, which takes a C++17 compiler (CXX); "
                "the package is complete without it, but samples much slower on processors"
            )

    def build_extension(self, ext: Extension) -> None:
        # One source gives one name of an object file, so each build has a folder for its own.
        alone = copy.copy(self)
        alone.build_temp = os.path.join(self.build_temp, ext.name.rpartition(".")[2])
        try:
            super(BuildLibraries, alone).build_extension(ext)
        except Exception:
            # What an earlier source gave must not be taken for what this one gives.
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            raise

    def copy_extensions_to_source(self) -> None:
        for stale in FOLDER.glob("*.so"):
            stale.unlink()
        super().copy_extensions_to_source()


class PlatformWheel(bdist_wheel):
    """One wheel for every Python on a platform: the libraries know nothing of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[extension(name, flags) for name, flags in builds().items()],
    cmdclass={"build_ext": BuildLibraries, "bdist_wheel": PlatformWheel},
)
