"""The reading side: what a job made, as artifacts, as a table, as files.

Reads what range records name and nothing else, so that it serves a running job as well: each row is
there once or not yet. Everything read is held against the sha256 of its record.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject, NotFound, StoreDenied
from ancestral.jobs.index import read_part, schema
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.manifest import Part
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.spec import MEDIA_TYPES, Job
from ancestral.jobs.store import Store, ahead, local_folder
from ancestral.jobs.units import OnProgress, Unit

#: Its multiples, without what is whole in them, lie evenly between 0 and 1 and never repeat.
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2

_EXTENSIONS = {media_type: suffix for (_, suffix), media_type in MEDIA_TYPES.items()}

#: Characters of a request's name in the name of its file; longer ones end in a digest.
_LONGEST_NAME = 150


@dataclass(frozen=True)
class Artifact:
    """One row of the index, and the bytes it describes."""

    #: The columns of the index by name.
    row: Mapping[str, Any]
    _store: Store

    @property
    def ok(self) -> bool:
        """Whether the artifact was drawn and passed its gates."""
        return bool(self.row["status"] == "ok")

    @property
    def stored(self) -> bool:
        """Whether there are bytes: not of a row that failed, nor of one that was only scored."""
        # In a pandas row it is NaN where the table has null.
        return isinstance(self.row["uri"], str)

    @property
    def file_name(self) -> str:
        """A file name of its own among the job's artifacts, whatever the request is called."""
        name = quote(self.row["request_id"], safe="")
        if name.startswith("."):
            name = "%2E" + name[1:]
        # quote() never gives a "+", so that no name can be mistaken for one that was cut.
        if len(name) > _LONGEST_NAME:
            digest = hashlib.sha256(self.row["request_id"].encode()).hexdigest()
            name = f"{name[:_LONGEST_NAME]}+{digest[:32]}"
        extension = _EXTENSIONS.get(self.row["media_type"], "bin")
        return f"{name}-{self.row['sample']}.{extension}"

    def bytes(self) -> bytes:
        """The encoded image, sound, clip or series.

        Raises NotFound for a row that has none, CorruptObject when the bytes are gone or not those
        that were written.
        """
        row = self.row
        if not self.stored:
            reason = "only scored" if self.ok else f"not drawn, {row['status']}: {row['error']}"
            raise NotFound(f"row {row['ordinal']} ({row['request_id']!r}) was {reason}")
        # A null anywhere in a column turns its whole numbers to floats in pandas.
        offset, length = int(row["offset"]), int(row["length"])
        named = f"row {row['ordinal']} ({row['request_id']!r})"
        try:
            data = self._store.read_range(self._path(), offset, length)
        except NotFound as error:
            raise CorruptObject(f"{named}: its pack {row['uri']} is gone") from error
        except CorruptObject as error:
            raise CorruptObject(f"{named}: {error}") from error
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            raise CorruptObject(f"{named} is not what was written to {row['uri']} at byte {offset}")
        return data

    def open(self) -> io.BytesIO:
        """The bytes as a file, to be opened by Pillow, soundfile, PyAV or NumPy."""
        return io.BytesIO(self.bytes())

    def _path(self) -> str:
        path = layout.pack_of(self.row["job_id"], self.row["uri"])
        if path is None:
            raise CorruptObject(f"{self.row['uri']} is no pack of job {self.row['job_id']}")
        return path


