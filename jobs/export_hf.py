"""A job into a folder that Hugging Face `datasets` opens: its rows, with their artifacts in them.

    README.md                               the card: of which job this is
    data/train-00000-of-00002.parquet       rows that are ok: the index, and the artifacts' bytes
         train-00001-of-00002.parquet
         rejected-00000-of-00001.parquet    rows that a gate rejected, if they were asked for

Every file is created once and has fixed rows, so that an export which was interrupted goes on where
it was, and one that is done again writes nothing. The schema's metadata says under `huggingface`
what each column is; any other reader of Parquet sees the bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ancestral.jobs.bundles import read_file
from ancestral.jobs.errors import AlreadyExists, ModelUnreadable, StoreError, UsageError
from ancestral.jobs.export_rows import SHARD_BYTES, FinishedJob, Outcome, Passed
from ancestral.jobs.results import Artifact
from ancestral.jobs.store import Store, ahead, open_output, open_store

#: Bytes of artifacts in a row group, about: what a reader decodes for one row.
GROUP_BYTES = 16 * 2**20

CARD = "README.md"

#: What `datasets` calls the rows.
SPLITS: dict[Outcome, str] = {"ok": "train", "rejected": "rejected"}

#: An artifact as `datasets` keeps it.
_FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_CARD = """\
---
{front}---

# {title}

Artifacts ({medium}) that the model `{model}` ({family}) drew.

| | |
| --- | --- |
| job | `{job_id}`, submitted {submitted_at}, finished {finished_at} |
| kind | {kind} |
| model | `{model}`, sha256 `{digest}` |
| sampling | {sampling} |
| numerics | {numerics} |
| rows | {rows_ok:,} ok, {rows_rejected:,} rejected by a gate |
| licence of what the model learnt from | {licence} |

Each row has an artifact, what was asked for (`condition_...`), and how likely it is
(`bits_per_dim`).
"""


def export_hf(
    finished: FinishedJob, uri: str, outcomes: Sequence[Outcome], passed: Passed
) -> tuple[str, int]:
    """Where the folder is, and how many rows were written to it.

    Raises UsageError when the job has no artifacts, or the folder holds another dataset, and
    StoreError.
    """
    place = open_output(uri)
    _create_card(finished, place)
    written = 0
    for outcome in outcomes:
        count = finished.rows(outcome)
        rows = finished.artifacts_in(SHARD_BYTES)
        paths = [
            f"data/{SPLITS[outcome]}-{number:05d}-of-{-(-count // rows):05d}.parquet"
            for number in range(-(-count // rows))
        ]
        missing = {path for path in paths if not place.exists(path)}
        if not missing:
            passed(count)
            continue
        for path, table in zip(paths, finished.tables(outcome, rows), strict=True):
            if path in missing:
                with contextlib.suppress(AlreadyExists):
                    place.create(path, _encode(finished, table))
                    written += table.num_rows
            passed(table.num_rows)
    return place.uri, written


def _create_card(finished: FinishedJob, place: Store) -> None:
    """Raises UsageError when the folder has the card of another dataset."""
    card = _card(finished)
    try:
        place.create(CARD, card.encode())
    except AlreadyExists:
        standing = place.read(CARD).decode("utf-8", "replace")
        (of_job,) = (line for line in card.splitlines() if line.startswith("| job |"))
        # The rest of it may have been edited.
        if of_job not in standing.splitlines():
            raise UsageError(
                f"{place.uri_of(CARD)} is of another dataset than of job {finished.job.job_id}: "
                "export to a folder of its own"
            ) from None


def _card(finished: FinishedJob) -> str:
    job, manifest = finished.job, finished.manifest
    told = job.spec.sampling.model_dump(include={"seed", "temperature", "top_k", "top_p"})
    medium = job.signature["medium"]
    front = {"pretty_name": job.spec.name, "tags": ["synthetic", medium]}
    return _CARD.format(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000),
        title=job.spec.name,
        medium=medium,
        model=job.model.name,
        family=job.model.family,
        job_id=job.job_id,
        submitted_at=job.submitted_at,
        finished_at=manifest.finished_at,
        kind=job.spec.kind,
        digest=job.model.digest,
        sampling=", ".join(f"{name} {value}" for name, value in told.items() if value is not None),
        numerics=", ".join(f"`{each}`" for each in manifest.numerics),
        rows_ok=manifest.rows_ok,
        rows_rejected=manifest.rows_rejected,
        licence=_licence(job.model.uri),
    )


def _licence(model: str) -> str:
    """What the model's card says of it."""
    with contextlib.suppress(ModelUnreadable, StoreError):
        card = read_file(open_store(model), "card.md").decode("utf-8", "replace")
        if said := re.search(r"Licence: (.+)", card):
            return said[1]
    return "not stated"


def _encode(finished: FinishedJob, rows: pa.Table) -> memoryview:
    """The rows with their artifacts, as Parquet."""
    sink = pa.BufferOutputStream()
    medium = _medium_field(finished)
    columns = _with_features(finished, pa.schema([*rows.schema.remove_metadata(), medium]))
    group = finished.artifacts_in(GROUP_BYTES)
    with pq.ParquetWriter(sink, columns, compression="zstd") as writer:
        for start in range(0, rows.num_rows, group):
            piece = rows.slice(start, group)
            artifacts = pa.array(_artifacts(finished, piece), medium.type)
            writer.write_table(piece.append_column(medium, artifacts).cast(columns))
    return memoryview(sink.getvalue())


def _artifacts(finished: FinishedJob, rows: pa.Table) -> Iterator[Any]:
    """Of each row, as its column holds it."""
    artifacts = (Artifact(row, finished.store) for row in rows.to_pylist())
    for artifact, data in ahead(lambda each: (each, each.bytes()), artifacts):
        if finished.job.signature["medium"] == "series":
            yield np.load(io.BytesIO(data), allow_pickle=False)
        else:
            yield {"bytes": data, "path": artifact.file_name}


def _medium_field(finished: FinishedJob) -> pa.Field:
    """The column of the artifacts, called image, audio, video or series."""
    medium = finished.job.signature["medium"]
    return pa.field(medium, pa.list_(pa.float64()) if medium == "series" else _FILE)


def _with_features(finished: FinishedJob, columns: pa.Schema) -> pa.Schema:
    """The columns, with what `datasets` is to make of each."""
    features = {field.name: _feature(field.type) for field in columns}
    medium = finished.job.signature["medium"]
    match medium:
        case "image":
            features[medium] = {"_type": "Image"}
        case "audio":
            rate = finished.job.signature["sample_rate_hz"]
            features[medium] = {"_type": "Audio", "sampling_rate": rate}
        case "video":
            # An animated WebP is an image to `datasets`, which opens it by Pillow.
            moving = finished.job.spec.media.video == "mp4"
            features[medium] = {"_type": "Video" if moving else "Image"}
    metadata = json.dumps({"info": {"features": features}})
    return columns.with_metadata({"huggingface": metadata})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"_type": "List", "feature": _feature(kind.value_type)}
    return {"_type": "Value", "dtype": {"double": "float64"}.get(str(kind), str(kind))}
