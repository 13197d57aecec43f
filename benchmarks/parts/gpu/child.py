"""The process that `gpu.py` starts to use a device: it lists its cases, then runs those that it is
told to, a line each way.

    here ──▶ {"cases": [...]}
    here ◀── a name
    here ──▶ {"facts": {...}}

A case that raises ends the process, with its traceback on the standard error: after an error of a
device nothing that the process says of it can be relied on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ancestral.models.sampling.torch_state import full_precision
from parts.gpu.case import Case
from parts.gpu.machine import ceilings, machine
from parts.gpu.rates import compile_cases, rate_cases

#: For a case of the machine itself.
MACHINE_SECONDS = 120.0


def cases(device: str, *, quick: bool) -> Iterator[Case]:
    """Everything that is done on a device; on a processor a little of everything."""
    tiny = device == "cpu"
    yield Case("machine", "machine", lambda: machine(device), MACHINE_SECONDS)
    yield Case("machine", "ceilings", lambda: ceilings(device, tiny=tiny), MACHINE_SECONDS)
    yield from compile_cases(device, tiny=tiny)
    yield from _test_cases(device, few=tiny)
    yield from rate_cases(device, tiny=tiny, quick=quick)


def _test_cases(device: str, *, few: bool) -> list[Case]:
    """The tests; or one case that fails, where they cannot be imported. Rates need none of them."""
    try:
        from parts.gpu.tests import test_cases

        return list(test_cases(device, few=few))
    except ImportError as error:
        why = error

    def fail() -> Mapping[str, Any]:
        raise why

    return [Case("tests", "import", fail, MACHINE_SECONDS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    # Whatever else writes to the standard output is not for who started this.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(document: Mapping[str, Any]) -> None:
        print(json.dumps(document), file=answers, flush=True)

    known = {case.name: case for case in cases(arguments.device, quick=arguments.quick)}
    answer(
        {
            "cases": [
                {"group": case.group, "name": case.name, "seconds": case.seconds}
                for case in known.values()
            ]
        }
    )
    # Products of float32 numbers are of these, not of shorter ones: the ceiling's, and the graph's.
    with full_precision():
        for line in sys.stdin:
            answer({"facts": known[line.strip()].action()})


if __name__ == "__main__":
    main()
