"""Normalised requests at rest: Arrow files of up to 65,536 requests, read back by the row.

A shard's columns: request_id, seed, fields (canonical JSON, null where there is a medium), media
(their bytes), error (null where the request is sound), sample (null where all are drawn). Shards
are built in a local folder and go to the store when all of the input is known to be good, so that a
refused job never touches its output.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from ancestral.jobs.wording import in_utf8

#: Requests per shard: some megabytes, the most that a worker reads for one unit.
SHARD_REQUESTS = 65_536

#: Requests per record batch of a shard.
BATCH_REQUESTS = 4096

#: A shard that holds so many bytes of fields and media is full.
SHARD_BYTES = 32 * 2**20

#: Shards that a process keeps decoded; units are mostly claimed in order.
RECENT_SHARDS = 4

_MEDIUM = pa.struct(
    [
        pa.field("field", pa.string(), nullable=False),
        pa.field("uri", pa.string()),
        pa.field("data", pa.binary(), nullable=False),
    ]
)

_SCHEMA = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("fields", pa.string(), nullable=False),
        pa.field("media", pa.list_(_MEDIUM), nullable=False),
        pa.field("error", pa.string()),
        pa.field("sample", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Request:
    """One checked request; where `error` stands it is not drawn, and `fields` is empty.

    Values of `fields` are plain JSON, and media are a `MediaValue`. With a `sample` only that one
    is drawn.
    """

    request_id: str
    seed: int
    fields: Mapping[str, Any]
    error: str | None = None
    sample: int | None = None


@dataclass(frozen=True)
class Row:
    """Sample number `sample` of a request: what is drawn, counted and indexed."""

    ordinal: int
    request_id: str
    sample: int
    seed: int
    fields: Mapping[str, Any]
    error: str | None


@dataclass(frozen=True)
class LocalShard:
    """A shard in the local folder."""

    path: Path
    first_request: int
    requests: int
    #: Of the requests' fields and media, as a worker holds them.
    data_bytes: int


class _Encoded(NamedTuple):
    """A request as a row of _SCHEMA."""

    request_id: str
    seed: int
    fields: str
    media: list[dict[str, Any]]
    error: str | None
    sample: int | None


def write_shards(
    requests: Iterable[Request],
    folder: Path,
    shard_requests: int = SHARD_REQUESTS,
    shard_bytes: int = SHARD_BYTES,
) -> Iterator[LocalShard]:
    """Writes the requests to `folder` as they come; yields each shard once it is complete."""
    first = 0
    for number, shard in enumerate(_cut(map(_encoded, requests), shard_requests, shard_bytes)):
        path = folder / f"requests-{number:05d}"
        _write(path, shard)
        yield LocalShard(path, first, len(shard), sum(map(_data_bytes, shard)))
        first += len(shard)


def request_bytes(shards: Iterable[LocalShard]) -> int:
    """The bytes of a request, on the average of the shard where they are largest."""
    return max((shard.data_bytes // shard.requests for shard in shards), default=0)


def fail_repeats(shard: LocalShard, errors: Mapping[int, str]) -> list[str]:
    """Makes requests of a shard fail that repeat an id; the ids that they have from now on.

    `errors` is by the index of the request in the job, which is appended to its id.
    """
    requests = list(_requests(_table(shard.path.read_bytes())))
    for index, error in errors.items():
        request = requests[index - shard.first_request]
        requests[index - shard.first_request] = Request(
            f"{request.request_id}#{index}", request.seed, {}, request.error or error
        )
    _write(shard.path, [_encoded(request) for request in requests])
    return [requests[index - shard.first_request].request_id for index in errors]


def read_rows(store: Store, job: Job, unit: Unit) -> list[Row]:
    """The rows of a unit, in order.

    Raises CorruptObject when a shard is not what the job was accepted with.
    """
    samples = job.samples
    first, end = unit.start // samples, (unit.end - 1) // samples + 1
    requests = list(_requests_between(store, job, first, end))
    return [
        _row(ordinal, samples, requests[ordinal // samples - first])
        for ordinal in range(unit.start, unit.end)
    ]


def _requests_between(store: Store, job: Job, first: int, end: int) -> Iterator[Request]:
    number = bisect.bisect_right(job.shards, first, key=lambda shard: shard.first_request) - 1
    while first < end:
        shard = job.shards[number]
        table = _shard_table(store, shard.path, shard.sha256)
        start = first - shard.first_request
        stop = min(end - shard.first_request, shard.requests)
        yield from _requests(table.slice(start, stop - start))
        first = shard.first_request + stop
        number += 1


@lru_cache(maxsize=RECENT_SHARDS)
def _shard_table(store: Store, path: str, sha256: str) -> pa.Table:
    data = store.read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptObject(f"{store.uri_of(path)} is not what the job was accepted with")
    return _table(data)


def _row(ordinal: int, samples: int, request: Request) -> Row:
    return Row(
        ordinal,
        request.request_id,
        ordinal % samples if request.sample is None else request.sample,
        request.seed,
        request.fields,
        request.error,
    )


def _encoded(request: Request) -> _Encoded:
    media = {name: value for name, value in request.fields.items() if isinstance(value, MediaValue)}
    plain = {**request.fields, **dict.fromkeys(media)}
    return _Encoded(
        request.request_id,
        request.seed,
        json.dumps(plain, separators=(",", ":")),
        [{"field": name, "uri": each.uri, "data": each.data} for name, each in media.items()],
        request.error and in_utf8(request.error),
        request.sample,
    )


def _data_bytes(request: _Encoded) -> int:
    return len(request.fields) + sum(len(each["data"]) for each in request.media)


def _cut(
    requests: Iterable[_Encoded], most_requests: int, most_bytes: int
) -> Iterator[list[_Encoded]]:
    shard: list[_Encoded] = []
    held = 0
    for request in requests:
        shard.append(request)
        held += _data_bytes(request)
        if len(shard) == most_requests or held >= most_bytes:
            yield shard
            shard, held = [], 0
    if shard:
        yield shard


def _write(path: Path, requests: Sequence[_Encoded]) -> None:
    columns = zip(*requests, strict=True)
    table = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)],
        schema=_SCHEMA,
    )
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _SCHEMA, options=options) as to:
        to.write_table(table, max_chunksize=BATCH_REQUESTS)


def _table(data: bytes) -> pa.Table:
    return pa.ipc.open_file(pa.BufferReader(data)).read_all()


def _requests(table: pa.Table) -> Iterator[Request]:
    for row in table.to_pylist():
        fields = json.loads(row["fields"])
        for each in row["media"]:
            fields[each["field"]] = MediaValue(each["data"], each["uri"])
        yield Request(row["request_id"], row["seed"], fields, row["error"], row["sample"])
