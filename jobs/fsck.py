"""Is a job what it should be? Asked of the store alone, down to the last byte.

    range records      decide each row of the job exactly once            fsck_records.py
    index parts        have a row for each of them, as it was asked for   here
    packs              have the bytes that were written, and artifacts    fsck_files.py
    the public table   has these rows and no others                       fsck_table.py
    manifest.json      tells the same numbers; _SUCCESS seals it          here

Index parts, packs and the table are read once, several objects at a time, and a pack in pieces. Of
an unfinished job what is undecided is told, and is no problem.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ancestral.jobs import layout
from ancestral.jobs.duplicates import SeenIds
from ancestral.jobs.errors import CorruptObject, NotFound
from ancestral.jobs.fsck_files import CheckedUnit, check_shard, check_unit
from ancestral.jobs.fsck_records import Tree, read_tree
from ancestral.jobs.fsck_table import PublicTable
from ancestral.jobs.manifest import Manifest, read_manifest
from ancestral.jobs.problems import Problems
from ancestral.jobs.public_table import CANCELLED_ROWS
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.scratch import scratch_folder
from ancestral.jobs.spec import Job, accepted_job
from ancestral.jobs.states import final_state
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import OnProgress, RowCounts, Unit


@dataclass(frozen=True, kw_only=True)
class FsckReport:
    """What became of a job's rows, and what is wrong with that."""

    job_id: str
    finished: bool
    rows: int
    rows_ok: int
    rows_failed: int
    rows_rejected: int
    rows_cancelled: int
    rows_undecided: int
    #: Range records that count, and splits that led to them.
    records: int
    splits: int
    #: Records of ranges that were cancelled before; nobody reads them, and `gc` removes them.
    late_records: int
    #: Packs and index parts that were read, and the bytes in them.
    files: int
    bytes: int
    #: Sentences, the first hundred; `problem_count` counts them all.
    problems: tuple[str, ...]
    problem_count: int

    @property
    def sound(self) -> bool:
        return not self.problem_count


def fsck(store: Store, job_id: str, progress: OnProgress | None = None) -> FsckReport:
    """Checks a job; what is wrong with it does not raise, but is told.

    Raises NotFound and CorruptObject when there is no job to be read, the StoreErrors of a store
    that cannot be read, and StoreDenied when there is no folder for temporary files.
    """
    job = accepted_job(store, job_id)
    problems = Problems()
    tree = read_tree(store, job, problems)
    counts = sum((record.counts for record in tree.rows), RowCounts())
    counts += RowCounts(cancelled=sum(unit.rows for unit in tree.cover.cancelled))
    manifest = _manifest(store, job, tree, counts, problems)
    with scratch_folder() as folder:
        rows = _Rows(store, job, manifest, folder, problems)
        for checked in rows.check(tree):
            if progress is not None:
                progress(checked, job.rows)
    files = [fact for record in tree.rows for fact in (record.index_part, *record.packs)]
    return FsckReport(
        job_id=job_id,
        finished=manifest is not None,
        rows=job.rows,
        rows_ok=counts.ok,
        rows_failed=counts.failed,
        rows_rejected=counts.rejected,
        rows_cancelled=counts.cancelled,
        rows_undecided=sum(unit.rows for unit in tree.cover.undecided),
        records=len(tree.rows),
        splits=len(tree.cover.split),
        late_records=tree.late,
        files=len(files),
        bytes=sum(fact.bytes for fact in files),
        problems=problems.kept,
        problem_count=problems.total,
    )


