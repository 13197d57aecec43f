"""The public table: a job's index as Parquet, compacted from what its units left.

    index parts of records ─────┐
                                ├─► outcome=ok/part-00000.parquet, outcome=failed/part-00000...
    requests of cancelled rows ─┘

Part k holds the rows [k * 1,000,000, (k + 1) * 1,000,000) that ended in its way, sorted by ordinal,
so that a part is a function of what was decided, whoever writes it. The records of one part are
held at a time, so that memory is bounded by it, however large the job.
"""

from __future__ import annotations

import bisect
import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover
from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.index import NOTHING, IndexRow, asked, read_part, schema, to_table
from ancestral.jobs.intents import Intent
from ancestral.jobs.ledger import Ledger
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
    """What became of the rows of the parts of one number; it never changes."""

    number: int
    rows: Unit
    #: Those that have some of the rows, by rising ordinals; the first and the last may have others.
    records: tuple[RowsRecord, ...]
    #: The ranges of the rows that were cancelled, rising, and by which intent.
    cancelled: tuple[Unit, ...]
    intent: Intent


@dataclass(frozen=True)
class _Piece:
    """Rows that stand next to each other in the table: of one record, or cancelled."""

    unit: Unit
    record: RowsRecord | None


def decided_by_part(ledger: Ledger, cover: Cover, intent: Intent, rows: int) -> Iterator[Decided]:
    """What became of a job's rows, part by part; `cover` is complete. Raises CorruptObject."""
    for number in range(-(-rows // PART_ROWS)):
        part = Unit(number * PART_ROWS, min((number + 1) * PART_ROWS, rows))
        units = tuple(_reaching(cover.rows, part))
        records = tuple(ledger.read(replace(cover, rows=units)))
        cancelled = tuple(_common(each, part) for each in _reaching(cover.cancelled, part))
        yield Decided(number, part, records, cancelled, intent)


def plan_parts(folder: str, decided: Decided) -> list[Part]:
    """The parts that have rows, and in any case the first one of `ok`: it shows the columns."""
    rows = Counter({"ok": 0} if decided.number == 0 else {})
    for record in decided.records:
        unit = _common(record.unit, decided.rows)
        letters = Counter(record.statuses[unit.start - record.start : unit.end - record.start])
        for outcome, letter in STATUS_LETTERS.items():
            if letters[letter]:
                rows[outcome] += letters[letter]
    for cancelled in decided.cancelled:
        rows["cancelled"] += cancelled.rows
    return [
        Part(layout.part_path(folder, outcome, decided.number), decided.number, outcome, count)
        for outcome, count in sorted(rows.items())
    ]


def encode_parts(
    store: Store, job: Job, decided: Decided, parts: Sequence[Part]
) -> Iterator[tuple[Part, memoryview]]:
    """Each of the planned parts with its bytes as Parquet.

    Raises CorruptObject when what was committed is not there any more.
    """
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
        pieces = ahead(partial(_table, store, job, decided.intent), _pieces(decided))
        for window in windows(pieces, ROW_GROUP_ROWS):
            for part, writer in zip(parts, writers, strict=True):
                chosen = window.filter(pc.equal(window["status"], part.outcome)).combine_chunks()
                written[part] += chosen.num_rows
                if chosen.num_rows:
                    writer.write_table(chosen, row_group_size=ROW_GROUP_ROWS)
    for part, sink in zip(parts, sinks, strict=True):
        if written[part] != part.rows:
            raise CorruptObject(f"{part.path} has {written[part]} rows in place of {part.rows}")
        yield part, memoryview(sink.getvalue())


def _reaching(units: Sequence[Unit], part: Unit) -> Sequence[Unit]:
    """Of units that rise and do not overlap, those that have rows of the part."""
    first = bisect.bisect_right(units, part.start, key=lambda unit: unit.end)
    end = bisect.bisect_left(units, part.end, key=lambda unit: unit.start)
    return units[first:end]


def _common(unit: Unit, part: Unit) -> Unit:
    """The rows that are in both."""
    return Unit(max(unit.start, part.start), min(unit.end, part.end))


def _pieces(decided: Decided) -> list[_Piece]:
    """All rows of the part, in order."""
    pieces = [_Piece(_common(each.unit, decided.rows), each) for each in decided.records]
    for cancelled in decided.cancelled:
        pieces.extend(_Piece(each, None) for each in cancelled.cut(CANCELLED_ROWS))
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
    reason = f": {intent.reason}" if intent.reason else ""
    return IndexRow(
        **asked(job, row),
        status="cancelled",
        error=f"the job was cancelled{reason}",
        numerics=NOTHING,
        worker=NOTHING,
        device=NOTHING,
        attempt=NOTHING,
        created_at=datetime.fromisoformat(intent.created_at),
    )


def windows(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
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
