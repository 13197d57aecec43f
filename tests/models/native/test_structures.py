"""What Python hands over lies in memory as the native executor reads it."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

from ancestral.models.sampling.native import structures

HEADER = Path(structures.__file__).with_name("abi.h")


def test_every_structure_has_the_size_that_the_compiler_is_held_to() -> None:
    # Given the structures of the header, and the sizes that it asserts
    header = HEADER.read_text()
    names = re.findall(r"^struct (\w+) \{", header, re.MULTILINE)
    asserted = re.findall(r"^static_assert\(sizeof\((\w+)\) == (\d+)\);", header, re.MULTILINE)

    # Then each has one, and its mirror image in Python is as large
    assert [name for name, _ in asserted] == names
    assert {name: _size(name) for name in names} == {name: int(size) for name, size in asserted}


def _size(name: str) -> int:
    if name == "Slot":
        return structures.SLOT.itemsize
    return ctypes.sizeof(getattr(structures, f"{name}Structure"))
