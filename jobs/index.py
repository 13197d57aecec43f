"""The index: one row of facts per row of a job, its schema as data.

A worker writes the rows of a unit as one Arrow file (a part); the finaliser compacts parts to
Parquet. Field numbers never change and are never given twice, so that a table that outlives several
versions of this file keeps its columns apart from their names: Parquet's field ids are these.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import pyarrow as pa

from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.fields import told
from ancestral.jobs.records import STATUS_LETTERS, RowsRecord, read_verified
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.wording import in_utf8


@dataclass(frozen=True)
class Field:
    """One column: its number for ever, its name, type and meaning."""

    number: int
    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = True


_TEXT, _WHOLE, _SMALL, _REAL = pa.string(), pa.int64(), pa.int32(), pa.float64()

#: Columns that are a function of the request, the model and the settings: equal in every attempt
#: within one numerics class, except `uri` and `offset`, which say where this attempt's artifact
#: lies.
IDENTITY_FIELDS = (
    Field(1, "request_id", _TEXT, "the requester's name of the request", nullable=False),
    Field(2, "sample", _SMALL, "which of the request's samples, from 0", nullable=False),
    Field(3, "ordinal", _WHOLE, "the number of the row in its job, from 0", nullable=False),
    Field(4, "job_id", _TEXT, "the job", nullable=False),
    Field(
        5,
        "status",
        _TEXT,
        "ok, failed (not drawn), rejected (by a gate) or cancelled",
        nullable=False,
    ),
    Field(6, "error", _TEXT, "why the row is not ok"),
    Field(7, "kind", _TEXT, "what the job does, such as generate", nullable=False),
    Field(8, "model", _TEXT, "the model's name", nullable=False),
    Field(9, "model_digest", _TEXT, "sha256 that pins the model", nullable=False),
    Field(10, "numerics", _TEXT, "class within which bytes are reproducible", nullable=False),
    Field(11, "media_type", _TEXT, "of the artifact, such as image/png"),
    Field(12, "uri", _TEXT, "absolute; the object that holds the artifact"),
    Field(13, "offset", _WHOLE, "the artifact's first byte in that object"),
    Field(14, "length", _WHOLE, "the artifact's size in bytes"),
    Field(15, "sha256", _TEXT, "of the artifact's bytes"),
    Field(16, "symbols_sha256", _TEXT, "of the symbols as they were drawn"),
    Field(17, "width", _SMALL, "pixels"),
    Field(18, "height", _SMALL, "pixels"),
    Field(19, "channels", _SMALL, "numbers of a pixel, or channels of a sound"),
    Field(20, "frames", _WHOLE, "samples of a sound, pictures of a clip, values of a series"),
    Field(21, "sample_rate_hz", _SMALL, "audio samples per second"),
    Field(22, "duration_seconds", _REAL, "of a sound or a clip"),
    Field(23, "seed", _WHOLE, "the request's seed", nullable=False),
    Field(24, "temperature", _REAL, "of sampling", nullable=False),
    Field(25, "top_k", _SMALL, "of sampling; null is all symbols"),
    Field(26, "top_p", _REAL, "of sampling; null is all symbols"),
    Field(27, "conditioning", _TEXT, "the request's fields as JSON", nullable=False),
    Field(28, "log_likelihood_nats", _REAL, "of the artifact under the unadjusted model"),
    Field(29, "likelihood_kind", _TEXT, "exact, joint, bound or density"),
    Field(30, "bits_per_dim", _REAL, "negative log2-likelihood per drawn symbol"),
)

#: Columns that may differ between two attempts at the same row.
ATTEMPT_FIELDS = (
    Field(31, "worker", _TEXT, "who drew it", nullable=False),
    Field(32, "device", _TEXT, "on what", nullable=False),
    Field(33, "attempt", _TEXT, "uuid of the attempt that was committed", nullable=False),
    Field(34, "created_at", pa.timestamp("us", tz="UTC"), "when it was drawn", nullable=False),
    Field(35, "sampling_seconds", _REAL, "its share of the time of the sampler that drew it"),
)

#: The columns `condition_<field>` are numbered from here on.
FIRST_CONDITION_NUMBER = 1001

CONDITION_PREFIX = "condition_"

#: What stands in place of a device, numerics and the like where nothing was drawn.
NOTHING = "none"


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """One row of the index; the fields are IDENTITY_FIELDS and ATTEMPT_FIELDS, described there.

    `conditioning` is the mapping itself; JSON and the typed columns are made from it, with the
    sha256 of media and maps in place of their bytes and numbers.
    """

    request_id: str
    sample: int
    ordinal: int
    job_id: str
    status: str
    kind: str
    model: str
    model_digest: str
    numerics: str
    seed: int
    temperature: float
    conditioning: Mapping[str, Any]
    worker: str
    device: str
    attempt: str
    created_at: datetime
    error: str | None = None
    media_type: str | None = None
    uri: str | None = None
    offset: int | None = None
    length: int | None = None
    sha256: str | None = None
    symbols_sha256: str | None = None
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    frames: int | None = None
    sample_rate_hz: int | None = None
    duration_seconds: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    log_likelihood_nats: float | None = None
    likelihood_kind: str | None = None
    bits_per_dim: float | None = None
    sampling_seconds: float | None = None


def asked(job: Job, row: Row) -> dict[str, Any]:
    """What the index tells of a row of which nothing is known but what was asked for."""
    sampling = job.spec.sampling
    return {
        "request_id": row.request_id,
        "sample": row.sample,
        "ordinal": row.ordinal,
        "job_id": job.job_id,
        "kind": job.spec.kind,
        "model": job.model.name,
        "model_digest": job.model.digest,
        "seed": row.seed,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "conditioning": row.fields,
    }


def schema(signature: Mapping[str, Any]) -> pa.Schema:
    """The columns of the index of a job whose model has this signature."""
    conditions = [
        Field(
            _condition_number(name),
            CONDITION_PREFIX + name,
            _condition_type(field),
            field.get("description", f"the request's {name}"),
        )
        for name, field in signature["fields"].items()
    ]
    return pa.schema(
        [
            pa.field(
                field.name,
                field.type,
                field.nullable,
                # Under the first key Parquet keeps the number as the column's field id.
                {"PARQUET:field_id": str(field.number), "meaning": field.meaning},
            )
            for field in (*IDENTITY_FIELDS, *conditions, *ATTEMPT_FIELDS)
        ]
    )


def to_table(rows: Sequence[IndexRow], signature: Mapping[str, Any]) -> pa.Table:
    """The rows, sorted by ordinal, in the columns of the index.

    The conditioning of a row that was recorded as failed may be empty; its columns are null then.
    """
    rows = sorted(rows, key=lambda row: row.ordinal)
    columns: dict[str, list[Any]] = {
        field.name: [getattr(row, field.name) for row in rows] for field in fields(IndexRow)
    }
    conditioning = [told(signature["fields"], row.conditioning) for row in rows]
    columns["conditioning"] = [_json(each) for each in conditioning]
    columns["error"] = [row.error and in_utf8(row.error) for row in rows]
    for name, field in signature["fields"].items():
        columns[CONDITION_PREFIX + name] = [_cell(field, each.get(name)) for each in conditioning]
    table = pa.Table.from_pydict(columns, schema=schema(signature))
    for column, field in zip(table.columns, table.schema, strict=True):
        # Once it is committed it could not be mended, and Parquet would refuse it.
        if column.null_count and not field.nullable:
            raise ValueError(f"an index row has no {field.name}")
    return table


def encode_part(rows: Sequence[IndexRow], signature: Mapping[str, Any]) -> bytes:
    """The rows, sorted by ordinal, as an Arrow file; equal rows give equal bytes."""
    table = to_table(rows, signature)
    sink = pa.BufferOutputStream()
    # Threads of Arrow's would take longer to wake than such small columns take.
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def decode_part(data: bytes) -> pa.Table:
    """What `encode_part` wrote. Raises CorruptObject when it is something else."""
    try:
        with pa.ipc.open_file(data) as reader:
            return reader.read_all()
    except (pa.ArrowException, OSError) as error:
        raise CorruptObject(f"this is no part of an index: {data[:20]!r}") from error


def read_part(store: Store, record: RowsRecord, signature: Mapping[str, Any]) -> pa.Table:
    """The index rows that a record stands for, by rising ordinals.

    Raises CorruptObject when the part is not the one that was committed, or not as the record says.
    """
    table = decode_part(read_verified(store, record.index_part))
    uri = store.uri_of(record.index_part.path)
    if not table.schema.equals(schema(signature)):
        raise CorruptObject(f"{uri} does not have the columns of this version's index")
    if table["ordinal"].to_pylist() != list(range(record.start, record.end)):
        raise CorruptObject(f"{uri} does not hold the rows [{record.start}, {record.end})")
    statuses = (STATUS_LETTERS.get(status, "?") for status in table["status"].to_pylist())
    if "".join(statuses) != record.statuses:
        raise CorruptObject(f"{uri} and its range record tell different statuses")
    return table


def _condition_number(name: str) -> int:
    # A function of the name alone: jobs of other kinds and models, whose fields stand at other
    # places, lie in the same table.
    return FIRST_CONDITION_NUMBER + zlib.crc32(name.encode()) % 2**30


def _condition_type(field: Mapping[str, Any]) -> pa.DataType:
    match field["type"]:
        case "integer":
            return _WHOLE
        case "number":
            return _REAL
        case "vector":
            return pa.list_(_REAL)
        case "category" if all(isinstance(value, int) for value in field["values"]):
            return _WHOLE
        case _:
            return _TEXT


def _cell(field: Mapping[str, Any], value: Any) -> object:
    """A value of the conditioning, as it is told, in its typed column."""
    if isinstance(value, dict):
        return value["sha256"]
    text = value is not None and _condition_type(field) == _TEXT
    return str(value) if text else value


def _json(conditioning: Mapping[str, Any]) -> str:
    return json.dumps(conditioning, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
