"""`make gpu` on a processor: a little of everything that it does on a GPU."""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.parts.gpu.floors import Ceilings, Work, with_floor

ROOT = Path(__file__).parents[2]


#: What a machine with a GPU need not have, as a module that Python loads at its start.
MISSING = """
import sys
from importlib.abc import MetaPathFinder

NAMES = {"ray", "redis", "pydantic", "fsspec", "s3fs", "pyarrow", "yaml", "PIL", "soundfile", "av",
         "click", "pytest", "hypothesis", "scipy"}

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NAMES:
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Missing())
"""


def test_the_whole_command_runs_on_a_processor(tmp_path: Path) -> None:
    # Given a Python with torch, triton, numpy and safetensors
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(MISSING)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "python")}

    # When
    out = tmp_path / "figures"
    options = f"--device cpu --quick --out {out}"
    command = ["make", "gpu", f"PYTHON={sys.executable}", f"GPU={options}"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    # Then nothing failed, and each file says on what it was measured
    assert run.returncode == 0, run.stdout + run.stderr
    figures = {
        name: json.loads((out / f"gpu-{name}.json").read_text())
        for name in ("machine", "tests", "sampling")
    }
    assert {file.name for file in out.iterdir()} == {f"gpu-{name}.json" for name in figures}
    for figure in figures.values():
        assert figure["device"] and figure["torch"] and figure["python"]

    # And every test of the folder was run, and no case failed
    tests = {case["name"].partition("[")[0] for case in figures["tests"]["cases"]}
    written = {
        f"{file.stem}.{line.removeprefix('def ').partition('(')[0]}"
        for file in (ROOT / "tests" / "gpu").glob("test_*.py")
        for line in file.read_text().splitlines()
        if line.startswith("def test_")
    }
    assert tests == written and len(tests) >= 7
    sampling = figures["sampling"]
    every = [*figures["tests"]["cases"], *sampling["rows"], *sampling["compiled"]]
    assert not [case["error"] for case in every if "error" in case]

    # And rates stand beside their floors, of all slots that there are
    assert [row["slots"] for row in sampling["rows"] if row["processes"] == 2] == [2 * 4]
    assert {row["executor"] for row in sampling["rows"]} == {"graph", "fused", "fused-few"}
    for row in sampling["rows"]:
        assert row["per_second"] > 0
        assert row["share_of_floor"] == row["per_second"] / row["floor_per_second"]
        assert f"{row['floor_limit']}_seconds" in row["floor"]
        # Of kernels that had the device for themselves, also without the host's part
        timed = row["executor"] != "graph" and row["processes"] == 1
        assert ("kernel_seconds" in row) == timed
        assert not timed or 0 < row["kernel_seconds"] < row["advance_seconds"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "cpu"], "say where they go, with --out"),
        (["--only", "speed"], "no group 'speed': there are machine, compile, tests, sampling"),
    ],
)
def test_what_is_wrong_with_the_options_is_said(options: list[str], said: str) -> None:
    command = [sys.executable, "benchmarks/gpu.py", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert said in run.stderr


#: Round numbers of a device with a hundred processors.
CEILINGS = Ceilings(
    bfloat16_flops_per_second=1e15,
    float32_flops_per_second=5e13,
    memory_bytes_per_second=4e12,
    weights_bytes_per_second=5e12,
    weights_bytes_per_second_of_one=1e11,
    processors=100,
    cache_bytes=10**7,
)


@pytest.mark.parametrize(
    ("slots", "seconds"),
    [
        # One tile reads its weights as fast as one processor can, and uses one for arithmetic;
        # what the slots keep is in the cache.
        (1, (2e6 / 1e13, 2e6 / 1e11, 1e3 / 5e12)),
        (64, (64 * 2e6 / 1e13, 2e6 / 1e11, 64 * 1e3 / 5e12)),
        # Two tiles have twice as much of both.
        (65, (65 * 2e6 / 2e13, 4e6 / 2e11, 65 * 1e3 / 5e12)),
        # 128 tiles have all there is, and their slots keep more than the cache holds.
        (8192, (8192 * 2e6 / 1e15, 128 * 2e6 / 5e12, 8192 * 1e3 / 4e12)),
    ],
)
def test_floors_are_counted(slots: int, seconds: tuple[float, float, float]) -> None:
    work = Work(
        dtype="bfloat16",
        tile_slots=64,
        spread=False,
        multiply_adds=1e6,
        weight_bytes=2e6,
        slot_bytes=1e3,
        kept_bytes=1e5,
    )

    floor = work.floor(CEILINGS, slots)

    counted = floor.arithmetic_seconds, floor.weights_seconds, floor.slots_seconds
    assert counted == pytest.approx(seconds)
    assert floor.seconds == max(counted)
    assert floor.limit == "weights"


def test_a_row_has_the_share_of_its_floor() -> None:
    work = {
        "dtype": "float32",
        "tile_slots": 1024,
        "spread": True,
        "multiply_adds": 1e6,
        "weight_bytes": 0.0,
        "slot_bytes": 0.0,
        "kept_bytes": 0.0,
    }
    row = {
        "work": work,
        "slots": 10,
        "processes": 1,
        "positions_per_unit": 100.0,
        "per_second": 50_000.0,
    }

    found = with_floor(row, CEILINGS)

    # 5e13 FLOP/s are 25 million positions a second, or 250,000 images of 100.
    assert math.isclose(found["floor_per_second"], 250_000)
    assert math.isclose(found["share_of_floor"], 0.2)
    assert found["floor_limit"] == "arithmetic"


def test_processes_that_take_turns_have_the_floor_of_one() -> None:
    # Given one tile that stays on a processor, of a hundred, and two of them in all
    work = {
        "dtype": "bfloat16",
        "tile_slots": 64,
        "spread": False,
        "multiply_adds": 1e6,
        "weight_bytes": 0.0,
        "slot_bytes": 0.0,
        "kept_bytes": 0.0,
    }
    row = {"work": work, "positions_per_unit": 1.0, "per_second": 1e6}

    alone = with_floor({**row, "slots": 64, "processes": 1}, CEILINGS)
    two = with_floor({**row, "slots": 128, "processes": 2}, CEILINGS)

    # Then in each turn a hundredth of the device works: 1e13 FLOP/s
    assert alone["floor_per_second"] == two["floor_per_second"] == pytest.approx(5e6)


#: Speaks as the process of a device does, with kernels.
COMPILER = """
import json, sys, time
cases = [
    *({"group": "machine", "name": name, "seconds": 9.0} for name in ("machine", "ceilings")),
    *({"group": "tests", "name": name, "seconds": 9.0} for name in ("one", "two")),
    *({"group": "compile", "name": f"{name}, fused", "seconds": float("inf")}
      for name in ("slow", "net")),
    *({"group": "sampling", "name": name, "seconds": 9.0} for name in (
        "slow, fused, 64 slots", "slow, fused-few, 1 slots", "net, fused, 64 slots")),
]
print(json.dumps({"cases": cases}), flush=True)
for line in sys.stdin:
    if line == "slow, fused\\n":
        raise RuntimeError("no registers are left")
    print(json.dumps({"facts": {}}), flush=True)
"""


def test_rows_without_their_kernel_take_no_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given two kernels, of which one does not compile
    gpu = importlib.import_module("gpu")
    figures = gpu.Figures(tmp_path)

    # When
    gpu.measure("cpu", list(gpu.GROUPS), 1.0, figures, [sys.executable, "-c", COMPILER])

    # Then its row is not run, and what needs another one is
    written = json.loads((tmp_path / "gpu-sampling.json").read_text())
    errors = {row["name"]: row.get("error") for row in written["rows"]}
    assert errors == {
        "slow, fused, 64 slots": "not run: its kernel was not compiled",
        "slow, fused-few, 1 slots": None,
        "net, fused, 64 slots": None,
    }
    # And kernels came before the tests, which are listed before them
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told.index("tests") == told.index("compile") + 2


def test_a_command_that_is_told_to_end_ends_as_by_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a command in the middle of its cases
    gpu = importlib.import_module("gpu")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--out", str(tmp_path)])
    monkeypatch.setattr(gpu, "measure", lambda *_: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)

    # When somebody terminates it, it ends its processes, as `run_all` does then
    try:
        with pytest.raises(KeyboardInterrupt):
            gpu.main()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_python_without_torch_is_told_in_a_sentence() -> None:
    command = [sys.executable, "-S", "benchmarks/gpu.py"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert "this Python has no torch: say which one has, with make gpu PYTHON=..." in run.stderr


@pytest.mark.parametrize(
    ("given", "python"), [([], "python3"), (["PYTHON=/opt/python"], "/opt/python")]
)
def test_make_takes_the_python_of_the_machine(given: list[str], python: str) -> None:
    # What is said to the make that runs the tests would be said to this one, too.
    own = {"PYTHON", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    command = ["make", "--dry-run", "gpu", *given]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert f" {python} benchmarks/gpu.py" in run.stdout


def test_weights_are_streamed_as_they_are_said_to_be() -> None:
    # Given the kernel under Triton's interpreter, and a number of weights that blocks do not divide
    code = """
import torch
from parts.gpu.stream import BLOCK, stream, stream_by_torch
weights = torch.randn(BLOCK + 100, generator=torch.Generator().manual_seed(0)).bfloat16()
torch.testing.assert_close(stream(weights, 2, 3), stream_by_torch(weights, 2, 3))
"""
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT / "benchmarks")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
