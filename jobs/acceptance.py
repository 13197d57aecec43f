"""Acceptance: how a spec becomes a job, at once or not at all.

    settings fit ─► output is writable ─► requests, read and checked ─► shards ─► key is ours
        ─► spec.json: now the job is accepted

What goes wrong before spec.json removes the shards again. An idempotency key is taken in the state
store just before spec.json and stands for one spec for ever; its job's id is made from the key, so
that whoever comes with the same key and spec finds the job, or brings it to its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from ancestral.jobs import layout
from ancestral.jobs.errors import (
    AlreadyExists,
    ConflictError,
    CorruptObject,
    NotFound,
    SpecError,
    StoreError,
)
from ancestral.jobs.kinds import signature_of
from ancestral.jobs.registry import ModelEntry
from ancestral.jobs.request_shards import LocalShard, request_bytes
from ancestral.jobs.requests import PreparedRequests, prepare_requests
from ancestral.jobs.scratch import keeping, scratch_folder, staging
from ancestral.jobs.signature import check_settings
from ancestral.jobs.spec import Job, JobSpec, ModelReference, Shard, accepted_job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import MOST_UNITS, default_unit_rows

#: Of a job, requests times samples.
MOST_ROWS = 10**10


def accept(
    spec: JobSpec,
    model: ModelEntry,
    state: Store,
    progress: Callable[[int], None] | None = None,
) -> Job:
    """The accepted job of a spec whose paths are absolute; `progress` as in `prepare_requests`.

    Raises SpecError, RequestsInvalid, ConflictError and StoreError.
    """
    signature = signature_of(model.signature, spec.kind)
    check_settings(signature, spec)
    store = open_store(spec.output)
    store.probe()
    with staging() as folder, contextlib.ExitStack() as undo:
        prepared = prepare_requests(spec, signature, folder, progress)
        now = datetime.now(UTC)
        job_id = _job_id(spec, now)
        shards = upload(store, job_id, prepared.shards, undo)
        job = _job(spec, model, signature, job_id, prepared, shards, now)
        if spec.idempotency_key is not None:
            _take_key(state, spec, job_id)
        standing = create(store, job, undo)
    if standing.spec.body() != spec.body():
        raise _conflict(spec, job_id)
    return standing


@contextlib.contextmanager
def draft(spec: JobSpec, model: ModelEntry) -> Iterator[tuple[Job, Store]]:
    """The job that a spec would become, checked to the last row, and a store with its requests: a
    folder of this machine, which is gone afterwards.

    Whether its output can be written is not tried. Raises SpecError, RequestsInvalid and
    StoreDenied.
    """
    signature = signature_of(model.signature, spec.kind)
    check_settings(signature, spec)
    with scratch_folder() as folder:
        with keeping():
            prepared = prepare_requests(spec, signature, folder)
            shards = tuple(
                Shard(
                    path=shard.path.name,
                    first_request=shard.first_request,
                    requests=shard.requests,
                    sha256=hashlib.sha256(shard.path.read_bytes()).hexdigest(),
                )
                for shard in prepared.shards
            )
        # Its name is what it can be called by: it has no id before it is accepted.
        job = _job(spec, model, signature, spec.name, prepared, shards, datetime.now(UTC))
        yield job, open_store(str(folder))


def standing_job(spec: JobSpec, state: Store) -> Job | None:
    """The job that already has the spec's idempotency key; None if there is none, or no key.

    Raises ConflictError when the key stands for another spec.
    """
    if spec.idempotency_key is None:
        return None
    try:
        holder = read_pointer(state, layout.state_key_path(spec.idempotency_key))
    except NotFound:
        return None
    _check_holder(spec, holder)
    # Without a spec.json the holder was stopped on the way: the same job is to be accepted yet.
    return read_job(open_store(holder["output"]), holder["job_id"])


def read_job(store: Store, job_id: str) -> Job | None:
    """The job of that id in its output; None if there is none."""
    try:
        return accepted_job(store, job_id)
    except NotFound:
        return None


def read_pointer(state: Store, path: str) -> dict[str, str]:
    """A small object of the state store. Raises NotFound and CorruptObject."""
    try:
        pointer = json.loads(state.read(path))
    except ValueError as error:
        raise CorruptObject(f"{state.uri_of(path)} is not JSON") from error
    if not isinstance(pointer, dict) or not isinstance(pointer.get("output"), str):
        raise CorruptObject(f"{state.uri_of(path)} does not name an output")
    return pointer


def upload(
    store: Store, job_id: str, local: Iterable[LocalShard], undo: contextlib.ExitStack
) -> tuple[Shard, ...]:
    """Put the shards of a job to be into its store; closing `undo` removes them again."""
    submit = uuid.uuid4().hex
    shards = []
    for number, shard in enumerate(local):
        path = layout.shard_path(job_id, submit, number)
        data = shard.path.read_bytes()
        undo.callback(_delete, store, path)
        store.create(path, data)
        shards.append(
            Shard(
                path=path,
                first_request=shard.first_request,
                requests=shard.requests,
                sha256=hashlib.sha256(data).hexdigest(),
            )
        )
    return tuple(shards)


def create(store: Store, job: Job, undo: contextlib.ExitStack) -> Job:
    """Create spec.json, and return the job that stands there: another one than `job` if it came
    first, and then `undo` is closed."""
    # A creation that fails may have succeeded all the same, its answer lost on the way: from here
    # on shards are removed only when another job is seen to stand there.
    shards_written = undo.pop_all()
    try:
        store.create(layout.spec_path(job.job_id), job.to_json())
    except AlreadyExists:
        standing = accepted_job(store, job.job_id)
        if standing != job:
            shards_written.close()
        return standing
    return job


def _job_id(spec: JobSpec, submitted_at: datetime) -> str:
    """Like 20261122-153012-digits-1a2b3c4d, and digits-1a2b3c4d5e6f7a8b with a key."""
    name = re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-")[:40] or "job"
    if spec.idempotency_key is not None:
        return f"{name}-{hashlib.sha256(spec.idempotency_key.encode()).hexdigest()[:16]}"
    return f"{submitted_at:%Y%m%d-%H%M%S}-{name}-{uuid.uuid4().hex[:8]}"


def _delete(store: Store, path: str) -> None:
    # What made us undo the submission matters more than what is in the way of undoing it.
    with contextlib.suppress(StoreError):
        store.delete(path)


def _job(
    spec: JobSpec,
    model: ModelEntry,
    signature: dict[str, Any],
    job_id: str,
    prepared: PreparedRequests,
    shards: tuple[Shard, ...],
    submitted_at: datetime,
) -> Job:
    rows = prepared.requests * spec.sampling.samples
    return Job(
        job_id=job_id,
        spec=spec,
        model=ModelReference(
            name=model.name, uri=model.uri, digest=model.digest, family=model.family
        ),
        signature=signature,
        requests=prepared.requests,
        rows=rows,
        unit_rows=_unit_rows(spec, rows, request_bytes(prepared.shards)),
        shards=shards,
        inputs=prepared.inputs,
        submitted_at=f"{submitted_at:%Y-%m-%dT%H:%M:%SZ}",
    )


def _unit_rows(spec: JobSpec, rows: int, of_request: int) -> int:
    if rows > MOST_ROWS:
        raise SpecError(
            f"{rows // spec.sampling.samples:,} requests of {spec.sampling.samples:,} samples are "
            f"{rows:,} rows, of which a job has at most {MOST_ROWS:,}: submit several"
        )
    unit_rows = spec.unit.rows or default_unit_rows(rows, of_request // spec.sampling.samples)
    if rows > unit_rows * MOST_UNITS:
        raise SpecError(
            f"units of {unit_rows:,} rows make more than {MOST_UNITS:,} of {rows:,} rows: leave "
            "'unit.rows' out, or make them larger"
        )
    return unit_rows


def _take_key(state: Store, spec: JobSpec, job_id: str) -> None:
    assert spec.idempotency_key is not None
    path = layout.state_key_path(spec.idempotency_key)
    holder = {"job_id": job_id, "output": spec.output, "body_sha256": _body_sha256(spec)}
    try:
        state.create(path, json.dumps(holder).encode())
    except AlreadyExists:
        _check_holder(spec, read_pointer(state, path))


def _check_holder(spec: JobSpec, holder: dict[str, Any]) -> None:
    if holder.get("body_sha256") != _body_sha256(spec):
        raise _conflict(spec, holder["job_id"])


def _conflict(spec: JobSpec, job_id: str) -> ConflictError:
    return ConflictError(
        f"the idempotency key {spec.idempotency_key!r} belongs to {job_id}, which was submitted "
        "with another spec: take another key, or submit the same spec"
    )


def _body_sha256(spec: JobSpec) -> str:
    return hashlib.sha256(spec.body()).hexdigest()
