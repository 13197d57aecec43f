"""What is wrong with something large: the first sentences, and how many there are."""

from __future__ import annotations

#: Problems that are kept to be shown; all are counted.
PROBLEMS_KEPT = 100


class Problems:
    """Takes sentences, each of which says what is wrong and where."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self.total = 0

    @property
    def kept(self) -> tuple[str, ...]:
        """The first of them."""
        return tuple(self._kept)

    def add(self, sentence: str) -> None:
        self.total += 1
        if len(self._kept) < PROBLEMS_KEPT:
            self._kept.append(sentence)
