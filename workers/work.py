"""What travels inside a worker: a unit under way, its rows, and the models that draw them.

A worker takes anything that draws as `WarmModels` do; `samplers.py` makes them from bundles.
"""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np

from ancestral.jobs.ledger import Ledger
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job, Sampling
from ancestral.jobs.store import Store
from ancestral.workers.encode import Encoded
from ancestral.workers.held import Hold


class Drawn(Protocol):
    """A finished row of a model: `symbols` in the event's shape, its likelihood in nats, what went
    wrong with it (None: nothing), its share of the sampler's time in seconds, and how many of its
    symbols the likelihood counts: those that were not given."""

    @property
    def key(self) -> Hashable: ...
    @property
    def symbols(self) -> np.ndarray: ...
    @property
    def log_likelihood_nats(self) -> float: ...
    @property
    def error(self) -> str | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def drawn(self) -> int: ...


class WarmModel(Protocol):
    """A model on a device, with its slots."""

    @property
    def numerics(self) -> str:
        """The class of processor, backend and dtype within which bytes are equal."""

    @property
    def free(self) -> int:
        """Rows that can be admitted now."""

    @property
    def steps(self) -> int:
        """Positions advanced so far; only ever rises."""

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> int:
        """Begin drawing a row; `key` comes back with it. Returns how many `steps` pass at most
        until it has ended, whatever the other rows are. Raises RowRefused, and SlotsLost."""

    def drop(self, key: Hashable) -> None:
        """Draw a row that was admitted no further: its slot is free. Other rows do not change."""

    def advance(self) -> Sequence[Drawn]:
        """Draw for a moment; the rows that ended with it.

        Raises SlotsLost when all rows in slots are to be admitted anew, this time fewer at once.
        """

    def to_media(self, symbols: np.ndarray) -> np.ndarray:
        """What the symbols stand for, as an array of the model's medium; `encode.py` lists them."""


class WarmModels(Protocol):
    """The models that this worker has loaded."""

    @property
    def device(self) -> str:
        """The one that they are on, like "cpu" or "cuda:0"."""

    @property
    def slots(self) -> int:
        """Rows that one model draws at the same time, at most; it may change as models come."""

    def get(self, job: Job) -> WarmModel:
        """The job's model, loaded if it is not. Called from another thread than the models are.

        Raises JobRefused when the job asks for what cannot be done here.
        """

    def forget(self, model: WarmModel) -> None:
        """This model broke; load it anew when it is asked for again."""


@dataclass(frozen=True)
class OpenJob:
    """A job with its doors open: its spec, its store, and what was decided of it."""

    job: Job
    store: Store
    ledger: Ledger


@dataclass(frozen=True)
class Outcome:
    """What became of one row. `row.fields` are as the index tells them, without the bytes of media.

    status: "ok", "failed" or "rejected". A failed row has no artifact, a rejected one keeps it; a
    row that was only scored is ok without one.
    """

    row: Row
    status: str
    #: Aware, in UTC.
    ended_at: datetime
    error: str | None = None
    artifact: Encoded | None = None
    symbols_sha256: str | None = None
    log_likelihood_nats: float | None = None
    bits_per_dim: float | None = None
    sampling_seconds: float | None = None


@dataclass(eq=False)
class Work:
    """One attempt at one unit. `model` is None when nothing is left to draw."""

    hold: Hold
    opened: OpenJob
    #: The unit's rows; emptied when they are lined up, so that each is freed once it is written.
    rows: Sequence[Row]
    model: WarmModel | None
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: By ordinal, as the rows end (the writing thread's own).
    outcomes: dict[int, Outcome] = field(default_factory=dict)
