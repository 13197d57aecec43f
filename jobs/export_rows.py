"""The rows that an export takes of a finished job: those of the public table, in a stream.

Rows that are ok and rows that a gate rejected are exported apart, each of them once: who took the
first can come again for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.index import schema
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.public_table import windows
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store

#: Rows that can be exported, by what became of them.
Outcome: TypeAlias = Literal["ok", "rejected"]

#: Called with how many more rows are behind it.
Passed: TypeAlias = Callable[[int], None]

#: What a file of artifacts may have, about.
SHARD_BYTES = 256 * 2**20


@dataclass(frozen=True)
class FinishedJob:
    """A job whose rows are all decided, and where they lie."""

    store: Store
    job: Job
    manifest: Manifest

    def rows(self, outcome: Outcome) -> int:
        """How many rows ended so."""
        return self.manifest.rows_ok if outcome == "ok" else self.manifest.rows_rejected

    def name(self, outcome: Outcome) -> str:
        """A name of these rows that no others have.

        The id of a job can follow from its idempotency key, which a job of another state may have,
        too.
        """
        return f"ancestral/{self.job.job_id}/{self.job.submitted_at}/{outcome}"

    def artifacts_in(self, size: int) -> int:
        """How many artifacts there are in so many bytes, about; at least one."""
        stored = self.manifest.rows_ok + self.manifest.rows_rejected
        return max(1, size * stored // max(1, self.manifest.pack_bytes))

    def columns(self, described_as: str, known: Collection[str] = ()) -> pa.Schema:
        """The columns of the index as a table of many jobs has them: all of them can be null.

        The metadata `described_as` of a column has its meaning, unless the table knows the column
        already: another model may say the same in other words.
        """
        columns = []
        for field in schema(self.job.signature):
            about = {described_as: field.metadata[b"meaning"]} if field.name not in known else None
            columns.append(pa.field(field.name, field.type, metadata=about))
        return pa.schema(columns)

    def tables(self, outcome: Outcome, rows: int) -> Iterator[pa.Table]:
        """The index of the rows that ended so, by rising ordinals, in tables of so many rows and a
        rest.

        Raises CorruptObject when a part of the public table is not what the manifest says.
        """
        return windows(self._row_groups(outcome), rows)

    def _row_groups(self, outcome: Outcome) -> Iterator[pa.Table]:
        for part in self.manifest.parts:
            if part.outcome != outcome:
                continue
            uri = self.store.uri_of(part.path)
            try:
                file = pq.ParquetFile(pa.BufferReader(self.store.read(part.path)))
                if file.metadata.num_rows != part.rows:
                    raise CorruptObject(f"{uri} has other rows than the manifest says")
                if file.schema_arrow != schema(self.job.signature):
                    raise CorruptObject(f"{uri} has not the columns of this version's index")
                for number in range(file.num_row_groups):
                    yield file.read_row_group(number)
            except (pa.ArrowException, OSError) as error:
                raise CorruptObject(f"{uri} is no part of the table: {error}") from error
