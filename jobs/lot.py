"""Rows that were drawn, chosen by lot from the public table of a finished job.

    parts    │     ok 0     │ rejected 0 │     ok 1     │    the rows that were drawn, end to end
    strata   ├────┼────┼────┼────┼────┼────┼────┼────┼──┤    equally long, one for each row wanted
    chosen      ·   ·     ·  ·     · ·     ·   ·    ·  ·     one of each stratum, at random

So they are spread over all of the job, none is chosen twice, and none has to be remembered. A part
of the table is read if a row of it is chosen, one after the other.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.manifest import Manifest, Part
from ancestral.jobs.store import Store

#: How a row ends that was drawn.
_OUTCOMES = ("ok", "rejected")


def places(total: int, rows: int, seed: int) -> Iterator[int]:
    """So many of the numbers below `total`, rising: one of each stratum."""
    generator = random.Random(seed)
    for number in range(rows):
        yield generator.randrange(number * total // rows, (number + 1) * total // rows)


def rows_drawn(manifest: Manifest) -> int:
    """How many rows there are to choose among."""
    return manifest.rows_ok + manifest.rows_rejected


def choose(
    store: Store, manifest: Manifest, rows: int, seed: int, columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """These columns of so many rows of the public table; the same seed chooses the same.

    There are as many to choose among. Raises StoreError.
    """
    parts = [part for part in manifest.parts if part.outcome in _OUTCOMES]
    chosen = places(rows_drawn(manifest), rows, seed)
    for number, within in _located([part.rows for part in parts], chosen):
        yield from _read(store, parts[number], within, columns)


def _located(sizes: Sequence[int], where: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
    """Of pieces that lie end to end those that hold some of these rising places, and where."""
    ends = list(itertools.accumulate(sizes))
    for number, some in itertools.groupby(where, lambda place: bisect.bisect_right(ends, place)):
        first = ends[number] - sizes[number]
        yield number, [place - first for place in some]


def _read(
    store: Store, part: Part, where: Iterable[int], columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The rows of a part at these rising places, a row group at a time."""
    uri = store.uri_of(part.path)
    try:
        file = pq.ParquetFile(pa.BufferReader(store.read(part.path)))
        if file.metadata.num_rows != part.rows:
            raise CorruptObject(f"{uri} does not have the {part.rows:,} rows of the manifest")
        groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        for group, within in _located(groups, where):
            yield from file.read_row_group(group, columns=list(columns)).take(within).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise CorruptObject(f"{uri} is no part of the table: {error}") from error
