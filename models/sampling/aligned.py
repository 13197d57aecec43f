"""Aligned conditioning, projected a piece at a time, shortly before it is needed.

    columns     0 ... 63 │ 64 ... 127 │ 128 ...          a piece is always 64 columns, so that
    kept                 └─────┬─────┘                   no column's bits depend on the pieces
    a slot stands at           ▲

So the memory of a slot does not grow with the length of what it says.

Shapes: A floats that all layers add together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.models.sampling.tile import Start

#: Columns of a piece.
PIECE_COLUMNS = 64


class AlignedColumns:
    """The columns that an event goes through, forwards."""

    def __init__(self, start: Start) -> None:
        """`start` has aligned conditioning."""
        assert start.projection.aligned is not None
        self._further = start.further
        self._kept: Tensor = start.projection.aligned[0]
        self._first = 0
        self._piece = len(self._kept)

    def rows(self, first: int, behind: int) -> Tensor:
        """The columns from `first` to the one before `behind`, (behind − first, A).

        Nothing before `first` can be had afterwards.
        """
        return self.rows_kept(first, behind)[: behind - first]

    def rows_kept(self, first: int, behind: int) -> Tensor:
        """The same columns, and those after them that are kept anyway."""
        if self._further is not None:
            begins = first // self._piece * self._piece
            if begins >= self._first + len(self._kept):
                self._kept, self._first = self._further(begins), begins
            while self._first + len(self._kept) < behind:
                further = self._further(self._first + len(self._kept))
                self._kept = torch.cat([self._kept[begins - self._first :], further])
                self._first = begins
        return self._kept[first - self._first :]
