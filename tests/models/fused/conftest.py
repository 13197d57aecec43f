"""Kernels by Triton's interpreter."""

from __future__ import annotations

import pytest


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a test, Triton interprets kernels on the processor."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