class _Rows:
    """Walks through all rows that are decided."""

    def __init__(
        self, store: Store, job: Job, manifest: Manifest | None, folder: Path, problems: Problems
    ) -> None:
        self._store = store
        self._job = job
        self._problems = problems
        self._seen = SeenIds(folder)
        self._readable = True
        self._table = (
            PublicTable(store, job, manifest.parts, problems) if manifest is not None else None
        )

    def check(self, tree: Tree) -> Iterator[int]:
        """Yields now and then how many rows are behind it."""
        for problem in ahead(partial(check_shard, self._store), self._job.shards):
            if problem is not None:
                self._problems.add(f"{problem}; no row is held against its request")
                self._readable = False
        checked = 0
        for unit in ahead(partial(check_unit, self._store, self._job), tree.rows):
            self._check_unit(unit)
            checked += unit.record.unit.rows
            yield checked
        for cancelled in tree.cover.cancelled:
            for chunk in cancelled.cut(CANCELLED_ROWS):
                self._check_cancelled(chunk)
                checked += chunk.rows
                yield checked
        if self._table is not None:
            self._table.end()
        for each in sorted(self._seen.duplicates()):
            rows = f"rows {each.first_number} and {each.number}"
            self._problems.add(f"{rows} are the same sample of the same request")

    def _check_unit(self, unit: CheckedUnit) -> None:
        for problem in unit.problems:
            self._problems.add(problem)
        if unit.table is not None:
            self._check_identity(unit.record.unit, unit.table)
        if self._table is not None and unit.table is not None:
            self._table.check(unit.table)
        elif self._table is not None:
            self._table.skip(unit.record.counts)

    def _check_identity(self, unit: Unit, table: pa.Table) -> None:
        names = ("ordinal", "request_id", "sample", "seed")
        indexed = zip(*(table[name].to_pylist() for name in names), strict=True)
        asked = self._asked(unit)
        for position, (ordinal, request_id, sample, seed) in enumerate(indexed):
            self._seen.add(f"{sample} {request_id}", ordinal)
            if asked and (request_id, sample, seed) != _identity(asked[position]):
                self._problems.add(
                    f"row {ordinal} is sample {sample} of {request_id!r} with seed {seed}, which "
                    "is not what was asked for"
                )

    def _check_cancelled(self, unit: Unit) -> None:
        asked = self._asked(unit)
        for row in asked:
            self._seen.add(f"{row.sample} {row.request_id}", row.ordinal)
        if self._table is not None and asked:
            self._table.check_cancelled(asked)
        elif self._table is not None:
            self._table.skip(RowCounts(cancelled=unit.rows))

    def _asked(self, unit: Unit) -> list[Row]:
        """The rows as they were asked for; none when not all shards are what they were."""
        return read_rows(self._store, self._job, unit) if self._readable else []


def _identity(row: Row) -> tuple[str, int, int]:
    return row.request_id, row.sample, row.seed


def _manifest(
    store: Store, job: Job, tree: Tree, counts: RowCounts, problems: Problems
) -> Manifest | None:
    """The manifest of a job, held against its records; None if there is none to go by."""
    published = store.list(job.table_folder)
    try:
        manifest = read_manifest(store, job.job_id)
    except CorruptObject as error:
        problems.add(str(error))
        return None
    if tree.cover.undecided and (published or manifest is not None):
        problems.add("the job was published while rows were undecided")
    sealed = _read_text(store, layout.success_path(job.job_id))
    if manifest is None:
        if sealed is not None:
            problems.add("_SUCCESS is there, but no manifest.json")
        return None
    for name, expected in _expected(job, tree, counts):
        if (told := getattr(manifest, name)) != expected:
            problems.add(f"the manifest's {name} is {told!r}, but should be {expected!r}")
    parts = {part.path for part in manifest.parts}
    for path in sorted(parts ^ set(published)):
        what = "is not there" if path in parts else "is in the table, but not in the manifest"
        problems.add(f"{store.uri_of(path)} {what}")
    standing = store.read(layout.manifest_path(job.job_id))
    if sealed != f"{hashlib.sha256(standing).hexdigest()}\n":
        problems.add("_SUCCESS does not seal the manifest: the job has to be finalised again")
    _check_packs_list(store, job, tree, problems)
    return manifest


def _expected(job: Job, tree: Tree, counts: RowCounts) -> Iterator[tuple[str, Any]]:
    """What a manifest says that is told by the job and its records as well."""
    packs = [fact for record in tree.rows for fact in record.packs]
    yield "job_id", job.job_id
    yield "name", job.spec.name
    yield "state", final_state(counts)[0]
    yield "rows", counts.total
    yield "rows_ok", counts.ok
    yield "rows_failed", counts.failed
    yield "rows_rejected", counts.rejected
    yield "rows_cancelled", counts.cancelled
    yield "cancelled", tree.cover.cancelled
    yield "model", job.model.name
    yield "model_digest", job.model.digest
    yield "numerics", tuple(sorted({record.numerics for record in tree.rows}))
    yield "pack_count", len(packs)
    yield "pack_bytes", sum(fact.bytes for fact in packs)


def _check_packs_list(store: Store, job: Job, tree: Tree, problems: Problems) -> None:
    path = layout.packs_list_path(job.job_id)
    listed = (_read_text(store, path) or "").splitlines()
    packs = [fact.path for record in tree.rows for fact in record.packs]
    # A list that was moved with the store still names the place where it was made.
    same = len(listed) == len(packs) and all(map(str.endswith, listed, packs))
    if not same:
        problems.add(f"{store.uri_of(path)} does not list the packs that the records name")


def _read_text(store: Store, path: str) -> str | None:
    try:
        return store.read(path).decode("utf-8", "replace")
    except NotFound:
        return None
