"""The tests of `tests/gpu`, one by one, with no need of pytest: a case for each value of each
parameter, as `tests/gpu/asked.py` lists them."""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from parts.gpu.case import Case
from tests.gpu import asked

#: For a test that compiles no fused kernel.
TEST_SECONDS = 120.0
#: One that does may take all the time that there is for tests: a kernel takes minutes to compile.
FUSED_SECONDS = math.inf


def test_cases(device: str, *, few: bool) -> Iterator[Case]:
    """Every test of the folder, on a device."""
    values = asked.values(device, few=few)
    for file in sorted(Path(asked.__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.gpu.{file.stem}")
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("test_"):
                continue
            parameters = list(inspect.signature(test).parameters)
            seconds = FUSED_SECONDS if "fused_case" in parameters else TEST_SECONDS
            for given in itertools.product(*(values[each] for each in parameters)):
                shown = ", ".join(value for value in given if value != device)
                action = partial(_run, test, dict(zip(parameters, given, strict=True)))
                case = f"{file.stem}.{name}" + (f"[{shown}]" if shown else "")
                yield Case("tests", case, action, seconds)


def _run(test: Callable[..., None], given: Mapping[str, str]) -> Mapping[str, Any]:
    test(**given)
    return {}
