"""Kernels by Triton's interpreter."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

# Whether its own functions can be interpreted is decided when Triton is imported, which the first
# test that makes an optimizer of torch's does as well.
with pytest.MonkeyPatch.context() as environment:
    environment.setenv("TRITON_INTERPRET", "1")
    importlib.import_module("triton")


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a test, Triton interprets kernels on the processor.

    At every call of a function the interpreter puts its own in the place of all of Triton's, which
    takes longer than the function. They stay there until the kernel has ended, so that a function's
    first call is enough.
    """
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    from triton.runtime.interpreter import InterpretedFunction

    replacing, called = InterpretedFunction.__call__, set[Callable[..., object]]()

    def call(function: Any, *arguments: object, **named: object) -> object:
        if function.fn in called:
            return function.rewrite()(*arguments, **named)
        called.add(function.fn)
        return replacing(function, *arguments, **named)

    monkeypatch.setattr(InterpretedFunction, "__call__", call)
