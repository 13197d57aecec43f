"""The manifest: what became of a finished job, and where it lies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject, NotFound, UsageError
from ancestral.jobs.states import State
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts, Unit


@dataclass(frozen=True)
class Part:
    """One Parquet file of the public table; `path` is relative to the job's output."""

    path: str
    number: int
    outcome: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What became of a job, and where it lies."""

    job_id: str
    name: str
    #: done, done_with_errors or cancelled, and why; see `final_state`.
    state: State
    reason: str
    rows: int
    rows_ok: int
    rows_failed: int
    rows_rejected: int
    rows_cancelled: int
    #: The ranges of rows that nobody drew before the job was cancelled.
    cancelled: tuple[Unit, ...]
    model: str
    model_digest: str
    #: The classes within which the artifacts' bytes are reproducible; one, on a uniform fleet.
    numerics: tuple[str, ...]
    #: The folder of the job's Parquet files, absolute: pandas, pyarrow and DuckDB read it whole.
    index: str
    parts: tuple[Part, ...]
    #: The list of the job's packs, absolute.
    packs: str
    pack_count: int
    pack_bytes: int
    sampling_seconds: float
    #: When the last of the job's rows was committed or cancelled; ISO 8601 in UTC.
    finished_at: str

    @property
    def counts(self) -> RowCounts:
        """How many rows ended in which way."""
        return RowCounts(self.rows_ok, self.rows_failed, self.rows_rejected, self.rows_cancelled)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @staticmethod
    def from_json(data: bytes, uri: str) -> Manifest:
        """Raises CorruptObject when what lies at `uri` is not a manifest of this version."""
        try:
            document = json.loads(data)
            read = {
                "state": State(document["state"]),
                "cancelled": tuple(Unit(**unit) for unit in document["cancelled"]),
                "numerics": tuple(document["numerics"]),
                "parts": tuple(Part(**part) for part in document["parts"]),
            }
            return Manifest(**{**document, **read})
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptObject(f"{uri} is no manifest: {data[:200]!r}") from error


def read_manifest(store: Store, job_id: str) -> Manifest | None:
    """The manifest of a job; None while it is not finished."""
    path = layout.manifest_path(job_id)
    try:
        return Manifest.from_json(store.read(path), store.uri_of(path))
    except NotFound:
        return None


def finished_manifest(store: Store, job_id: str) -> Manifest:
    """The manifest of a job. Raises UsageError while it is not finished."""
    manifest = read_manifest(store, job_id)
    if manifest is None:
        raise UsageError(
            f"job {job_id} is not finished: `ancestral watch {job_id}` waits for whoever draws it, "
            f"`ancestral run --resume {job_id}` draws it here"
        )
    return manifest
