"""How many samplers a fleet for all jobs wants: as many as units are open, within bounds.

    open units     0   1   20   9   2   3   2   0   0   0   0        a look each second, of `1-8`
    samplers       1   1    8   8   8   8   8   3   3   2   1        and an idle window of 3 seconds

It grows at once, and shrinks to the most that were needed within the window: so a short lull costs
no warm model, and no node that is soon asked for again. What a look finds holds until the next one.
"""

from __future__ import annotations

from collections import deque

#: How long fewer samplers must have sufficed before the others go, unless somebody says so.
IDLE_SECONDS = 300.0


class Scaling:
    """The size of a fleet of `least` to `most` samplers, from look to look.

    size: how many there should be, as of the last look.
    """

    def __init__(self, least: int, most: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self._least = least
        self._most = most
        self._idle_seconds = idle_seconds
        self.size = least
        #: When looks were taken, and how many samplers were needed; the first holds as the window
        #: begins.
        self._looks: deque[tuple[float, int]] = deque()

    def wanted(self, open_units: int, now: float) -> int:
        """How many samplers there should be; `now` is in seconds and never goes back."""
        self._looks.append((now, min(max(open_units, self._least), self._most)))
        while len(self._looks) > 1 and self._looks[1][0] <= now - self._idle_seconds:
            self._looks.popleft()
        self.size = max(needed for _, needed in self._looks)
        return self.size
