"""Finds equal request ids among any number of requests, in memory that does not grow with them.

Ids go in as 128-bit digests. While they are few they wait in memory; beyond that they are dealt to
files by the first byte of the digest, and each file, a 256th of all, is sorted by itself at the
end. That is two sequential passes over 32 bytes a request. A table with an index (sqlite3) would
answer at once, but at random places of a disk: beyond its cache it slows down a hundredfold. Equal
digests of unequal ids are not to be met: among 10^10 requests the odds are 1 in 10^18.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Requests whose digests wait in memory before they are dealt to files (32 MiB).
BUFFERED_REQUESTS = 2**20

_ENTRY = np.dtype([("high", ">u8"), ("low", ">u8"), ("index", "<u8"), ("number", "<u8")])
_BUCKETS = 256


@dataclass(frozen=True, order=True)
class Duplicate:
    """A request whose id an earlier one has; `number` is its place in its file."""

    index: int
    number: int
    first_index: int
    first_number: int


class SeenIds:
    """Takes the id of every request in order, then names those that repeat one."""

    def __init__(self, folder: Path, buffered_requests: int = BUFFERED_REQUESTS) -> None:
        """Spills to files in `folder`, which belongs to the caller."""
        self._folder = folder
        self._buffered_requests = buffered_requests
        self._spilled = 0
        self._digests = bytearray()
        self._numbers = array("Q")

    def add(self, request_id: str, number: int) -> None:
        """The id of the next request; `number` is its place in its file."""
        self._digests += blake2b(request_id.encode(), digest_size=16).digest()
        self._numbers.append(number)
        if len(self._numbers) == self._buffered_requests:
            self._spill()

    def duplicates(self) -> Iterator[Duplicate]:
        """All but the first of each set of equal ids, in any order."""
        if self._spilled == 0:
            yield from _duplicates_in(self._buffered())
            return
        self._spill()
        for bucket in range(_BUCKETS):
            path = self._bucket(bucket)
            if path.exists():
                yield from _duplicates_in(np.fromfile(path, dtype=_ENTRY))

    def _buffered(self) -> NDArray[np.void]:
        entries = np.empty(len(self._numbers), dtype=_ENTRY)
        digests = np.frombuffer(bytes(self._digests), dtype=">u8").reshape(-1, 2)
        entries["high"], entries["low"] = digests[:, 0], digests[:, 1]
        entries["index"] = np.arange(self._spilled, self._spilled + len(entries))
        entries["number"] = self._numbers
        return entries

    def _spill(self) -> None:
        entries = self._buffered()
        buckets = (entries["high"] >> 56).astype(np.uint8)
        order = np.argsort(buckets, kind="stable")
        ends = np.cumsum(np.bincount(buckets, minlength=_BUCKETS))
        for bucket, part in enumerate(np.split(entries[order], ends[:-1])):
            with self._bucket(bucket).open("ab") as file:
                part.tofile(file)
        self._spilled += len(entries)
        self._digests.clear()
        self._numbers = array("Q")

    def _bucket(self, bucket: int) -> Path:
        return self._folder / f"ids-{bucket:03d}"


def _duplicates_in(entries: NDArray[np.void]) -> Iterator[Duplicate]:
    order = np.lexsort((entries["index"], entries["low"], entries["high"]))
    high, low = entries["high"][order], entries["low"][order]
    repeats = np.flatnonzero((high[1:] == high[:-1]) & (low[1:] == low[:-1])) + 1
    first = -1
    for position in repeats:
        # Repeats of one id stand in a row, so the one before the first of them is the original.
        if first < 0 or high[position] != high[first] or low[position] != low[first]:
            first = int(position) - 1
        entry, original = entries[order[position]], entries[order[first]]
        yield Duplicate(
            int(entry["index"]),
            int(entry["number"]),
            int(original["index"]),
            int(original["number"]),
        )
