"""When the deaths of samplers are not by chance any more, and replacing them leads nowhere.

A sampler that dies with a unit in hand brings the job forward: the unit is charged, halved, and its
row that kills samplers recorded as failed, after about a dozen deaths for each such row. One that
dies before it holds anything brings nothing forward. Either way a fleet that draws no row any more
should say so, before it has recorded every row of its jobs as failed.
"""

from __future__ import annotations

#: For each place in the fleet, with no row drawn in between: deaths with nothing in hand, and all.
IDLE_DEATHS = 3
DEATHS = 30


class CrashLimit:
    """Counts the deaths in a fleet of `size` since a row was last drawn."""

    def __init__(self, size: int) -> None:
        self._size = size
        #: The most places since a row was last drawn: those that died may have had any of them.
        self._places = size
        self._rows = -1
        self._deaths = 0
        self._idle_deaths = 0

    def resize(self, size: int) -> None:
        """The fleet has so many places from now on. Growing makes up for no death, and no death is
        one too many because the fleet shrank."""
        self._size, self._places = size, max(self._places, size)

    def drawn(self, rows: int) -> None:
        """So many rows are drawn by now."""
        if rows != self._rows:
            self._rows, self._deaths, self._idle_deaths = rows, 0, 0
            self._places = self._size

    def died(self, units: int) -> None:
        """A sampler died with so many units in hand."""
        self._deaths += 1
        self._idle_deaths += not units

    @property
    def exceeded(self) -> bool:
        """Whether the fleet leads nowhere."""
        idle_limit, limit = IDLE_DEATHS * self._places, DEATHS * self._places
        return self._idle_deaths > idle_limit or self._deaths > limit
