"""The words of errors: values shortened, and names that were probably meant."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from decimal import Decimal

#: Longest piece of a wrong value that an error repeats, in characters.
SHOWN_CHARACTERS = 60


class _Short(reprlib.Repr):
    """Cuts a value to what an error can repeat: with aliases, a few lines of YAML can be a value of
    any size."""

    def repr_Decimal(self, value: Decimal, level: int) -> str:
        """The number alone, as tables of decimals show it."""
        return str(value)


_SHORT = _Short()
_SHORT.maxlevel = 3
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxset = 20
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 1000


def did_you_mean(word: object, known: Iterable[object]) -> str:
    """What to append to a sentence about an unknown `word`: its nearest neighbour, or all there is.

    Long lists are shortened.
    """
    names = [str(name) for name in known]
    if not names:
        return "; there are none"
    return nearest(word, names) or f"; known are {shortened(names)}"


def nearest(word: object, known: Iterable[object]) -> str:
    """What to append to a sentence about a wrong `word`: what was probably meant, if anything."""
    near = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def shortened(values: Iterable[object], most: int = 12) -> str:
    """The first `most` of the values, joined for a sentence."""
    every = [str(value) for value in values]
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[:most])}, ... ({len(every)} in all)"


def shown(value: object) -> str:
    """A wrong value as a sentence repeats it: shortened, and "nothing" for None."""
    if value is None:
        return "nothing"
    try:
        text = _SHORT.repr(value)
    except ValueError:
        # An integer of so many digits that Python writes none of them.
        return "a number too long to be written"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def headline(error: str) -> str:
    """Of a traceback the line that names the exception, of another text its first."""
    lines = error.splitlines() or [""]
    indented = [number for number, line in enumerate(lines) if line.startswith(" ")]
    return lines[min(indented[-1] + 1, len(lines) - 1)] if indented else lines[0]


def in_utf8(text: str) -> str:
    """`text` without what UTF-8 cannot hold: an error may quote a file's name or broken input."""
    return text.encode("utf-8", "replace").decode("utf-8")
