"""One thing that `gpu.py` does on a device, in a process of its own making."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: What is measured first; what may share the device with others, twice; what needs it alone.
Group = Literal["machine", "compile", "tests", "sampling"]


@dataclass(frozen=True)
class Case:
    """`action` gives facts for JSON and raises what is wrong; it may take so many `seconds`."""

    group: Group
    name: str
    action: Callable[[], Mapping[str, Any]]
    seconds: float
