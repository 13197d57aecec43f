"""The command line, as a user has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
