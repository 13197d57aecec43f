"""Loops for what repeats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.sampling.fused.rolled import rolled


def test_like_layers_become_a_loop() -> None:
    units = [("a",), ("b", "c"), ("d",), ("b", "c"), ("d",), ("b", "c"), ("d",), ("e",)]
    assert rolled(units) == [
        "a",
        "for _ in range(0, 3):",
        "    b",
        "    c",
        "    d",
        "e",
    ]


def test_a_loop_may_hold_loops() -> None:
    units = [("a",), ("b",), ("b",), ("a",), ("b",), ("b",)]
    assert rolled(units) == [
        "for _ in range(0, 2):",
        "    a",
        "    for _ in range(0, 2):",
        "        b",
    ]


@given(units=st.lists(st.sampled_from("abc"), max_size=12))
def test_a_loop_does_what_its_units_did(units: list[str]) -> None:
    # Given units that each leave a mark
    lines = rolled([(f"marks.append({unit!r})",) for unit in units])
    # When their text runs
    marks: list[str] = []
    exec("\n".join(lines), {"marks": marks})
    # Then the marks are in order
    assert marks == units
    assert sum("append" in line for line in lines) <= len(units)
