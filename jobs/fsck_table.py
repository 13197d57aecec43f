"""The part of fsck that holds the public table against the records it was made of.

index parts, in the order of rows ──► split by status ──┐
                                                        ├──► equal, row by row?
outcome=ok/part-00000.parquet, part-00001, ... ─────────┘    (and so for each outcome)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ancestral.jobs.errors import NotFound
from ancestral.jobs.index import schema
from ancestral.jobs.manifest import Part
from ancestral.jobs.problems import Problems
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts

#: How a row can end, as RowCounts counts it and as the table's folders are called.
OUTCOMES = ("ok", "failed", "rejected", "cancelled")

#: Columns of a cancelled row that are as it was asked for.
_ASKED = ("request_id", "sample", "ordinal", "job_id", "status", "seed")


class PublicTable:
    """Takes all rows of a finished job in order; what the table says otherwise is a problem."""

    def __init__(self, store: Store, job: Job, parts: Sequence[Part], problems: Problems) -> None:
        """Reads nothing yet."""
        self._job_id = job.job_id
        self._asked = pa.schema([schema(job.signature).field(name) for name in _ASKED])
        self._outcomes = {
            outcome: _Outcome(
                store, job, [part for part in parts if part.outcome == outcome], problems
            )
            for outcome in OUTCOMES
        }

    def check(self, table: pa.Table) -> None:
        """The index rows of the next unit."""
        for status, outcome in self._outcomes.items():
            outcome.check(table.filter(pc.equal(table["status"], status)))

    def skip(self, counts: RowCounts) -> None:
        """The next rows, of which no more is known than how they ended."""
        for status, outcome in self._outcomes.items():
            outcome.take(getattr(counts, status))

    def check_cancelled(self, rows: Sequence[Row]) -> None:
        """The next rows that were cancelled, as they were asked for."""
        expected = pa.Table.from_pylist(
            [
                {
                    "request_id": row.request_id,
                    "sample": row.sample,
                    "ordinal": row.ordinal,
                    "job_id": self._job_id,
                    "status": "cancelled",
                    "seed": row.seed,
                }
                for row in rows
            ],
            self._asked,
        )
        self._outcomes["cancelled"].check(expected)

    def end(self) -> None:
        """There are no more rows."""
        for outcome in self._outcomes.values():
            outcome.end()


class _Outcome:
    """The rows of one outcome, read as they are asked for; silent once something is wrong."""

    def __init__(self, store: Store, job: Job, parts: Sequence[Part], problems: Problems) -> None:
        self._store = store
        self._schema = schema(job.signature)
        self._problems = problems
        self._tables = self._read(parts)
        self._rest = self._schema.empty_table()
        self._broken = False

    def check(self, expected: pa.Table) -> None:
        """The next rows, of which the columns of `expected` are looked at."""
        found = self.take(expected.num_rows).select(expected.column_names)
        if not self._broken and not found.equals(expected):
            self._broken = True
            self._problems.add(_difference(found, expected))

    def take(self, count: int) -> pa.Table:
        """The next rows; fewer at the end."""
        while self._rest.num_rows < count:
            more = next(self._tables, None)
            if more is None:
                break
            self._rest = pa.concat_tables([self._rest, more])
        taken = self._rest.slice(0, count)
        self._rest = self._rest.slice(count)
        return taken

    def end(self) -> None:
        left = self.take(1)
        if left.num_rows and not self._broken:
            ordinal = left["ordinal"][0].as_py()
            self._problems.add(f"the table has a row {ordinal} that no record stands for")

    def _read(self, parts: Sequence[Part]) -> Iterator[pa.Table]:
        for part in parts:
            uri = self._store.uri_of(part.path)
            try:
                file = pq.ParquetFile(pa.BufferReader(self._store.read(part.path)))
                if file.metadata.num_rows != part.rows:
                    rows = f"{file.metadata.num_rows} rows in place of {part.rows}"
                    self._problems.add(f"{uri} has {rows}")
                for number in range(file.num_row_groups):
                    group = file.read_row_group(number)
                    if not group.schema.equals(self._schema):
                        raise pa.ArrowInvalid("it has other columns than the index")
                    yield group
            except (NotFound, pa.ArrowException, OSError) as error:
                self._broken = True
                self._problems.add(f"{uri} cannot be read: {error}")
                return


def _difference(found: pa.Table, expected: pa.Table) -> str:
    """A sentence about the first row that differs."""
    for have, want in zip(found.to_pylist(), expected.to_pylist(), strict=False):
        columns = [name for name in want if have[name] != want[name]]
        if columns:
            return (
                f"the table tells another {', '.join(columns)} of row {want['ordinal']} "
                f"({want['request_id']!r}) than its index part"
            )
    row = expected.slice(found.num_rows, 1).to_pylist()[0]
    return f"the table lacks row {row['ordinal']} ({row['request_id']!r}), which is {row['status']}"
