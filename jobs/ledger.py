"""The ledger: what was decided about each unit, once and for all.

A worker writes its packs and its index part under names of its own, and then tries to create the
unit's range record. Whoever creates it has decided the unit; everybody else adopts what stands:

    attempt A ── pack, index part ──► create ranges/0-256.json ──► decided
    attempt B ── pack, index part ──► already exists ──► reads A's record, drops its own work

A record never changes. A job is done when its records cover all of its rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from ancestral.jobs import layout
from ancestral.jobs.errors import AlreadyExists, CorruptObject, NotFound
from ancestral.jobs.store import Store, ahead
from ancestral.jobs.units import RowCounts, Unit

if TYPE_CHECKING:
    from ancestral.jobs.spec import Job

#: How a row can end, and its letter in `RangeRecord.statuses`.
STATUS_LETTERS = {"ok": "o", "failed": "f", "rejected": "r"}

#: What records of this version decide.
_DECISION = "rows"

Data: TypeAlias = bytes | memoryview


@dataclass(frozen=True)
class FileFact:
    """An object as it was written: `path` in the store, size in bytes, sha256 in hex."""

    path: str
    bytes: int
    sha256: str

    @staticmethod
    def of(path: str, data: Data) -> FileFact:
        """The facts of an object that holds `data`."""
        return FileFact(path, len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, kw_only=True)
class RangeRecord:
    """The rows start <= ordinal < end as one attempt made them."""

    start: int
    end: int
    #: A uuid in hex; tells one's own record from another's.
    attempt: str
    worker: str
    device: str
    #: Processor kind, backend and dtype, within which equal rows have equal bytes.
    numerics: str
    model_digest: str
    code_version: str
    #: One letter of STATUS_LETTERS per row, in the order of ordinals.
    statuses: str
    index_part: FileFact
    packs: tuple[FileFact, ...]
    #: Aware, in UTC.
    created_at: datetime
    sampling_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end or len(self.statuses) != self.end - self.start:
            raise ValueError(
                f"{len(self.statuses)} statuses do not fit rows [{self.start}, {self.end})"
            )
        if unknown := set(self.statuses) - set(STATUS_LETTERS.values()):
            raise ValueError(f"statuses cannot hold {sorted(unknown)}")
        if self.created_at.tzinfo is None:
            raise ValueError("created_at needs a time zone")

    @property
    def unit(self) -> Unit:
        return Unit(self.start, self.end)

    @property
    def counts(self) -> RowCounts:
        """How many rows of the unit ended in which way."""
        letters = Counter(self.statuses)
        return RowCounts(**{name: letters[letter] for name, letter in STATUS_LETTERS.items()})

    def to_json(self) -> bytes:
        document = {
            **asdict(self),
            "decision": _DECISION,
            "created_at": self.created_at.isoformat(),
        }
        return json.dumps(document, sort_keys=True, indent=1).encode()

    @staticmethod
    def from_json(data: bytes) -> RangeRecord:
        """Raises CorruptObject when `data` is not a record of this version."""
        try:
            document: dict[str, Any] = json.loads(data)
            if document.pop("decision") != _DECISION:
                raise ValueError("it decides something that this version does not know")
            return RangeRecord(
                **{
                    **document,
                    "index_part": FileFact(**document["index_part"]),
                    "packs": tuple(FileFact(**pack) for pack in document["packs"]),
                    "created_at": datetime.fromisoformat(document["created_at"]),
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorruptObject(f"this is no range record: {data[:200]!r}") from error


def read_verified(store: Store, fact: FileFact) -> bytes:
    """The bytes of an object. Raises CorruptObject when they are not those that were written."""
    data = store.read(fact.path)
    if FileFact.of(fact.path, data) != fact:
        raise CorruptObject(f"{store.uri_of(fact.path)} is not what was written there")
    return data


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

    def records(self) -> Iterator[RangeRecord]:
        """All records there are, by rising ordinals."""
        return ahead(self._read, self._paths().values())

    def undecided(self, job: Job) -> Iterator[Unit]:
        """The units of `job` without a record, by rising ordinals. One listing, no reading."""
        decided = self._paths()
        return (unit for unit in job.units() if unit not in decided)

    def _paths(self) -> dict[Unit, str]:
        """The record of each decided unit, by rising ordinals."""
        paths = self._store.list(layout.records_folder(self._job_id))
        units = ((layout.unit_of_record(path), path) for path in paths)
        return dict(sorted((unit, path) for unit, path in units if unit is not None))

    def _read(self, path: str) -> RangeRecord:
        try:
            record = RangeRecord.from_json(self._store.read(path))
        except CorruptObject as error:
            raise CorruptObject(f"{self._store.uri_of(path)}: {error}") from error
        if record.unit != layout.unit_of_record(path):
            raise CorruptObject(f"{self._store.uri_of(path)} is the record of another unit")
        return record
