"""The cases of `make gpu`: which there are, how long they may take, and in which order."""

from __future__ import annotations

import importlib
import math
import sys
from types import SimpleNamespace

import pytest


def test_rates_need_no_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a machine on which the tests cannot be imported
    child = importlib.import_module("parts.gpu.child")
    monkeypatch.setitem(sys.modules, "parts.gpu.tests", None)

    # When
    cases = list(child.cases("cpu", quick=True))

    # Then that is one test that fails, and all else is there
    assert {case.group for case in cases} == {"machine", "compile", "tests", "sampling"}
    (test,) = (case for case in cases if case.group == "tests")
    with pytest.raises(ImportError, match=r"parts\.gpu\.tests"):
        test.action()


def test_tests_that_compile_kernels_have_all_the_time_that_there_is() -> None:
    tests = importlib.import_module("parts.gpu.tests")

    seconds = {case.name: case.seconds for case in tests.test_cases("cuda", few=False)}

    unlimited = {name for name, each in seconds.items() if each == math.inf}
    assert unlimited == {
        name for name in seconds if name.startswith("test_fused.") or ".test_fused[" in name
    }
    assert 0 < len(unlimited) < len(seconds)


def test_each_row_is_asked_once_and_fused_ones_first() -> None:
    rates = importlib.import_module("parts.gpu.rates")

    assert len(set(rates.ROWS)) == len(rates.ROWS)
    executors = [row.executor == "graph" for row in rates.ROWS]
    assert executors == sorted(executors)


def test_a_compiled_kernel_says_what_it_takes() -> None:
    # Given launches of a kernel that Triton compiled, and of one in plain torch
    kernel = importlib.import_module("parts.gpu.kernel")
    compiled = SimpleNamespace(n_regs=255, n_spills=448, metadata=SimpleNamespace(shared=24_576))

    def launched(compiled: object) -> list[object]:
        return [kernel.Launch(SimpleNamespace(compiled=compiled), lambda: 0.0)]

    # Then the one says it, and the other takes nothing
    assert kernel.resources(launched(None)) == {}
    assert kernel.resources(launched(compiled)) == {
        "registers": 255,
        "spilled_registers": 448,
        "shared_bytes": 24_576,
    }
