"""Range records: what decides a range of rows, once and for all.

ranges/0-256.json    rows      committed: files, statuses, who made them
                     split     at 128: ranges/0-128.json and ranges/128-256.json decide
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts, Unit

#: How a row can end, and its letter in `RowsRecord.statuses`.
STATUS_LETTERS = {"ok": "o", "failed": "f", "rejected": "r"}

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
class RowsRecord:
    """Committed: the rows start <= ordinal < end as one attempt made them."""

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
        return _to_json("rows", self)


@dataclass(frozen=True, kw_only=True)
class SplitRecord:
    """Split: the rows before and from `at` are decided apart, by records of their own."""

    start: int
    end: int
    at: int
    #: A uuid in hex; tells one's own record from another's.
    attempt: str
    worker: str
    #: bisect, share, guide or hand back.
    reason: str
    #: What the halves of more than one row are charged with already, and why.
    attempts: int = 0
    last_error: str | None = None
    #: Aware, in UTC.
    created_at: datetime

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.at < self.end:
            raise ValueError(f"the rows [{self.start}, {self.end}) cannot be split at {self.at}")
        if self.created_at.tzinfo is None:
            raise ValueError("created_at needs a time zone")

    @property
    def unit(self) -> Unit:
        return Unit(self.start, self.end)

    def to_json(self) -> bytes:
        return _to_json("split", self)


#: What decides a range.
RangeRecord: TypeAlias = RowsRecord | SplitRecord


def parse_record(data: bytes) -> RangeRecord:
    """Raises CorruptObject when `data` is not a record of this version."""
    try:
        document: dict[str, Any] = json.loads(data)
        decision = document.pop("decision")
        document["created_at"] = datetime.fromisoformat(document["created_at"])
        if decision == "split":
            return SplitRecord(**document)
        if decision != "rows":
            raise ValueError("it decides something that this version does not know")
        document["index_part"] = FileFact(**document["index_part"])
        document["packs"] = tuple(FileFact(**pack) for pack in document["packs"])
        return RowsRecord(**document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptObject(f"this is no range record: {data[:200]!r}") from error


def read_verified(store: Store, fact: FileFact) -> bytes:
    """The bytes of an object. Raises CorruptObject when they are not those that were written."""
    data = store.read(fact.path)
    if FileFact.of(fact.path, data) != fact:
        raise CorruptObject(f"{store.uri_of(fact.path)} is not what was written there")
    return data


def _to_json(decision: str, record: RangeRecord) -> bytes:
    document = {
        **asdict(record),
        "decision": decision,
        "created_at": record.created_at.isoformat(),
    }
    return json.dumps(document, sort_keys=True, indent=1).encode()
