"""Which builds of the native executor the tests of this folder are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from ancestral.models.sampling.native import library


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--native-folder",
        type=Path,
        metavar="FOLDER",
        help="take the native executor's builds from here, such as those with sanitizers",
    )


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--native-folder", default=None)
    if folder is not None:
        library.look_in(folder.absolute())
        if not library.available():
            raise pytest.UsageError(f"no build of the native executor in {folder}")


def pytest_report_header(config: pytest.Config) -> str:
    return f"native executor: {', '.join(library.available()) or 'not built'}"
