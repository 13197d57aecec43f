"""Processes that `make gpu` starts: what a failure costs, and that nothing outlives them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.parts.gpu.process import FOLDERS, THREADS, Listed, Outcome, Process, run_all

#: Speaks as the process of a device does.
CHILD = """
import json, os, sys, time
names = "fine", "dies", "hangs", "noise"
cases = [{"group": "tests", "name": name, "seconds": 1.0} for name in names]
print(json.dumps({"cases": cases}), flush=True)
for line in sys.stdin:
    if line == "dies\\n":
        raise RuntimeError("an illegal memory access was encountered")
    if line == "noise\\n":
        os.write(2, b"\\xff: ptxas died\\n")
        sys.exit(1)
    if line == "hangs\\n":
        time.sleep(60)
    print(json.dumps({"facts": {"threads": os.environ["OMP_NUM_THREADS"]}}), flush=True)
"""

#: As the above: its case starts something that holds a lock, and both last longer than they may.
HOLDER = """
import fcntl, json, subprocess, sys, time
case = {"group": "sampling", "name": "holds", "seconds": float(sys.argv[2])}
print(json.dumps({"cases": [case]}), flush=True)
sys.stdin.readline()
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, pass_fds=[lock.fileno()])
    print("held", file=lock, flush=True)
    time.sleep(60)
"""

#: Runs that case until it is interrupted.
RUNNER = """
import sys, time
from parts.gpu.process import Process, run_all
with Process(sys.argv[1:]) as process:
    assert process.start() is None
    run_all(process.cases, [process], time.monotonic() + 60, print)
"""


def _is_let_go(lock: Path) -> bool:
    """Whether nobody holds a lock any more, within seconds."""
    end = time.monotonic() + 10
    with lock.open() as file:
        while time.monotonic() < end:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            time.sleep(0.02)
    return False


def test_a_case_that_dies_or_hangs_costs_one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    told: list[Outcome] = []
    with Process([sys.executable, "-c", CHILD]) as process:
        assert process.start() is None
        fine, dies, hangs, _ = process.cases

        # When they are run in turn, and a last one when there is no time left
        order = [fine, dies, fine, hangs, fine]
        run_all(order, [process], time.monotonic() + 60, told.append)
        run_all([fine], [process], time.monotonic() - 1, told.append)

    # Then those that were fine before and behind are fine, and leave threads to each other
    assert [outcome.case for outcome in told] == [*order, fine]
    facts = [outcome.facts for outcome in told if outcome.error is None]
    assert facts == [{"threads": THREADS}] * 3
    died, hung, late = (str(outcome.error) for outcome in told if outcome.error is not None)
    assert died.splitlines()[-1] == "RuntimeError: an illegal memory access was encountered"
    assert hung == "it took more than 1 s"
    assert late == "not run: there was no time left"


def test_an_error_need_not_be_text() -> None:
    with Process([sys.executable, "-c", CHILD]) as process:
        assert process.start() is None
        outcome = process.run(process.cases[-1], 60.0)

    assert str(outcome.error).endswith(": ptxas died")


def test_who_cannot_take_an_outcome_ends_the_command() -> None:
    def full(_: Outcome) -> None:
        raise OSError("no space left on device")

    with Process([sys.executable, "-c", CHILD]) as process:
        assert process.start() is None
        with pytest.raises(OSError, match="no space left"):
            run_all(process.cases[:1], [process], time.monotonic() + 60, full)


def test_a_process_that_cannot_start_says_why() -> None:
    with Process([sys.executable, "-c", "import a_module_that_is_not_here"]) as process:
        outcome = process.run(Listed("tests", "any", 1.0), 1.0)

    assert str(outcome.error).endswith("No module named 'a_module_that_is_not_here'")


def test_what_a_case_started_ends_with_its_time(tmp_path: Path) -> None:
    # Given a case that waits for a process of its own
    lock = tmp_path / "lock"
    with Process([sys.executable, "-c", HOLDER, str(lock), "3"]) as process:
        assert process.start() is None

        # When its time is over
        outcome = process.run(process.cases[0], 60.0)

        # Then that process is gone
        assert outcome.error == "it took more than 3 s"
        assert lock.read_text() == "held\n"
        assert _is_let_go(lock)


def test_a_command_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    # Given a command in the middle of such a case
    lock = tmp_path / "lock"
    holder = [sys.executable, "-c", HOLDER, str(lock), "60"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(FOLDERS)}
    command = [sys.executable, "-c", RUNNER, *holder]
    with subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True) as run:
        end = time.monotonic() + 30
        while not (lock.exists() and lock.read_text()) and time.monotonic() < end:
            time.sleep(0.02)

        # When it alone hears a Ctrl-C
        run.send_signal(signal.SIGINT)
        told, errors = run.communicate(timeout=30)

    # Then it ends with all that it started, and tells nothing of the case
    assert run.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors, errors
    assert not told
    assert lock.read_text() == "held\n" and _is_let_go(lock)


def test_tests_of_another_package_are_not_taken_for_these(tmp_path: Path) -> None:
    # Given a package `tests` that something installed
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").touch()

    # When a process imports the tests
    folders = os.pathsep.join([*FOLDERS, str(tmp_path)])
    code = "import tests; print(tests.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path.parent,
        env=os.environ | {"PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=True,
    )

    # Then they are these
    assert Path(run.stdout.strip()).parent == Path(__file__).parents[1]
