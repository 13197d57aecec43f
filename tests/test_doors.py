"""The house: imports flow one way, every folder is packed, and the map names every file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("jobs", "models", "workers", "orchestration")


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


def test_imports_flow_one_way() -> None:
    program = os.path.join(sysconfig.get_path("scripts"), "lint-imports")

    result = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", result.stdout)


def test_every_folder_with_code_is_a_package_of_the_project() -> None:
    section = setuptools_section()
    folders = {path.parent for path in sources(".py")}

    assert {Path(folder) for folder in section["package-dir"].values()} == folders
    assert set(section["packages"]) == set(section["package-dir"])
    for name, folder in section["package-dir"].items():
        assert name == f"ancestral.{folder.replace('/', '.')}"


def test_a_wheel_holds_every_file_that_is_needed_at_run_time(tmp_path: Path) -> None:
    # Given a copy of the project, because building leaves files behind
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)

    # When
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", "out", "."],
        cwd=tmp_path,
        check=True,
    )
    (wheel,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            Path(name).relative_to("ancestral")
            for name in archive.namelist()
            if name.startswith("ancestral/")
        }

    # Then the code, the Lua scripts, the shipped data and recipes and the page are all there
    needed = sources(".py", ".lua", ".parquet", ".yaml", ".html", ".md", ".typed")
    assert {path.suffix for path in needed} >= {".py", ".lua", ".parquet", ".yaml", ".html"}
    assert packed == needed


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
