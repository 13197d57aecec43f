"""The public table: a job's index as Parquet, compacted from what its units left.

    index parts of records ─────┐
                                ├─► outcome=ok/part-00000.parquet, outcome=failed/part-00000...
    requests of cancelled rows ─┘

Part k holds the rows [k * 1,000,000, (k + 1) * 1,000,000) that ended in its way, sorted by ordinal,
so that a part is a function of what was decided, whoever writes it. Memory is bounded by one part,
however large the job.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.index import NOTHING, IndexRow, read_part, schema, to_table
from ancestral.jobs.intents import Intent
from ancestral.jobs.manifest import Part
from ancestral.jobs.records import STATUS_LETTERS, RowsRecord
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import Unit

#: Rows of a job that one part covers; a multiple of ROW_GROUP_ROWS.
PART_ROWS = 1_000_000

#: Rows of a job that one Parquet row group covers: what a reader decodes at a time.
ROW_GROUP_ROWS = 50_000

#: Cancelled rows whose requests are read at a time.
CANCELLED_ROWS = 4096


@dataclass(frozen=True)
class Decided:
    """What became of every row of a job; it never changes."""

    #: By rising ordinals.
    records: tuple[RowsRecord, ...]
    #: The ranges that were cancelled, merged and rising, and by which intent.
    cancelled: tuple[Unit, ...]
    intent: Intent


@dataclass(frozen=True)
class _Piece:
    """Rows that stand next to each other in the table: of one record, or cancelled."""

    unit: Unit
    record: RowsRecord | None


def plan_parts(folder: str, decided: Decided) -> Iterator[Part]:
    """The parts that have rows, and in any case the first one of `ok`: it shows the columns."""
    rows: Counter[tuple[int, str]] = Counter({(0, "ok"): 0})
    for record in decided.records:
        for number, unit in _by_part(record.unit):
            letters = Counter(record.statuses[unit.start - record.start : unit.end - record.start])
            for outcome, letter in STATUS_LETTERS.items():
                if letters[letter]:
                    rows[number, outcome] += letters[letter]
    for cancelled in decided.cancelled:
        for number, unit in _by_part(cancelled):
            rows[number, "cancelled"] += unit.rows
    for (number, outcome), count in sorted(rows.items()):
        yield Part(layout.part_path(folder, outcome, number), number, outcome, count)


def encode_parts(
    store: Store, job: Job, decided: Decided, parts: Sequence[Part]
) -> Iterator[tuple[Part, memoryview]]:
    """Each part with its bytes as Parquet; `parts` are the outcomes of the same rows.

    Raises CorruptObject when what was committed is not there any more.
    """
    [number] = {part.number for part in parts}
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
        pieces = ahead(partial(_table, store, job, decided.intent), _pieces(decided, number))
        for window in _windows(pieces, ROW_GROUP_ROWS):
            for part, writer in zip(parts, writers, strict=True):
                chosen = window.filter(pc.equal(window["status"], part.outcome)).combine_chunks()
                written[part] += chosen.num_rows
                if chosen.num_rows:
                    writer.write_table(chosen, row_group_size=ROW_GROUP_ROWS)
    for part, sink in zip(parts, sinks, strict=True):
        if written[part] != part.rows:
            raise CorruptObject(f"{part.path} has {written[part]} rows in place of {part.rows}")
        yield part, memoryview(sink.getvalue())


def _by_part(unit: Unit) -> Iterator[tuple[int, Unit]]:
    """A unit's rows, cut where one part ends and the next begins, with the numbers of the parts."""
    for number in range(unit.start // PART_ROWS, (unit.end - 1) // PART_ROWS + 1):
        first, end = number * PART_ROWS, (number + 1) * PART_ROWS
        yield number, Unit(max(unit.start, first), min(unit.end, end))


def _pieces(decided: Decided, number: int) -> list[_Piece]:
    """All rows of the parts of that number, in order."""
    pieces = [
        _Piece(unit, record)
        for record in decided.records
        for part, unit in _by_part(record.unit)
        if part == number
    ]
    for cancelled in decided.cancelled:
        for part, unit in _by_part(cancelled):
            if part == number:
                pieces.extend(_Piece(each, None) for each in unit.cut(CANCELLED_ROWS))
    return sorted(pieces, key=lambda piece: piece.unit)


def _table(store: Store, job: Job, intent: Intent, piece: _Piece) -> pa.Table:
    """The index rows of a piece."""
    unit, record = piece.unit, piece.record
    if record is not None:
        table = read_part(store, record, job.signature)
        return table.slice(unit.start - record.start, unit.rows)
    rows = [_cancelled_row(job, intent, row) for row in read_rows(store, job, unit)]
    return to_table(rows, job.signature)


def _cancelled_row(job: Job, intent: Intent, row: Row) -> IndexRow:
    sampling = job.spec.sampling
    reason = f": {intent.reason}" if intent.reason else ""
    return IndexRow(
        request_id=row.request_id,
        sample=row.sample,
        ordinal=row.ordinal,
        job_id=job.job_id,
        status="cancelled",
        error=f"the job was cancelled{reason}",
        kind=job.spec.kind,
        model=job.model.name,
        model_digest=job.model.digest,
        numerics=NOTHING,
        seed=row.seed,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        conditioning=row.fields,
        worker=NOTHING,
        device=NOTHING,
        attempt=NOTHING,
        created_at=datetime.fromisoformat(intent.created_at),
    )


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
