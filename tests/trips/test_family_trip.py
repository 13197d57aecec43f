"""A family of networks from somebody else's package: installed, published, drawn by the fleet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.orchestration.shell import Shell
from tests.orchestration.tiny import tiny_spec

pytestmark = [pytest.mark.ray, pytest.mark.redis]

PACKAGE = Path(__file__).parents[1] / "packages" / "bigram"

#: What its author runs: a network by its family's name, held to the laws' definition, and saved.
PUBLISH = """
import sys
from pathlib import Path

import torch
from ancestral.models import Sampler, SampleRequest, build, sample_naive, save_bundle

torch.manual_seed(0)
net = build("bigram", {"height": 3, "width": 4, "levels": 5}).double().eval()
(sample,) = Sampler(net, dtype=torch.float64).sample([SampleRequest("one", {}, seed=7)])
assert (sample.symbols == sample_naive(net, {}, seed=7).symbols.numpy()).all()
save_bundle(Path(sys.argv[1]), net.float(), card="# bigram", metrics={})
"""


def test_a_family_that_a_package_adds(shell: Shell, tmp_path: Path) -> None:
    # Given a package with an entry point, installed beside ours
    site = tmp_path / "site"
    _call("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
          "--target", str(site), str(_copy(tmp_path)))  # fmt: skip
    shell.environment["PYTHONPATH"] = str(site)
    bundle = tmp_path / "bundle"
    _call("-c", PUBLISH, str(bundle), environment=shell.environment)

    # When a job asks for its model
    spec = tiny_spec(tmp_path / "lake", samples=20, model=str(bundle), grid={})
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"request_id": "one"}\n')
    spec = {**spec, "input": str(requests)}
    del spec["grid"]
    job = shell.run_json("run", shell.write("job.yaml", spec))

    # Then the fleet draws it
    assert (job["state"], job["rows_ok"]) == ("done", 20)
    table = pd.read_parquet(job["index"])
    assert table["sha256"].nunique() > 1
    assert (table["width"] == 4).all()


def _copy(tmp_path: Path) -> Path:
    """The package, where building it leaves no traces in the tests."""
    folder = tmp_path / "bigram"
    folder.mkdir()
    for file in PACKAGE.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


def _call(*arguments: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment or dict(os.environ),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
