"""Is an artifact a function of its request? Rows of a finished job, drawn again and compared.

    some rows of the public table ─┬─ drawn in this class of numerics ──▶ drawn again: equal?
                                   └─ in another: not comparable

It takes nothing but the store and the model, and writes nothing: what is drawn is encoded, its
digests are compared, and it is forgotten.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ancestral.jobs.client import Client
from ancestral.jobs.errors import UsageError
from ancestral.jobs.lot import choose, rows_drawn
from ancestral.jobs.manifest import finished_manifest
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.sameness import DRAWN
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import OnProgress, Unit
from ancestral.workers.drawing import draw, model_for
from ancestral.workers.outcomes import outcome_of
from ancestral.workers.work import Outcome, WarmModel

#: Rows that differ which are named; all are counted.
DIFFERENT_KEPT = 100

#: Columns of the index that tell what was drawn of a row.
_COMPARED = ("status", *DRAWN)


@dataclass(frozen=True)
class Difference:
    """A row that is not what it was, and in which columns of the index; `error` is why it is not ok
    now, if it is not."""

    request_id: str
    sample: int
    ordinal: int
    columns: tuple[str, ...]
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What came of drawing rows of a job again."""

    job_id: str
    #: Of the job, those of them that were drawn, and those of these that were chosen.
    rows: int
    rows_drawn: int
    chosen: int
    compared: int
    equal: int
    #: The first hundred that are not; `compared` and `equal` count them all.
    different: tuple[Difference, ...]
    #: Chosen rows that were drawn in another class of numerics than here, and how many in which.
    not_comparable: int
    numerics_elsewhere: dict[str, int]
    #: The class in which rows were drawn here.
    numerics: str

    @property
    def verified(self) -> bool:
        """Whether rows were compared, and all are what they were."""
        return 0 < self.compared == self.equal


def verify(
    job_id: str,
    *,
    fraction: float = 0.01,
    seed: int = 0,
    settings: Settings | None = None,
    device: str = "cpu",
    progress: OnProgress | None = None,
) -> Verification:
    """Draw a share of a finished job's rows again, at least one, and compare them with its index:
    the digests of artifacts and symbols, and likelihoods.

    Rows that failed or were cancelled have nothing to compare, and are not chosen. The same `seed`
    chooses the same rows. `settings` are the environment's by default.

    Raises UsageError (UnknownJob, ModelUnreadable) when there is no such job, when it is not
    finished or its model is gone; JobRefused when this device does not draw it; and StoreError.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"the fraction of rows should be above 0 and at most 1, not {fraction}")
    client = Client(settings)
    store, job = client.opened(job_id)
    manifest = finished_manifest(store, job_id)
    model = model_for(client.registry, job, device)
    rows = rows_drawn(manifest)
    chosen = min(rows, max(1, round(fraction * rows)))
    check = _Check(store, job, model)
    columns = ("request_id", "sample", "ordinal", "numerics", *_COMPARED)
    told = choose(store, manifest, chosen, seed, columns)
    for looked_at in check.look_at(told):
        if progress is not None and chosen:
            progress(looked_at, chosen)
    return Verification(
        job_id=job_id,
        rows=job.rows,
        rows_drawn=rows,
        chosen=chosen,
        compared=check.compared,
        equal=check.equal,
        different=tuple(check.different),
        not_comparable=check.elsewhere.total(),
        numerics_elsewhere=dict(check.elsewhere),
        numerics=model.numerics,
    )


class _Check:
    """Compares rows of the index with what a model draws, and counts them."""

    def __init__(self, store: Store, job: Job, model: WarmModel) -> None:
        self._store = store
        self._job = job
        self._model = model
        #: The index of the rows that are being drawn, by ordinal.
        self._told: dict[int, dict[str, Any]] = {}
        self.compared = 0
        self.equal = 0
        self.different: list[Difference] = []
        #: Rows that were drawn in other classes of numerics.
        self.elsewhere: Counter[str] = Counter()

    def look_at(self, told: Iterable[dict[str, Any]]) -> Iterator[int]:
        """Yields now and then how many rows are behind it."""
        rows = self._comparable(told)
        for row, drawn, error in draw(self._model, self._job.spec.sampling, rows):
            self._compare(outcome_of(self._job, self._model, row, drawn, error))
            yield self.compared + self.elsewhere.total()
        # The last ones may have been none to draw.
        yield self.compared + self.elsewhere.total()

    def _comparable(self, told: Iterable[dict[str, Any]]) -> Iterator[Row]:
        """The rows to be drawn, as they were asked for."""
        for each in told:
            if each["numerics"] != self._model.numerics:
                self.elsewhere[each["numerics"]] += 1
                continue
            ordinal = each["ordinal"]
            self._told[ordinal] = each
            yield from read_rows(self._store, self._job, Unit(ordinal, ordinal + 1))

    def _compare(self, outcome: Outcome) -> None:
        row, artifact = outcome.row, outcome.artifact
        told = self._told.pop(row.ordinal)
        found = {
            "status": outcome.status,
            "symbols_sha256": outcome.symbols_sha256,
            "sha256": artifact and hashlib.sha256(artifact.data).hexdigest(),
            "log_likelihood_nats": outcome.log_likelihood_nats,
        }
        differing = tuple(name for name in _COMPARED if found[name] != told[name])
        self.compared += 1
        if not differing:
            self.equal += 1
        elif len(self.different) < DIFFERENT_KEPT:
            difference = Difference(
                told["request_id"], told["sample"], row.ordinal, differing, outcome.error
            )
            self.different.append(difference)
