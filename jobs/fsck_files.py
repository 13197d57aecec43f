"""The part of fsck that reads files: requests, and what range records name."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject, NotFound
from ancestral.jobs.index import read_part
from ancestral.jobs.records import FileFact, RowsRecord
from ancestral.jobs.spec import Job, Shard
from ancestral.jobs.store import Store

#: Bytes of a pack that are in memory at a time.
PIECE_BYTES = 8 * 2**20

#: Columns of an index row that its range record tells as well.
_OF_RECORD = ("attempt", "worker", "device", "numerics", "model_digest")


@dataclass(frozen=True)
class CheckedUnit:
    """A committed unit: its index rows, None if they cannot be relied on, and what is wrong."""

    record: RowsRecord
    table: pa.Table | None
    problems: tuple[str, ...]


@dataclass
class _Member:
    """An artifact in a pack, as its index row tells it, and the digest of the bytes found there."""

    ordinal: int
    offset: int
    end: int
    sha256: str
    found: Any = field(default_factory=hashlib.sha256)


def check_shard(store: Store, shard: Shard) -> str | None:
    """What is wrong with a shard of requests."""
    try:
        found = hashlib.sha256(store.read(shard.path)).hexdigest()
    except NotFound as error:
        return str(error)
    if found != shard.sha256:
        return f"{store.uri_of(shard.path)} is not what the job was accepted with"
    return None


def check_unit(store: Store, job: Job, record: RowsRecord) -> CheckedUnit:
    """Reads every byte that a record names, a piece at a time."""
    try:
        table = read_part(store, record, job.signature)
    except (CorruptObject, NotFound) as error:
        broken = [problem for pack in record.packs for problem in _check_pack(store, pack, [])]
        return CheckedUnit(record, None, (str(error), *broken))
    rows = table.to_pylist()
    problems = [problem for row in rows for problem in _check_row(job, record, row)]
    members: dict[str, list[_Member]] = {pack.path: [] for pack in record.packs}
    for row in rows:
        if row["uri"] is None:
            continue
        path = layout.pack_of(job.job_id, row["uri"])
        if path is None or path not in members:
            problems.append(f"row {row['ordinal']} lies in {row['uri']}, which no record names")
            continue
        end = row["offset"] + row["length"]
        members[path].append(_Member(row["ordinal"], row["offset"], end, row["sha256"]))
    for pack in record.packs:
        problems += _check_pack(store, pack, members[pack.path])
    return CheckedUnit(record, table, tuple(problems))


def _check_row(job: Job, record: RowsRecord, row: dict[str, Any]) -> Iterator[str]:
    name = f"row {row['ordinal']} ({row['request_id']!r})"
    if row["job_id"] != job.job_id:
        yield f"{name} says that it is of job {row['job_id']}"
    for column in _OF_RECORD:
        if row[column] != getattr(record, column):
            yield f"{name} and the record of unit {record.unit.name} tell another {column}"
    drawn = row["status"] != "failed"
    stored = drawn and job.spec.kind != "score"
    if (row["symbols_sha256"] is not None) != drawn or (row["uri"] is not None) != stored:
        yield f"{name} is {row['status']}, but {'lacks' if drawn else 'has'} what was drawn"
    if (row["error"] is None) != (row["status"] == "ok"):
        yield f"{name} is {row['status']}, and its error is {row['error']!r}"


def _check_pack(store: Store, pack: FileFact, members: Sequence[_Member]) -> Iterator[str]:
    uri = store.uri_of(pack.path)
    try:
        size = store.size(pack.path)
        if size != pack.bytes:
            yield f"{uri} has {size:,} bytes in place of {pack.bytes:,}"
            return
        whole = _hash(store, pack, members)
    except (CorruptObject, NotFound) as error:
        yield str(error)
        return
    if whole != pack.sha256:
        yield f"{uri} is not what was written there"
    for member in members:
        if member.found.hexdigest() != member.sha256:
            yield f"the artifact of row {member.ordinal} is not at byte {member.offset} of {uri}"


def _hash(store: Store, pack: FileFact, members: Sequence[_Member]) -> str:
    """The digest of a whole pack; members take in what is theirs on the way."""
    whole = hashlib.sha256()
    pending = deque(sorted(members, key=lambda each: each.offset))
    for start in range(0, pack.bytes, PIECE_BYTES):
        end = min(start + PIECE_BYTES, pack.bytes)
        piece = memoryview(store.read_range(pack.path, start, end - start))
        whole.update(piece)
        while pending and pending[0].offset < end:
            member = pending[0]
            member.found.update(piece[max(member.offset - start, 0) : member.end - start])
            if member.end > end:
                break
            pending.popleft()
    return whole.hexdigest()
