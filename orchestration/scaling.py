"""How many samplers a fleet for all jobs wants: as many as its jobs need together, within bounds.

    needed         0   1   20   9   2   3   2   0   0   0   0        a look each second, of `1-8`
    samplers       1   1    8   8   8   8   8   3   3   2   1        and an idle window of 3 seconds

A job needs a sampler for each of its open units; with a deadline, as many as draw it in time. The
fleet grows at once, and shrinks to the most that were needed within the window: so a short lull
costs no warm model, and no node that is soon asked for again. What a look finds holds until the
next one.
"""

from __future__ import annotations

import math
from collections import deque

#: How long fewer samplers must have sufficed before the others go, unless somebody says so.
IDLE_SECONDS = 300.0


def seconds_of_drawing(rows: int, rows_held: int, seconds_per_row: float) -> float:
    """For one sampler, of rows of which some are held: a half of those is taken for drawn."""
    return (rows - min(rows, rows_held) / 2) * seconds_per_row


def samplers_in_time(sampler_seconds: float, seconds_left: float) -> int:
    """How many do what one does in `sampler_seconds` in the time that is left, above 0."""
    return math.ceil(sampler_seconds / seconds_left)


def samplers_needed(open_units: int, sampler_seconds: float, seconds_left: float) -> int:
    """How many samplers a job with a deadline needs.

    open_units: ready or held; more samplers would have nothing to do.
    sampler_seconds: for one sampler to draw what is left.
    seconds_left: until the deadline; not above 0 when it has passed.
    """
    if seconds_left <= 0:
        return open_units
    return min(max(1, samplers_in_time(sampler_seconds, seconds_left)), open_units)


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

    def wanted(self, needed: int, now: float) -> int:
        """How many samplers there should be; `now` is in seconds and never goes back."""
        self._looks.append((now, min(max(needed, self._least), self._most)))
        while len(self._looks) > 1 and self._looks[1][0] <= now - self._idle_seconds:
            self._looks.popleft()
        self.size = max(needed for _, needed in self._looks)
        return self.size
