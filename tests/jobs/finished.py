"""Jobs that are drawn and published, with artifacts and packs as a test says."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ancestral.jobs import layout
from ancestral.jobs.finalise import finalise
from ancestral.jobs.index import IndexRow
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.deciding import STATUSES, decide_by, fields_of, lay_down, make_job, make_row

MOMENT = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)


def image(ordinal: int) -> bytes:
    """The artifact of a row, of the same length for each up to 99."""
    return f"image {ordinal:02d}".encode()


def finished(
    store: Store,
    statuses: str,
    *,
    job_id: str = "digits-1",
    unit_rows: int = 4,
    kind: str = "generate",
    signature: Mapping[str, Any] | None = None,
    conditioning: Callable[[int], dict[str, Any]] = fields_of,
    media_type: str = "image/png",
    media: Mapping[str, str] | None = None,
    artifact: Callable[[int], bytes] = image,
) -> Job:
    """A published job, of which each row ended by its letter."""
    job = make_job(len(statuses), unit_rows, job_id, output=store.uri)
    spec = {"kind": kind, "media": job.spec.media.model_copy(update=dict(media or {}))}
    job = job.model_copy(
        update={
            "spec": job.spec.model_copy(update=spec),
            "signature": dict(signature or job.signature),
        }
    )
    job = lay_down(store, job)
    for unit in job.units():
        _decide(
            store, job, unit, statuses[unit.start : unit.end], conditioning, media_type, artifact
        )
    finalise(store, job.job_id)
    return job


def _decide(
    store: Store,
    job: Job,
    unit: Unit,
    statuses: str,
    conditioning: Callable[[int], dict[str, Any]],
    media_type: str,
    artifact: Callable[[int], bytes],
) -> None:
    attempt = f"{unit.start:032x}"
    pack_path = layout.pack_path(job.job_id, unit, attempt)
    scored = job.spec.kind == "score"
    pack = bytearray()
    rows: list[IndexRow] = []
    for ordinal, letter in zip(range(unit.start, unit.end), statuses, strict=True):
        about: dict[str, Any] = {"conditioning": conditioning(ordinal), "kind": job.spec.kind}
        if letter != "o":
            about |= {"status": STATUSES[letter], "error": "no luck"}
        if letter != "f" and not scored:
            data = artifact(ordinal)
            offset = _add(pack, f"{ordinal:012d}.{media_type.partition('/')[2]}", data)
            _add(pack, f"{ordinal:012d}.json", json.dumps({"row": ordinal}).encode())
            about |= {
                "media_type": media_type,
                "uri": store.uri_of(pack_path),
                "offset": offset,
                "length": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        rows.append(make_row(job, ordinal, attempt=attempt, **about))
    pack += bytes(2 * tarfile.BLOCKSIZE)
    whole = None if scored else bytes(pack)
    decide_by(store, job, unit, rows, whole, statuses, attempt, MOMENT)


def _add(pack: bytearray, name: str, data: bytes) -> int:
    """A member at the end of a tar; where its bytes begin."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    pack += header.tobuf(tarfile.USTAR_FORMAT)
    offset = len(pack)
    pack += data + bytes(-len(data) % tarfile.BLOCKSIZE)
    return offset


def members(tar: bytes) -> dict[str, bytes]:
    """What is in a tar, by name."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        return {each.name: file.extractfile(each).read() for each in file}  # type: ignore[union-attr]
