"""Training tables: the rows of Parquet files at any path or URI, in a stream.

read_table    all rows, or those of a split, in order
split_sizes   how many rows each split has
row_groups    where the rows of a split lie: only footers and one column are read for it
read_group    some of the rows of one row group, whichever and whenever they are wanted
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ancestral.jobs.errors import SpecError
from ancestral.jobs.inputs import BLOCK_BYTES, expand, opened, reading
from ancestral.jobs.wording import did_you_mean

#: Rows that are held as Python values at a time: a row may hold minutes of sound.
BATCH_ROWS = 64

#: The column that says which rows are learned from, and which are held out.
_SPLIT = "split"


def is_file(uri: str) -> bool:
    """Whether there is a file of that path or URI. Raises SpecError when that cannot be known."""
    with reading(uri):
        files, path = fsspec.url_to_fs(uri, use_listings_cache=False)
        return bool(files.isfile(path))


def read_table(
    uri: str, columns: Sequence[str], *, split: str | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, or of a glob of them sorted by name, with these columns.

    With `split`, only the rows that hold it in the column `split`. Memory does not grow with the
    rows. Raises SpecError when there is no such file, column or split, or when the column `split`
    holds no texts.
    """
    wanted = list(columns) if split is None else [*columns, _SPLIT]
    empty = True
    for each in expand(uri):
        with opened(each) as file:
            table = _table(file, each, wanted)
            if split is not None:
                _check_texts(table, each)
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                for row in batch.to_pylist():
                    if split is None or row[_SPLIT] == split:
                        empty = False
                        yield {name: row[name] for name in columns}
    if empty:
        raise _no_row(uri, split)


def split_sizes(uri: str) -> Counter[str | None]:
    """How many rows of a Parquet file, or of a glob of them, are in each split; None: in none.

    Raises SpecError when there is no such file or column, or when the column holds no texts.
    """
    sizes = Counter[str | None]()
    for each in expand(uri):
        with opened(each) as file:
            table = _table(file, each, [_SPLIT])
            _check_texts(table, each)
            for number in range(table.num_row_groups):
                for found in pc.value_counts(_splits(table, number)):
                    sizes[found["values"].as_py()] += found["counts"].as_py()
    return sizes


@dataclass(frozen=True)
class RowGroup:
    """The rows of one split in a row group: a part of a Parquet file that lies together."""

    uri: str
    number: int
    #: Rows of the file that lie before it.
    before: int
    #: Their places in it, ascending.
    places: NDArray[np.int64]
    #: Of the columns that are wanted of them, before they are packed.
    bytes: int

    def __len__(self) -> int:
        return len(self.places)


def row_groups(uri: str, columns: Sequence[str], *, split: str) -> list[RowGroup]:
    """Where the rows of a split lie in a Parquet file, or in a glob of them sorted by name.

    Raises SpecError when there is no such file, column or split, or when the column holds no texts.
    """
    found = []
    for each in expand(uri):
        with opened(each) as file:
            table = _table(file, each, [*columns, _SPLIT])
            _check_texts(table, each)
            before = 0
            for number in range(table.num_row_groups):
                splits = _splits(table, number)
                places = np.flatnonzero(pc.equal(splits, split).fill_null(False).to_numpy())
                if len(places):
                    size = _bytes(table.metadata.row_group(number), columns)
                    share = size * len(places) // len(splits)
                    found.append(RowGroup(each, number, before, places, share))
                before += len(splits)
    if not found:
        raise _no_row(uri, split)
    return found


def read_group(
    group: RowGroup, columns: Sequence[str], start: int, stop: int
) -> Iterator[dict[str, Any]]:
    """Of the rows of `group` those from `start` to before `stop`, with these columns.

    What lies before them in the row group is passed over, and little is in memory at a time.
    Raises SpecError when the file is not there or broken.
    """
    wanted = group.places[start:stop]
    first = 0
    with opened(group.uri) as file:
        table = _table(file, group.uri, columns)
        for batch in table.iter_batches(
            batch_size=BATCH_ROWS, row_groups=[group.number], columns=list(columns)
        ):
            low, high = np.searchsorted(wanted, [first, first + len(batch)])
            yield from batch.take(pa.array(wanted[low:high] - first)).to_pylist()
            first += len(batch)
            if high == len(wanted):
                return


def _table(file: Any, uri: str, columns: Sequence[str]) -> pq.ParquetFile:
    """A Parquet file of which blocks are read as they are needed. Raises SpecError."""
    table = pq.ParquetFile(file, buffer_size=BLOCK_BYTES)
    names = table.schema_arrow.names
    for column in columns:
        if column not in names:
            raise SpecError(f"{uri}: has no column {column!r}{did_you_mean(column, names)}")
    return table


def _check_texts(table: pq.ParquetFile, uri: str) -> None:
    """Raises SpecError when no split can be told, as the column does not hold texts."""
    kind = table.schema_arrow.field(_SPLIT).type
    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if not any(is_text(held) for is_text in (*texts, pa.types.is_null)):
        raise SpecError(
            f"{uri}: the column {_SPLIT!r} holds {held}, and should hold texts like 'train' and "
            "'test'"
        )


def _splits(table: pq.ParquetFile, number: int) -> pa.ChunkedArray:
    """The splits of the rows of a row group."""
    splits = table.read_row_group(number, columns=[_SPLIT]).column(0)
    # Arrow does not compare views, and counts their nulls as empty texts.
    return splits.cast(pa.string()) if pa.types.is_string_view(splits.type) else splits


def _bytes(group: pq.RowGroupMetaData, columns: Sequence[str]) -> int:
    parts = (group.column(number) for number in range(group.num_columns))
    return sum(
        part.total_uncompressed_size
        for part in parts
        if part.path_in_schema.partition(".")[0] in columns
    )


def _no_row(uri: str, split: str | None) -> SpecError:
    if split is None:
        return SpecError(f"{uri}: has no row")
    splits = [each for each in split_sizes(uri) if each is not None]
    hint = did_you_mean(split, splits)
    return SpecError(f"{uri}: has no row where {_SPLIT} is {split!r}{hint}")
