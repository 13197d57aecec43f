"""A benchmark of trainings that are killed ends when one dies by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.parts import killed


@pytest.mark.parametrize("dies", ["peace", "trouble"])
def test_a_training_that_dies_by_itself_ends_it(dies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given trainings of which one comes to no step
    def start(folder: Path, steps: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", f"raise SystemExit({7 if folder.name == dies else 0})"]
        )

    monkeypatch.setattr(killed, "_start", start)

    with pytest.raises(SystemExit, match="ended by itself, with exit code 7: what it"):
        killed.compare(quick=True)
