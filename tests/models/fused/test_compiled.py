"""Kernels compile for a GPU that is not here, into what such a GPU is fast with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ancestral.models.sampling.fused.executor import TILES

ROOT = Path(__file__).parents[3]


def _counts(name: str, executor: str, cache: Path) -> dict[str, int]:
    tile = map(str, TILES[executor])
    command = [sys.executable, "-m", "tests.models.fused.compiling", name, *tile]
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
    counts = _counts("wide sound", "fused", tmp_path)
    # Then products are those of a warp group, and none has a second one that does the same
    assert counts["products of a warp group"] > 0 and counts["products of a warp"] == 0
    assert counts["products of half a block"] == 0
    # And hardly anything is read in small pieces
    assert counts["loads of 16 bytes"] > 10 * counts["loads of 2 bytes"]
    assert counts["barriers"] > 0


def test_functions_and_colours_compile_in_tiles_of_both_sizes(tmp_path: Path) -> None:
    for executor in TILES:
        assert _counts("pixelcnn_pp in colour", executor, tmp_path)["calls"] > 0


def test_few_slots_compile_too_and_sweeps_are_no_calls(tmp_path: Path) -> None:
    counts = _counts("gated_pixelcnn", "fused-few", tmp_path)
    assert counts["products of a warp"] > 0 and counts["calls"] == 0
