"""What becomes of a row that has ended, before anything is written.

a row's symbols → media → artifact → gate; of a score job, its likelihood alone
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from ancestral.jobs.fields import told
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job, Sampling
from ancestral.workers.encode import encode
from ancestral.workers.errors import EncodeError
from ancestral.workers.gates import check
from ancestral.workers.metadata import canonical_json
from ancestral.workers.work import Drawn, Outcome, WarmModel


def outcome_of(
    job: Job, model: WarmModel | None, row: Row, drawn: Drawn | None, error: str | None
) -> Outcome:
    """Encode and gate one row, drawn by `model`, or not to be drawn because of `error`. What cannot
    be encoded is a failed row.

    Of the media that the row gave nothing is kept but what is told of them.
    """
    now = datetime.now(UTC)
    row = replace(row, fields=told(job.signature["fields"], row.fields))
    if drawn is None or model is None or error is not None:
        return Outcome(row, "failed", now, error)
    artifact = reason = None
    if job.spec.kind != "score":
        media = model.to_media(drawn.symbols)
        try:
            artifact = encode(job.signature, media, _metadata(job, row), job.spec.media)
        except EncodeError as problem:
            return Outcome(row, "failed", now, str(problem))
        reason = check(job.signature, media, drawn.symbols, job.spec.gates)
    return Outcome(
        row,
        "ok" if reason is None else "rejected",
        now,
        reason,
        artifact,
        symbols_sha256=_symbols_sha256(drawn.symbols),
        log_likelihood_nats=drawn.log_likelihood_nats,
        bits_per_dim=-drawn.log_likelihood_nats / (math.log(2) * drawn.drawn),
        sampling_seconds=drawn.seconds,
    )


def _metadata(job: Job, row: Row) -> dict[str, str]:
    """What an artifact tells of itself: all that it is a function of but its conditioning."""
    return {
        "model": job.model.digest,
        "seed": str(row.seed),
        "sample": str(row.sample),
        "settings": _settings(job.spec.sampling),
    }


@lru_cache
def _settings(sampling: Sampling) -> str:
    """The settings of all rows of a job, as JSON."""
    settings = sampling.model_dump(mode="json", include={"temperature", "top_k", "top_p"})
    return canonical_json(settings)


def _symbols_sha256(symbols: np.ndarray) -> str:
    """Of the symbols in raster order, as 16-bit integers, or doubles for real ones, lowest byte
    first, whatever type holds them."""
    stored = "<f8" if symbols.dtype.kind == "f" else "<u2"
    return hashlib.sha256(np.ascontiguousarray(symbols, dtype=stored).tobytes()).hexdigest()
