"""The house: every folder is packed, and the map names every file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from ancestral.jobs.bundles import FILES
from tests.jobs.bundles import write_bundle

ROOT = Path(__file__).parents[1]
FOLDERS = ("jobs", "models", "workers", "orchestration")
NATIVE = Path("models/sampling/native")
SHIPPED = Path("orchestration/shipped/bundles/some-model")


def setuptools_section() -> dict[str, dict[str, str]]:
    section: dict[str, dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "tool"
    ]["setuptools"]
    return section


def sources(*suffixes: str) -> set[Path]:
    """The files of the four folders with these suffixes, relative to the root."""
    return {
        path.relative_to(ROOT)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and "__pycache__" not in path.parts
    }


def test_every_folder_with_code_is_a_package_of_the_project() -> None:
    section = setuptools_section()
    folders = {path.parent for path in sources(".py")}

    assert {Path(folder) for folder in section["package-dir"].values()} == folders
    assert set(section["packages"]) == set(section["package-dir"])
    for name, folder in section["package-dir"].items():
        assert name == f"ancestral.{folder.replace('/', '.')}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, because building leaves files behind, with little to compile, and a
    model that ships."""
    built = shutil.ignore_patterns("*.so", "__pycache__")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / "project" / folder, ignore=built)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "project")
    stub = ROOT / "tests" / "models" / "native" / "stub.cpp"
    shutil.copy(stub, tmp_path / "project" / NATIVE / "executor.cpp")
    write_bundle(tmp_path / "project" / SHIPPED)
    return tmp_path / "project"


def packed_in_a_wheel(project: Path, environment: dict[str, str]) -> set[Path]:
    """The files of ours in the wheel of a project, relative to our folders."""
    subprocess.run(
        [sys.executable, "-c", "from setuptools import build_meta; build_meta.build_wheel('out')"],
        cwd=project,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (wheel,) = (project / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {
            Path(name).relative_to("ancestral")
            for name in archive.namelist()
            if name.startswith("ancestral/")
        }


def needed_at_run_time() -> set[Path]:
    """The code, the Lua scripts, the shipped models, data and recipes, and the page."""
    suffixes = (".py", ".lua", ".parquet", ".yaml", ".html", ".md", ".typed")
    needed = sources(*suffixes, ".json", ".safetensors")
    assert {path.suffix for path in needed} >= {".py", ".lua", ".parquet", ".yaml", ".html"}
    return needed | {SHIPPED / file for file in FILES}


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
def test_a_wheel_holds_every_file_that_is_needed_at_run_time(project: Path) -> None:
    # Given the archive of the sources, unpacked
    subprocess.run(
        [sys.executable, "-c", "from setuptools import build_meta; build_meta.build_sdist('out')"],
        cwd=project,
        capture_output=True,
        check=True,
    )
    (archive,) = (project / "out").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(project / "unpacked", filter="data")
    (unpacked,) = (project / "unpacked").iterdir()

    # When a wheel is made of it
    packed = packed_in_a_wheel(unpacked, {})

    # Then it has every build of the native executor as well, but not what they are made of
    names = ["generic"]
    if sysconfig.get_platform().endswith("x86_64"):
        names += ["avx2", "avx512", "avx512bf16"]
    assert packed == needed_at_run_time() | {NATIVE / f"{name}.so" for name in names}


def test_a_wheel_is_made_without_a_compiler(project: Path) -> None:
    packed = packed_in_a_wheel(project, {"CC": "/bin/false", "CXX": "/bin/false"})

    assert packed == needed_at_run_time()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_map_of_the_house_names_every_file_and_no_other(folder: str) -> None:
    # Given the table of a folder in the map
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, section = text.partition(f"\n## {folder}/\n")
    table = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    named = {
        Path(folder, name)
        for line in table
        for name in re.findall(r"`([\w/.]+)`", line.split("|")[1])
    }

    # Then it has a line for every module, but for those of folders that have one as a whole
    whole = {path for path in named if (ROOT / path).is_dir()}
    modules = {
        path
        for path in sources(".py")
        if path.parts[0] == folder and path.name != "__init__.py" and not whole & set(path.parents)
    }
    assert modules <= named
    assert all((ROOT / path).exists() for path in named)
