"""Text that repeats itself becomes a loop.

A network of thirty like layers is written out layer by layer. What differs between two layers,
where their weights and memories lie, is not in the text but in a table of numbers that is read from
front to back. So the layers' texts are equal, and a loop over one of them does the same:

    A                    A
    B C   B C   B C      for _ in range(0, 3): B C
    D                    D
"""

from __future__ import annotations

from collections.abc import Sequence

Lines = tuple[str, ...]


def rolled(units: Sequence[Lines]) -> list[str]:
    """The lines of all units in order: loops for neighbours that repeat, and loops within those."""
    lines: list[str] = []
    first = 0
    while first < len(units):
        period, times = _longest_repetition(units, first)
        body = units[first : first + period]
        if times > 1:
            lines += [f"for _ in range(0, {times}):", *indented(rolled(body))]
        else:
            lines += body[0]
        first += period * times
    return lines


def indented(lines: Sequence[str]) -> list[str]:
    """Lines one level deeper."""
    return [f"    {line}" for line in lines]


def _longest_repetition(units: Sequence[Lines], first: int) -> tuple[int, int]:
    """Of how many units, and how often, the repetition is that covers most from `first` on."""
    best = 1, 1
    for period in range(1, (len(units) - first) // 2 + 1):
        times = 1
        while (
            units[first + times * period : first + (times + 1) * period]
            == units[first : first + period]
        ):
            times += 1
        if times > 1 and period * times > best[0] * best[1]:
            best = period, times
    return best