class Results:
    """The rows of a job that are drawn, rejected or failed, by rising ordinals; `len` counts them.

    Rows that were cancelled are not among them.
    """

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._job = job
        self._ledger = Ledger(store, job.job_id)

    def __len__(self) -> int:
        return sum(unit.rows for unit in self._ledger.begun(self._job).rows)

    def __iter__(self) -> Iterator[Artifact]:
        """Every row, whatever became of it."""
        return self._artifacts(self._ledger.records(self._job))

    def requested(self, unit: Unit) -> list[Row]:
        """The rows of a range as they were asked for, decided or not, with the media they give.

        Raises StoreError.
        """
        return read_rows(self._store, self._job, unit)

    def table(self) -> pa.Table:
        """The index in memory."""
        return self._table(self._ledger.records(self._job))

    def spread(self, rows: int) -> pa.Table:
        """The index of about so many rows, spread over all, in memory: one in every few units is
        read, or all where there are no more rows than that."""
        cover = self._ledger.begun(self._job)
        few = max(1, math.ceil(sum(unit.rows for unit in cover.rows) / rows))
        # Not every tenth one: what was asked for may well repeat after ten units.
        chosen = [
            several[int(number * GOLDEN_RATIO % 1 * len(several))]
            for number, several in enumerate(_in_groups(cover.rows, few))
        ]
        return self._table(self._ledger.read(replace(cover, rows=tuple(chosen))))

    def not_ok(self, parts: Sequence[Part], rows: int) -> pa.Table:
        """The index of the first rows that failed or were rejected, up to so many, in memory.

        `parts` are those of the job's manifest. No more of them are read than hold so many rows.
        Raises StoreError.
        """
        found = [schema(self._job.signature).empty_table()]
        for outcome in ("failed", "rejected"):
            chosen = (part for part in parts if part.outcome == outcome)
            found += self._first(chosen, rows)
        return pa.concat_tables(found).sort_by("ordinal").slice(0, rows)

    def errors(self, parts: Sequence[Part], rows: int) -> list[str]:
        """Why rows failed: the errors of the first of them, up to so many.

        `parts` are those of the job's manifest. Raises StoreError.
        """
        failed = (part for part in parts if part.outcome == "failed")
        return [
            error
            for table in self._first(failed, rows, ["error"])
            for error in table["error"].to_pylist()
        ]

    def artifact(self, row: Mapping[str, Any]) -> Artifact:
        """The artifact of a row of the index."""
        return Artifact(row, self._store)

    def download(
        self,
        folder: str | Path,
        progress: OnProgress | None = None,
        *,
        status: Literal["ok", "rejected"] = "ok",
        damaged: Callable[[CorruptObject], object] | None = None,
    ) -> int:
        """Write each artifact of that status to a file of `folder`; returns how many were written.

        A file is called by its request and its sample, and is written anew if it is there already.
        An artifact whose bytes are gone or are not those that were written is left out if `damaged`
        is given, which is called with a sentence that names it; else CorruptObject is raised.
        Raises PathRefused when the folder is a URI, StoreDenied when it cannot be written, and
        StoreError, also for a part of the index that is gone.
        """
        place = local_folder(folder, "what is downloaded to", "`export` writes to a bucket")
        # A job that only scores has rows that are ok, and no packs.
        records = [record for record in self._ledger.records(self._job) if record.packs]
        total: int = sum(getattr(record.counts, status) for record in records)
        with _local_errors(place):
            place.mkdir(parents=True, exist_ok=True)

        def write(artifact: Artifact) -> CorruptObject | None:
            try:
                data = artifact.bytes()
            except CorruptObject as error:
                if damaged is None:
                    raise
                return error
            with _local_errors(place):
                (place / artifact.file_name).write_bytes(data)
            return None

        artifacts = (
            artifact for artifact in self._artifacts(records) if artifact.row["status"] == status
        )
        left_out = 0
        for passed, error in enumerate(ahead(write, artifacts), start=1):
            if error is not None and damaged is not None:
                left_out += 1
                damaged(error)
            if progress is not None:
                progress(passed, total)
        return total - left_out

    def _first(
        self, parts: Iterable[Part], rows: int, columns: list[str] | None = None
    ) -> Iterator[pa.Table]:
        """The first rows of rising parts of one outcome, a row group at a time; all columns of
        them by default."""
        for part in parts:
            if rows <= 0:
                return
            try:
                file = pq.ParquetFile(pa.BufferReader(self._store.read(part.path)))
                for number in range(file.num_row_groups):
                    if rows <= 0:
                        return
                    group = file.read_row_group(number, columns).slice(0, rows)
                    rows -= group.num_rows
                    yield group
            except (pa.ArrowException, OSError) as error:
                uri = self._store.uri_of(part.path)
                raise CorruptObject(f"{uri} is no part of the table: {error}") from error

    def _table(self, records: Iterable[RowsRecord]) -> pa.Table:
        empty = schema(self._job.signature).empty_table()
        return pa.concat_tables([empty, *self._parts(records)]).combine_chunks()

    def _parts(self, records: Iterable[RowsRecord]) -> Iterator[pa.Table]:
        return ahead(lambda one: read_part(self._store, one, self._job.signature), records)

    def _artifacts(self, records: Iterable[RowsRecord]) -> Iterator[Artifact]:
        for part in self._parts(records):
            for row in part.to_pylist():
                yield Artifact(row, self._store)


def _in_groups(units: Sequence[Unit], size: int) -> Iterator[Sequence[Unit]]:
    return (units[start : start + size] for start in range(0, len(units), size))


@contextlib.contextmanager
def _local_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreDenied(f"cannot write to {folder}: {error.strerror}") from error
