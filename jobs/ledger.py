"""The ledger: what was decided about each unit, once and for all.

A worker writes its packs and its index part under names of its own, and then tries to create the
unit's range record. Whoever creates it has decided the unit; everybody else adopts what stands:

    attempt A ── pack, index part ──► create ranges/0-256.json ──► decided
    attempt B ── pack, index part ──► already exists ──► reads A's record, drops its own work
    attempt C ── splits/0-256     ──► already exists ──► the same: nothing is split

A record never changes. A job is done when its records cover all of its rows. A split is announced
by a marker before its record is created, so that who lists both reads only the records of splits.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ancestral.jobs import layout
from ancestral.jobs.cover import Cover, descend
from ancestral.jobs.errors import AlreadyExists, CorruptObject, NotFound
from ancestral.jobs.records import RangeRecord, RowsRecord, SplitRecord, parse_record
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import Unit, is_root, merge

if TYPE_CHECKING:
    from ancestral.jobs.spec import Job


class Ledger:
    """The range records of one job."""

    def __init__(self, store: Store, job_id: str) -> None:
        self._store = store
        self._job_id = job_id

    def decide(self, record: RangeRecord) -> RangeRecord:
        """Decide a unit by `record`, unless it is decided already; returns the record that stands.

        It is one's own when its `attempt` is, even if the store's answer to the creation was lost
        on the wire: after StoreUnavailable, call again.
        """
        if isinstance(record, SplitRecord):
            # Before the record, so that no split goes unseen; alone, it means nothing.
            self._store.put(layout.split_path(self._job_id, record.unit), b"split\n")
        path = layout.record_path(self._job_id, record.unit)
        try:
            self._store.create(path, record.to_json())
        except AlreadyExists:
            return self._read(path)
        return record

    def lookup(self, unit: Unit) -> RangeRecord | None:
        """The record of a unit; None while it is undecided."""
        try:
            return self._read(layout.record_path(self._job_id, unit))
        except NotFound:
            return None

    def cover(self, job: Job) -> Cover:
        """What is decided of `job`. Two listings, and the records of splits are read."""
        recorded = self._units(layout.records_folder(self._job_id))
        return self._cover(job.units(), recorded)

    def begun(self, job: Job) -> Cover:
        """The cover of the root units of which something is decided.

        It has the same `rows` as that of all, and costs nothing for what nobody has begun.
        """
        recorded = self._units(layout.records_folder(self._job_id))
        roots = (unit for unit in recorded if is_root(unit, job.rows, job.unit_rows))
        return self._cover(roots, recorded)

    def records(self, job: Job) -> Iterator[RowsRecord]:
        """The records that count, by rising ordinals."""
        return self.read(self.begun(job))

    def read(self, cover: Cover) -> Iterator[RowsRecord]:
        """The records of a cover's rows, by rising ordinals."""
        for record in ahead(self._read_of, cover.rows):
            if not isinstance(record, RowsRecord):
                raise CorruptObject(f"a split of {record.unit.name} was never announced")
            yield record

    def seal(self, job: Job) -> tuple[Unit, ...]:
        """Close a cancelled job: what is undecided now is `cancelled` for ever; returns that.

        It is decided once: who comes later gets what stands.
        """
        ranges = merge(self.cover(job).undecided)
        document = json.dumps({"cancelled": [[each.start, each.end] for each in ranges]})
        with contextlib.suppress(AlreadyExists):
            self._store.create(layout.cancelled_path(self._job_id), document.encode())
        return self.cancelled()

    def cancelled(self) -> tuple[Unit, ...]:
        """The ranges that the job was sealed without, merged; none of a job that was not."""
        path = layout.cancelled_path(self._job_id)
        try:
            ranges = json.loads(self._store.read(path))["cancelled"]
            return tuple(Unit(int(start), int(end)) for start, end in ranges)
        except NotFound:
            return ()
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptObject(f"{self._store.uri_of(path)} lists no ranges") from error

    def _cover(self, roots: Iterable[Unit], recorded: Mapping[Unit, None]) -> Cover:
        # After the records: whatever record was listed had its marker before.
        marked = self._units(layout.splits_folder(self._job_id))
        split = {
            record.unit: record.at
            for record in ahead(self._read_of, [unit for unit in marked if unit in recorded])
            if isinstance(record, SplitRecord)
        }
        return descend(roots, recorded, split, self.cancelled())

    def _units(self, folder: str) -> dict[Unit, None]:
        """The units after which the objects of a folder are named, in the order of the listing."""
        units = (layout.unit_of_name(path) for path in self._store.list(folder))
        return dict.fromkeys(unit for unit in units if unit is not None)

    def _read_of(self, unit: Unit) -> RangeRecord:
        return self._read(layout.record_path(self._job_id, unit))

    def _read(self, path: str) -> RangeRecord:
        try:
            record = parse_record(self._store.read(path))
        except CorruptObject as error:
            raise CorruptObject(f"{self._store.uri_of(path)}: {error}") from error
        if record.unit != layout.unit_of_name(path):
            raise CorruptObject(f"{self._store.uri_of(path)} is the record of another unit")
        return record
