"""What the executors for GPUs do on a GPU: tests, parity, and how fast they draw.

    make gpu                                                     (on a machine with a GPU)
    python benchmarks/gpu.py [--quick] [--minutes M] [--only GROUP,...] [--out FOLDER]
    python benchmarks/gpu.py --device cpu --out FOLDER           (a little of everything, by twins)

Needs Python 3.11 or newer, torch, triton, numpy and safetensors, and no network. It writes
gpu-machine.json, gpu-tests.json and gpu-sampling.json, and each of them anew whenever something is
known. What fails is written with its error, and the rest goes on; the exit code is 1 then.

Each rate is the median of several windows (parts/protocol.py) with all slots taken, and stands
beside its floor (parts/gpu/floors.py), which is counted with what the device gave in this very run.
Kernels are compiled before, beside the tests, and the time that this takes is a figure of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from parts.gpu.floors import Ceilings, with_floor
from parts.gpu.process import Listed, Outcome, Process, run_all
from parts.options import positive

GROUPS = ("machine", "compile", "tests", "sampling")
FIGURES = Path(__file__).parents[1] / "docs" / "figures"

#: All in all, and what of it compiling and testing may take.
MINUTES, SHARE_OF_TESTS = 8.0, 0.5
#: Processes that compile and test at the same time, at most.
MOST_PROCESSES = 8


class Figures:
    """What is known, and the files that it is written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._machine: dict[str, Any] = {}
        self._ceilings: dict[str, Any] = {}
        self._cases: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
        self.failed = 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, outcome: Outcome) -> None:
        """Write an outcome where it belongs, and a line for people."""
        case, facts = outcome.case, dict(outcome.facts or {})
        self.failed += outcome.error is not None
        if case.name == "machine":
            self._machine = facts
        elif case.name == "ceilings":
            self._ceilings = facts
        if "per_second" in facts and self._ceilings:
            facts = with_floor(facts, Ceilings(**self._ceilings))
        told = {"name": case.name, "seconds": round(outcome.seconds, 2)}
        if outcome.error is not None:
            told["error"] = outcome.error
        if case.group != "machine" or outcome.error is not None:
            told |= facts
        self._cases[case.group].append(told)
        self._write(case.group)
        print(line_of(case, outcome, facts), flush=True)

    def _write(self, group: str) -> None:
        if group == "machine":
            self._file("machine", {"ceilings": self._ceilings, "cases": self._cases[group]})
        elif group == "tests":
            self._file("tests", {"cases": self._cases[group]})
        else:
            self._file(
                "sampling",
                {
                    "ceilings": self._ceilings,
                    "compiled": self._cases["compile"],
                    "rows": self._cases["sampling"],
                },
            )

    def _file(self, name: str, document: Mapping[str, Any]) -> None:
        path = self._folder / f"gpu-{name}.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({**self._machine, **document}, indent=2) + "\n")
        # In one go, so that whoever stops us finds a whole file.
        partial.replace(path)


def line_of(case: Listed, outcome: Outcome, facts: Mapping[str, Any]) -> str:
    """An outcome for people."""
    head = f"{case.group:8} {case.name:58}"
    if outcome.error is not None:
        return f"{head} FAILED  {outcome.error.splitlines()[-1]}"
    if "refused" in facts:
        return f"{head} -  {facts['refused']}"
    if "per_second" in facts:
        share = f"{facts['share_of_floor']:.0%}" if "share_of_floor" in facts else "?"
        limit = facts.get("floor_limit", "")
        missed = facts["target_per_second"] and facts["per_second"] < facts["target_per_second"]
        star = "  *" if missed else ""
        return (
            f"{head} {facts['per_second']:>14,.0f} {facts['unit']}/s, {share} of the floor "
            f"({limit}), {outcome.seconds:.1f} s{star}"
        )
    if case.group == "machine":
        return "\n".join([head, *(f"         {name:32} {value}" for name, value in facts.items())])
    return f"{head} ok  {outcome.seconds:.1f} s"


def measure(
    device: str, groups: list[str], minutes: float, figures: Figures, command: list[str]
) -> None:
    """Run all cases of these groups."""
    end = time.monotonic() + 60 * minutes
    beside = 0
    if device != "cpu":
        beside = min(MOST_PROCESSES, (os.cpu_count() or 1) // 2) - 1
    with ExitStack() as stack:
        process = stack.enter_context(Process(command))
        error = process.start()
        if error is not None:
            raise SystemExit(f"{error}\nit cannot start here: --help says what it needs")

        def listed(*names: str) -> list[Listed]:
            return [case for case in process.cases if case.group in names]

        # What a device could give is needed by all others.
        run_all(listed("machine"), [process], end, figures.add)
        together = listed(*({"compile", "tests"} & set(groups)))
        alone = listed(*({"sampling"} & set(groups)))
        tests_end = end - 60 * minutes * (1 - SHARE_OF_TESTS) if alone else end
        uncompiled: list[str] = []

        def tell(outcome: Outcome) -> None:
            figures.add(outcome)
            if outcome.case.group == "compile" and outcome.error is not None:
                uncompiled.append(f"{outcome.case.name}, ")

        with ExitStack() as tests:
            others = [tests.enter_context(Process(command)) for _ in range(beside)]
            # Kernels come first, as rows need them: each has all this time, and tests the rest.
            together.sort(key=lambda case: case.group != "compile")
            run_all(together, [process, *others], tests_end, tell)
        # A row would take its time for trying the same again.
        for case in alone:
            if case.name.startswith(tuple(uncompiled)):
                figures.add(Outcome(case, 0.0, None, "not run: its kernel was not compiled"))
        ready = [case for case in alone if not case.name.startswith(tuple(uncompiled))]
        run_all(ready, [process], end, figures.add)


def has_gpu() -> bool:
    """Whether torch sees one; it is asked in this process, which does nothing else with it."""
    import torch

    return torch.cuda.is_available()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter windows")
    parser.add_argument("--minutes", type=positive, default=MINUTES, help="for all of it [8]")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(GROUPS),
        metavar="GROUP,...",
        help=", ".join(GROUPS),
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for the figures [docs/figures]")
    arguments = parser.parse_args()
    for group in arguments.only:
        if group not in GROUPS:
            parser.error(f"no group {group!r}: there are {', '.join(GROUPS)}")
    if arguments.device == "cpu" and arguments.out is None:
        parser.error("--device cpu gives no figures of a GPU: say where they go, with --out")
    if find_spec("torch") is None:
        parser.error("this Python has no torch: say which one has, with make gpu PYTHON=...")
    if arguments.device == "cuda" and not has_gpu():
        parser.error("torch finds no GPU here; --device cpu --out FOLDER tries the command")
    figures = Figures(arguments.out or FIGURES)
    # Its processes have sessions of their own: whoever ends this one, it ends them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    child = [sys.executable, "-m", "parts.gpu.child", "--device", arguments.device]
    if arguments.quick:
        child.append("--quick")
    measure(arguments.device, arguments.only, arguments.minutes, figures, child)
    if figures.failed:
        print(f"{figures.failed} cases failed, or were not run", file=sys.stderr)
    return 1 if figures.failed else 0


if __name__ == "__main__":
    sys.exit(main())
