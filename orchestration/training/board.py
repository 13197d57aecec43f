"""Where the ranks of a training run write, for the process that shows it: a Ray actor.

It holds documents of plain values (`news.py`), so that its process need not import torch.
"""

from __future__ import annotations

from typing import Any


class Board:
    """A Ray actor; what is written is read once."""

    def __init__(self) -> None:
        self._documents: list[dict[str, Any]] = []

    def write(self, document: dict[str, Any]) -> None:
        self._documents.append(document)

    def read(self) -> list[dict[str, Any]]:
        """What was written since the last call."""
        documents, self._documents = self._documents, []
        return documents
