"""Normalised requests at rest: Arrow files of 65,536 requests, read back by the row.

A shard's columns: request_id, seed, fields (canonical JSON), error (null where the request is
sound). Shards are built in a local folder and go to the store when all of the input is known to be
good, so that a refused job never touches its output.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit

#: Requests per shard: some megabytes, the most that a worker reads for one unit.
SHARD_REQUESTS = 65_536

#: Requests per record batch of a shard.
BATCH_REQUESTS = 4096

#: Shards that a process keeps decoded; units are mostly claimed in order.
RECENT_SHARDS = 4

_SCHEMA = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("fields", pa.string(), nullable=False),
        pa.field("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class Request:
    """One checked request; where `error` stands it is not drawn, and `fields` is empty."""

    request_id: str
    seed: int
    fields: Mapping[str, Any]
    error: str | None = None


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


def write_shards(
    requests: Iterable[Request], folder: Path, shard_requests: int = SHARD_REQUESTS
) -> Iterator[LocalShard]:
    """Writes the requests to `folder` as they come; yields each shard once it is complete."""
    source = iter(requests)
    first = 0
    while shard := list(itertools.islice(source, shard_requests)):
        path = folder / f"requests-{first // shard_requests:05d}"
        _write(path, shard)
        yield LocalShard(path, first, len(shard))
        first += len(shard)


def fail_repeats(shard: LocalShard, errors: Mapping[int, str]) -> None:
    """Makes requests of a shard fail that repeat an id, and their ids unique again.

    `errors` is by the index of the request in the job, which is appended to its id.
    """
    requests = list(_requests(_table(shard.path.read_bytes())))
    for index, error in errors.items():
        request = requests[index - shard.first_request]
        requests[index - shard.first_request] = Request(
            f"{request.request_id}#{index}", request.seed, {}, request.error or error
        )
    _write(shard.path, requests)


def read_rows(store: Store, job: Job, unit: Unit) -> list[Row]:
    """The rows of a unit, in order.

    Raises CorruptObject when a shard is not what the job was accepted with.
    """
    samples = job.spec.sampling.samples
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
        table = _shard_table(store.uri, shard.path, shard.sha256)
        start = first - shard.first_request
        stop = min(end - shard.first_request, shard.requests)
        yield from _requests(table.slice(start, stop - start))
        first = shard.first_request + stop
        number += 1


@lru_cache(maxsize=RECENT_SHARDS)
def _shard_table(store_uri: str, path: str, sha256: str) -> pa.Table:
    store = open_store(store_uri)
    data = store.read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptObject(f"{store.uri_of(path)} is not what the job was accepted with")
    return _table(data)


def _row(ordinal: int, samples: int, request: Request) -> Row:
    return Row(
        ordinal,
        request.request_id,
        ordinal % samples,
        request.seed,
        request.fields,
        request.error,
    )


def _write(path: Path, requests: Sequence[Request]) -> None:
    columns = [
        [request.request_id for request in requests],
        [request.seed for request in requests],
        [json.dumps(request.fields, separators=(",", ":")) for request in requests],
        [request.error for request in requests],
    ]
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
        yield Request(row["request_id"], row["seed"], json.loads(row["fields"]), row["error"])
