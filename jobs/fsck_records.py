"""The part of fsck that looks at range records: does each row have exactly one that decides it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover, descend, within
from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.intents import Wanted, latest_intent
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.problems import Problems
from ancestral.jobs.records import RangeRecord, RowsRecord, SplitRecord
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import Unit


@dataclass(frozen=True)
class Tree:
    """What was decided of a job."""

    cover: Cover
    #: The records that count, by rising ordinals.
    rows: tuple[RowsRecord, ...]
    #: Records of ranges that were cancelled before; nobody reads them.
    late: int


def read_tree(store: Store, job: Job, problems: Problems) -> Tree:
    """Reads every range record. Raises StoreError when the store is in the way."""
    ledger = Ledger(store, job.job_id)
    records = _records(store, job, ledger, problems)
    split = {unit: each.at for unit, each in records.items() if isinstance(each, SplitRecord)}
    cancelled = _cancelled(store, job, ledger, problems)
    cover = descend(job.units(), records, split, cancelled)
    rows = [record for unit in cover.rows if isinstance(record := records[unit], RowsRecord)]

    _check_markers(store, job, cover, problems)
    _check_once(job, cover, problems)
    for record in rows:
        if record.model_digest != job.model.digest:
            problems.add(f"unit {record.unit.name} was drawn by another model than the job's")
    if cancelled and cover.undecided:
        names = _named(cover.undecided)
        problems.add(f"the job was sealed, but nothing says what became of {names}")
    apart = records.keys() - {*cover.rows, *cover.split}
    late = {unit for unit in apart if within(cancelled, unit)}
    for unit in sorted(apart - late):
        problems.add(f"the record of unit {unit.name} decides rows that are not its to decide")
    return Tree(cover, tuple(rows), len(late))


def _records(store: Store, job: Job, ledger: Ledger, problems: Problems) -> dict[Unit, RangeRecord]:
    units: list[Unit] = []
    for path in store.list(layout.records_folder(job.job_id)):
        unit = layout.unit_of_name(path)
        if unit is None:
            problems.add(f"{store.uri_of(path)} is no name of a range record")
        else:
            units.append(unit)
    records: dict[Unit, RangeRecord] = {}
    for unit, found in zip(units, ahead(partial(_record, ledger), units), strict=True):
        if isinstance(found, str):
            problems.add(found)
        elif found is not None:
            records[unit] = found
    return records


def _record(ledger: Ledger, unit: Unit) -> RangeRecord | str | None:
    """A record, or what is wrong with it; None when it was collected as garbage meanwhile."""
    try:
        return ledger.lookup(unit)
    except CorruptObject as error:
        return str(error)


def _cancelled(store: Store, job: Job, ledger: Ledger, problems: Problems) -> tuple[Unit, ...]:
    try:
        cancelled = ledger.cancelled()
        wanted = latest_intent(store, job.job_id).wanted
    except CorruptObject as error:
        problems.add(str(error))
        return ()
    if cancelled and wanted is not Wanted.CANCEL:
        problems.add("the job was sealed, but nobody cancelled it")
    borders = [border for unit in cancelled for border in (unit.start, unit.end)]
    if any(after <= before for before, after in pairwise([-1, *borders, job.rows + 1])):
        problems.add("cancelled.json does not list rising ranges of the job's rows")
        return ()
    return cancelled


def _check_markers(store: Store, job: Job, cover: Cover, problems: Problems) -> None:
    paths = store.list(layout.splits_folder(job.job_id))
    marked = {layout.unit_of_name(path) for path in paths}
    for unit in cover.split:
        if unit not in marked:
            problems.add(f"the split of unit {unit.name} has no marker, so that rebuilds miss it")


def _check_once(job: Job, cover: Cover, problems: Problems) -> None:
    """The leaves are to tile the rows of the job."""
    end = 0
    for unit in sorted([*cover.rows, *cover.undecided, *cover.cancelled]):
        if unit.start > end:
            problems.add(f"nothing is known of the rows [{end}, {unit.start})")
        elif unit.start < end:
            problems.add(f"the rows [{unit.start}, {min(end, unit.end)}) are decided twice")
        end = max(end, unit.end)
    if end != job.rows:
        problems.add(f"the records end at row {end} of {job.rows}")


def _named(units: Sequence[Unit]) -> str:
    more = f" and {len(units) - 1} more" if len(units) > 1 else ""
    return f"unit {units[0].name}{more}"
