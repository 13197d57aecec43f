"""Kernels compile for a GPU that is not here, into what such a GPU is fast with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def _counts(name: str, slots: int, warps: int, cache: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.models.fused.compiling", name, str(slots), str(warps)]
    kept = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment = {**kept, "TRITON_CACHE_DIR": str(cache)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def test_many_slots_are_multiplied_by_warp_groups_and_weights_read_by_16_bytes(
    tmp_path: Path,
) -> None:
    # Given a sound whose layers are as wide as a block; when it is compiled for tiles of 64
    counts = _counts("wide sound", 64, 8, tmp_path)
    # Then products are those of a warp group, and hardly anything is read in small pieces
    assert counts["products of a warp group"] > 0 and counts["products of a warp"] == 0
    assert counts["loads of 16 bytes"] > 10 * counts["loads of 2 bytes"]
    assert counts["barriers"] > 0


def test_few_slots_and_groups_that_are_called_compile_too(tmp_path: Path) -> None:
    assert _counts("gated_pixelcnn", 16, 4, tmp_path)["products of a warp"] > 0
