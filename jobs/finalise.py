"""From the records of a job whose rows are all decided to the table that everybody reads.

    range records ──► index parts ──► artifacts/.../outcome=ok/part-00000.parquet, ...
                  └─► packs         ──► packs.txt ──► manifest.json ──► _SUCCESS

Every output is created once and is a function of the records alone, and records never change: any
number of finalisers, at once or after one another's crash, make the same bytes. Part k holds the
rows [k * 1,000,000, (k + 1) * 1,000,000) that ended in its way, sorted by ordinal; memory is
bounded by one part, however large the job.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ancestral.jobs import layout
from ancestral.jobs.errors import AlreadyExists, CorruptObject, NotFound, RowsMissing
from ancestral.jobs.index import read_part, schema
from ancestral.jobs.ledger import STATUS_LETTERS, Ledger, RangeRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import RowCounts, Unit

#: Rows of a job that one part covers; a multiple of ROW_GROUP_ROWS.
PART_ROWS = 1_000_000

#: Rows of a job that one Parquet row group covers: what a reader decodes at a time.
ROW_GROUP_ROWS = 50_000

#: Missing ranges that an error names.
_NAMED_RANGES = 5


@dataclass(frozen=True)
class Part:
    """One Parquet file of the public table; `path` is relative to the job's output."""

    path: str
    number: int
    outcome: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What became of a job, and where it lies."""

    job_id: str
    name: str
    #: "done", or "done_with_errors" if a row failed.
    state: str
    rows: int
    rows_ok: int
    rows_failed: int
    rows_rejected: int
    model: str
    model_digest: str
    #: The classes within which the artifacts' bytes are reproducible; one, on a uniform fleet.
    numerics: tuple[str, ...]
    #: The folder of the job's Parquet files, absolute: pandas, pyarrow and DuckDB read it whole.
    index: str
    parts: tuple[Part, ...]
    #: The list of the job's packs, absolute.
    packs: str
    pack_count: int
    pack_bytes: int
    sampling_seconds: float
    #: When the last of the job's rows was committed; ISO 8601 in UTC.
    finished_at: str

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @staticmethod
    def from_json(data: bytes) -> Manifest:
        """Raises CorruptObject when `data` is not a manifest of this version."""
        try:
            document = json.loads(data)
            parts = tuple(Part(**part) for part in document["parts"])
            numerics = tuple(document["numerics"])
            return Manifest(**{**document, "parts": parts, "numerics": numerics})
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptObject(f"this is no manifest: {data[:200]!r}") from error


def read_manifest(store: Store, job_id: str) -> Manifest | None:
    """The manifest of a job; None while it is not finished."""
    try:
        return Manifest.from_json(store.read(layout.manifest_path(job_id)))
    except NotFound:
        return None


def finalise(store: Store, job_id: str) -> Manifest:
    """Publish a job whose rows are all decided; done already, it only reads.

    Raises RowsMissing, naming the rows, while some are undecided; CorruptObject when what was
    committed is not there any more.
    """
    path = layout.manifest_path(job_id)
    if not store.exists(path):
        job = Job.from_json(store.read(layout.spec_path(job_id)))
        records = _covering_records(store, job)
        manifest = _manifest(store, job, records)
        _write_parts(store, job, records, manifest.parts)
        packs = "".join(f"{store.uri_of(fact.path)}\n" for one in records for fact in one.packs)
        _create(store, layout.packs_list_path(job_id), packs.encode())
        _create(store, path, manifest.to_json())
    standing = store.read(path)
    digest = hashlib.sha256(standing).hexdigest()
    _create(store, layout.success_path(job_id), f"{digest}\n".encode())
    return Manifest.from_json(standing)


def _covering_records(store: Store, job: Job) -> list[RangeRecord]:
    ledger = Ledger(store, job.job_id)
    ranges: list[Unit] = []
    for unit in ledger.undecided(job):
        if ranges and ranges[-1].end == unit.start:
            ranges[-1] = Unit(ranges[-1].start, unit.end)
        else:
            ranges.append(unit)
    if ranges:
        named = ", ".join(f"[{one.start}, {one.end})" for one in ranges[:_NAMED_RANGES])
        more = f" and {len(ranges) - _NAMED_RANGES} more" if len(ranges) > _NAMED_RANGES else ""
        rows = sum(one.rows for one in ranges)
        raise RowsMissing(
            f"job {job.job_id} is not finished: {rows} of {job.rows} rows are undecided, "
            f"ordinals {named}{more}"
        )
    return list(ledger.records())


def _manifest(store: Store, job: Job, records: Sequence[RangeRecord]) -> Manifest:
    counts = sum((record.counts for record in records), RowCounts())
    packs = [fact for record in records for fact in record.packs]
    folder = layout.artifacts_folder(job.model.name, job.submitted_at[:10], job.job_id)
    finished_at = max(record.created_at for record in records).astimezone(UTC)
    return Manifest(
        job_id=job.job_id,
        name=job.spec.name,
        state="done_with_errors" if counts.failed else "done",
        rows=counts.total,
        rows_ok=counts.ok,
        rows_failed=counts.failed,
        rows_rejected=counts.rejected,
        model=job.model.name,
        model_digest=job.model.digest,
        numerics=tuple(sorted({record.numerics for record in records})),
        index=store.uri_of(folder),
        parts=tuple(_plan_parts(folder, records)),
        packs=store.uri_of(layout.packs_list_path(job.job_id)),
        pack_count=len(packs),
        pack_bytes=sum(fact.bytes for fact in packs),
        sampling_seconds=sum(record.sampling_seconds for record in records),
        finished_at=f"{finished_at:%Y-%m-%dT%H:%M:%SZ}",
    )


def _plan_parts(folder: str, records: Iterable[RangeRecord]) -> Iterator[Part]:
    """The parts that have rows, and in any case the first one of `ok`: it shows the columns."""
    rows: Counter[tuple[int, str]] = Counter({(0, "ok"): 0})
    for record in records:
        for number in range(record.start // PART_ROWS, (record.end - 1) // PART_ROWS + 1):
            first, last = (max(0, part * PART_ROWS - record.start) for part in (number, number + 1))
            letters = Counter(record.statuses[first:last])
            for outcome, letter in STATUS_LETTERS.items():
                if letters[letter]:
                    rows[number, outcome] += letters[letter]
    for (number, outcome), count in sorted(rows.items()):
        yield Part(layout.part_path(folder, outcome, number), number, outcome, count)


def _write_parts(
    store: Store, job: Job, records: Sequence[RangeRecord], parts: Iterable[Part]
) -> None:
    by_number: dict[int, list[Part]] = {}
    for part in parts:
        by_number.setdefault(part.number, []).append(part)
    for number, outcomes in by_number.items():
        # Another finaliser may have come this far, here or on another machine.
        if all(store.exists(part.path) for part in outcomes):
            continue
        rows = Unit(number * PART_ROWS, (number + 1) * PART_ROWS)
        inside = [one for one in records if one.start < rows.end and one.end > rows.start]
        for part, data in _compact(store, job, inside, rows, outcomes):
            _create(store, part.path, data)


def _compact(
    store: Store, job: Job, records: Iterable[RangeRecord], rows: Unit, parts: Sequence[Part]
) -> Iterator[tuple[Part, memoryview]]:
    """Each part with its bytes as Parquet; `parts` are the outcomes of the same `rows`."""
    columns = schema(job.signature)
    sorting = pq.SortingColumn.from_ordering(columns, [("ordinal", "ascending")])
    sinks = [pa.BufferOutputStream() for _ in parts]
    written = Counter[Part]()
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                pq.ParquetWriter(sink, columns, compression="zstd", sorting_columns=sorting)
            )
            for sink in sinks
        ]
        tables = ahead(partial(_rows_of, store, job, rows), records)
        for window in _windows(tables, ROW_GROUP_ROWS):
            for part, writer in zip(parts, writers, strict=True):
                chosen = window.filter(pc.equal(window["status"], part.outcome)).combine_chunks()
                written[part] += chosen.num_rows
                if chosen.num_rows:
                    writer.write_table(chosen, row_group_size=ROW_GROUP_ROWS)
    for part, sink in zip(parts, sinks, strict=True):
        if written[part] != part.rows:
            raise CorruptObject(f"{part.path} has {written[part]} rows in place of {part.rows}")
        yield part, memoryview(sink.getvalue())


def _rows_of(store: Store, job: Job, rows: Unit, record: RangeRecord) -> pa.Table:
    """Those index rows of a record that lie within `rows`."""
    first = max(rows.start, record.start)
    last = min(rows.end, record.end)
    return read_part(store, record, job.signature).slice(first - record.start, last - first)


def _windows(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """A stream of tables, cut anew into tables of `size` rows and a rest."""
    waiting: list[pa.Table] = []
    missing = size
    for table in tables:
        while table.num_rows:
            head = table.slice(0, missing)
            waiting.append(head)
            missing -= head.num_rows
            table = table.slice(head.num_rows)
            if not missing:
                yield pa.concat_tables(waiting)
                waiting, missing = [], size
    if waiting:
        yield pa.concat_tables(waiting)


def _create(store: Store, path: str, data: bytes | memoryview) -> None:
    # Whoever was faster wrote the same: all outputs are functions of the records.
    with contextlib.suppress(AlreadyExists):
        store.create(path, data)
