"""Training tables: the rows of Parquet files at any path or URI, in a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import fsspec
import pyarrow.parquet as pq

from ancestral.jobs.documents import did_you_mean
from ancestral.jobs.errors import SpecError
from ancestral.jobs.inputs import expand, opened, reading

#: Rows that are held as Python values at a time: a row may hold minutes of sound.
BATCH_ROWS = 64


def is_file(uri: str) -> bool:
    """Whether there is a file of that path or URI. Raises SpecError when that cannot be known."""
    with reading(uri):
        files, path = fsspec.url_to_fs(uri, use_listings_cache=False)
        return bool(files.isfile(path))


def read_table(
    uri: str,
    columns: Sequence[str],
    *,
    split: str | None = None,
    split_column: str = "split",
) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, or of a glob of them sorted by name, with these columns.

    With `split`, only the rows that hold it in the column `split_column`. Memory does not grow
    with the rows. Raises SpecError when there is no such file, column or split.
    """
    wanted = list(columns) if split is None else [*columns, split_column]
    empty = True
    for each in expand(uri):
        with opened(each) as file:
            table = pq.ParquetFile(file)
            names = table.schema_arrow.names
            for column in wanted:
                if column not in names:
                    hint = did_you_mean(column, names)
                    raise SpecError(f"{each}: has no column {column!r}{hint}")
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                for row in batch.to_pylist():
                    if split is None or row[split_column] == split:
                        empty = False
                        yield {name: row[name] for name in columns}
    if empty:
        where = f" where {split_column} is {split!r}" if split is not None else ""
        raise SpecError(f"{uri}: has no row{where}")
