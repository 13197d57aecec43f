"""Rows of finished jobs, drawn again by real networks and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.errors import UnknownJob, UsageError
from ancestral.jobs.finalise import finalise
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.workers import verification
from ancestral.workers.errors import JobRefused
from ancestral.workers.here import run_here
from ancestral.workers.samplers import WarmSamplers
from ancestral.workers.verification import Difference, Verification, verify
from ancestral.workers.worker import Worker
from tests.jobs.published import retell
from tests.workers.fakes import QUICK
from tests.workers.toys import Toys


class Place(Toys):
    """Where jobs are drawn and verified."""

    sampling: ClassVar = {"seed": 7, "samples": 3, "temperature": 0.9}

    def finished(self, model: str, **given: Any) -> str:
        """The id of a job that is drawn and published."""
        before = self.client.jobs()
        run_here(self.spec(model, **given), settings=self.settings, slots=4)
        (job_id,) = set(self.client.jobs()) - set(before)
        return job_id

    def retell(self, job_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        retell(self.client.store(job_id), job_id, change)

    def verify(self, job_id: str, fraction: float = 1.0, **given: Any) -> Verification:
        return verify(job_id, fraction=fraction, settings=self.settings, **given)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def drawn(place: Place) -> str:
    return place.finished("images")


@pytest.fixture
def images(place: Place, drawn: str) -> Iterator[str]:
    """A job of nine images; what it is told to be is true again afterwards."""
    store = place.client.store(drawn)
    before = {path: store.read(path) for path in store.list("artifacts")}
    yield drawn
    for path, data in before.items():
        store.put(path, data)


@pytest.mark.parametrize(("model", "rows"), [("images", 9), ("sounds", 18)])
def test_what_is_drawn_again_is_what_it_was(
    place: Place, images: str, model: str, rows: int
) -> None:
    job_id = images if model == "images" else place.finished(model)
    store = place.client.store(job_id)
    before = {path: store.read(path) for path in store.list()}
    told: list[tuple[int, int]] = []

    found = place.verify(job_id, progress=lambda done, total: told.append((done, total)))

    (numerics,) = {row.row["numerics"] for row in place.client.results(job_id)}
    assert found == Verification(
        job_id=job_id,
        rows=rows,
        rows_drawn=rows,
        chosen=rows,
        compared=rows,
        equal=rows,
        different=(),
        not_comparable=0,
        numerics_elsewhere={},
        numerics=numerics,
    )
    assert found.verified
    assert told == [*((done, rows) for done in range(1, rows + 1)), (rows, rows)]
    # And nothing was written
    assert {path: store.read(path) for path in store.list()} == before


def test_rejected_rows_are_compared_and_failed_ones_are_not(place: Place) -> None:
    # Given sounds of which none is loud enough, and a request that was wrong
    requests = place.requests(
        {"speaker": "ada", "digit": 1},
        {"speaker": "eve", "digit": 1},
        {"speaker": "bob", "digit": 0},
    )
    gates = {"silence_dbfs": 0}
    job_id = place.finished("sounds", input=requests, on_invalid="record", gates=gates)

    found = place.verify(job_id)

    assert (found.rows, found.rows_drawn, found.equal) == (9, 6, 6)
    assert found.verified


def test_scores_are_compared_by_their_likelihoods(place: Place, images: str) -> None:
    # Given images that were scored
    for artifact in place.client.results(images):
        (place.folder / artifact.file_name).write_bytes(artifact.bytes())
    files = sorted(str(path) for path in place.folder.glob("*.png"))
    grid = {"artifact": files, "label": [1]}
    job_id = place.finished("images", kind="score", grid=grid, sampling={})
    assert place.verify(job_id).equal == 9

    # When the index tells another likelihood of one of them
    place.retell(
        job_id,
        lambda row: {"log_likelihood_nats": row["log_likelihood_nats"] + (row["ordinal"] == 4)},
    )

    # Then it is found
    found = place.verify(job_id)
    assert (found.compared, found.equal, found.verified) == (9, 8, False)
    assert found.different == (Difference("4", 0, 4, ("log_likelihood_nats",), None),)


def test_a_row_that_differs_is_named_with_what_differs(
    place: Place, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tampered = {2: {"sha256": "0" * 64}, 5: {"sha256": "0" * 64, "symbols_sha256": "1" * 64}}
    place.retell(images, lambda row: tampered.get(row["ordinal"], {}))

    found = place.verify(images)

    assert sorted(found.different, key=lambda each: each.ordinal) == [
        Difference("0", 2, 2, ("sha256",), None),
        Difference("1", 2, 5, ("symbols_sha256", "sha256"), None),
    ]
    assert (found.compared, found.equal, found.verified) == (9, 7, False)

    # And no more are named than are worth reading
    monkeypatch.setattr(verification, "DIFFERENT_KEPT", 1)
    found = place.verify(images)
    assert (len(found.different), found.compared - found.equal) == (1, 2)


def test_a_row_that_cannot_be_drawn_any_more_differs_and_says_why(
    place: Place, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a row that is rejected now, by a gate that has changed
    monkeypatch.setattr("ancestral.workers.outcomes.check", lambda *given: "too grey")

    found = place.verify(images, 0.01)

    (different,) = found.different
    assert (different.columns, different.error) == (("status",), "too grey")


def test_rows_of_other_numerics_are_counted_and_not_compared(place: Place, images: str) -> None:
    # Given a job of a mixed fleet
    elsewhere = "abacus/native/float32/torch-2.13.0"
    place.retell(
        images,
        lambda row: {"numerics": elsewhere, "sha256": "0" * 64} if row["ordinal"] < 4 else {},
    )

    found = place.verify(images)
    assert (found.compared, found.equal, found.not_comparable) == (5, 5, 4)
    assert found.numerics_elsewhere == {elsewhere: 4}
    assert found.verified

    # And of another fleet altogether nothing can be said
    place.retell(images, lambda row: {"numerics": elsewhere})
    told: list[tuple[int, int]] = []
    found = place.verify(images, progress=lambda done, total: told.append((done, total)))
    assert (found.compared, found.not_comparable, found.verified) == (0, 9, False)
    assert told == [(9, 9)]


@pytest.mark.parametrize(("fraction", "rows"), [(0.001, 1), (0.34, 3), (1.0, 9)])
def test_a_share_of_the_rows_is_drawn_and_at_least_one(
    place: Place, images: str, fraction: float, rows: int
) -> None:
    found = place.verify(images, fraction, seed=3)

    assert (found.chosen, found.equal) == (rows, rows)


def test_the_finished_rows_of_a_cancelled_job_are_compared(place: Place) -> None:
    # Given a job that is cancelled after the first of its units was drawn
    queue = MemoryQueue()
    client = Client(place.settings, queue)
    job = client.submit(place.spec("images", unit={"rows": 3}))
    worker = Worker(queue, WarmSamplers(client.registry, slots=3), job_id=job.job_id, pace=QUICK)
    worker.intake.step()
    while not len(client.results(job.job_id)):
        worker.turn(wait=False)
        worker.writer.step(wait=False)
    client.cancel(job.job_id)
    manifest = finalise(client.store(job.job_id), job.job_id)
    assert (manifest.rows_ok, manifest.rows_cancelled) == (3, 6)

    found = place.verify(job.job_id)

    assert (found.rows, found.rows_drawn, found.equal) == (9, 3, 3)
    assert found.verified


def test_of_a_job_of_which_nothing_was_drawn_nothing_is_compared(place: Place) -> None:
    job = place.client.submit(place.spec("images", idempotency_key="k"))
    place.client.cancel(job.job_id)
    finalise(place.client.store(job.job_id), job.job_id)

    found = place.verify(job.job_id)

    assert (found.rows, found.rows_drawn, found.chosen, found.compared) == (9, 0, 0, 0)
    assert not found.verified


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.01, float("nan")])
def test_a_fraction_that_is_none_is_refused(place: Place, fraction: float) -> None:
    with pytest.raises(UsageError, match=r"should be above 0 and at most 1, not"):
        place.verify("whatever", fraction)


def test_what_cannot_be_verified_is_refused(place: Place) -> None:
    with pytest.raises(UnknownJob, match="no-such-job"):
        place.verify("no-such-job")

    job = place.client.submit(place.spec("images"))
    with pytest.raises(UsageError, match=rf"is not finished: .*--resume {job.job_id}` draws it"):
        place.verify(job.job_id)


def test_a_device_that_is_not_there_is_said(place: Place, images: str) -> None:
    with pytest.raises(JobRefused, match=f"abacus does not draw job {images}: torch knows no"):
        place.verify(images, device="abacus")
