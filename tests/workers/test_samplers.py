"""Real networks behind the worker's contract: loaded once, asked in rows, answered in media."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.errors import ModelUnreadable
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.request_shards import Row
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, Media, Sampling
from ancestral.models import save_bundle, to_media
from ancestral.models.naive import sample_naive
from ancestral.models.sampling.native import library
from ancestral.workers.encode import encode
from ancestral.workers.errors import RowRefused
from ancestral.workers.samplers import WARM_MODELS, WarmSamplers
from ancestral.workers.work import Drawn
from tests.models.laws import on_each_executor
from tests.models.nets import DIGITS, Case, image_case, sound_case


class Shelf:
    """Bundles of tiny networks, and jobs for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.client = Client(Settings(folder / "home", str(folder / "state")))

    def job(self, case: Case, name: str = "tiny") -> Job:
        save_bundle(self._folder / name, case.net, card="A toy.", metrics={})
        grid = {key: [value] for key, value in case.requests[0].items()}
        return self.client.submit(
            {
                "name": name,
                "model": str(self._folder / name),
                "grid": grid,
                "output": str(self._folder / "lake"),
            }
        )


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def installation(executor: str, tmp_path: Path) -> Iterator[None]:
    """One in which that executor is the fastest: without builds it is the reference."""
    (tmp_path / "empty").mkdir()
    before = library.look_in(tmp_path / "empty")
    if executor == "native":
        library.look_in(before)
    yield
    library.look_in(before)


def row(case: Case, seed: int = 5, sample: int = 2, **fields: object) -> Row:
    return Row(0, "a", sample, seed, {**case.requests[0], **fields}, None)


@on_each_executor
@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("case", [image_case(labels=DIGITS), sound_case(speaker=True, digit=True)])
def test_a_row_is_what_its_network_draws(shelf: Shelf, case: Case, executor: str) -> None:
    job = shelf.job(case)
    warm = WarmSamplers(shelf.client.registry, slots=3).get(job)
    assert f"/{executor}/" in warm.numerics
    expected = sample_naive(case.net, case.requests[0], seed=5, sample=2)

    warm.admit("key", row(case), Sampling())
    assert warm.free == 2
    drawn = []
    while not drawn:
        drawn = list(warm.advance())

    (only,) = drawn
    assert (only.key, only.error) == ("key", None)
    np.testing.assert_array_equal(only.symbols, expected.symbols.numpy())
    assert only.log_likelihood_nats == pytest.approx(expected.log_likelihood_nats, rel=1e-5)
    np.testing.assert_array_equal(
        warm.to_media(only.symbols), to_media(job.signature, expected.symbols.numpy())
    )
    assert warm.steps >= 1 and warm.free == 3


@pytest.mark.parametrize("kind", ["generate", "score"])
def test_a_row_ends_within_its_steps_or_is_dropped(shelf: Shelf, kind: str) -> None:
    case = image_case(labels=DIGITS)
    job = shelf.job(case)
    if kind == "score":
        job = job.model_copy(update={"spec": job.spec.model_copy(update={"kind": "score"})})
    warm = WarmSamplers(shelf.client.registry, slots=2).get(job)
    pixels = to_media(case.net.signature, np.zeros((5, 6), dtype=np.int64))
    media = encode(case.net.signature, pixels, {}, Media()).data
    asked = row(case) if kind == "generate" else row(case, artifact=MediaValue(media, "a.png"))

    steps = warm.admit("drawn", asked, Sampling())
    warm.admit("dropped", asked, Sampling())
    warm.drop("dropped")
    assert warm.free == 1
    drawn: list[Drawn] = []
    while not drawn:
        drawn = list(warm.advance())

    assert [each.key for each in drawn] == ["drawn"]
    assert 1 <= warm.steps <= steps
    assert warm.free == 2


def test_the_jobs_settings_reach_the_sampler(shelf: Shelf) -> None:
    case = image_case(labels=DIGITS)
    warm = WarmSamplers(shelf.client.registry, slots=2).get(shelf.job(case))

    # The likeliest symbol alone: whatever the seed, the same image.
    for key, seed in enumerate((5, 6)):
        warm.admit(key, row(case, seed=seed), Sampling(top_k=1))
    drawn = []
    while len(drawn) < 2:
        drawn += warm.advance()

    np.testing.assert_array_equal(drawn[0].symbols, drawn[1].symbols)


def test_a_row_that_does_not_fit_the_network_is_refused(shelf: Shelf) -> None:
    case = image_case(labels=DIGITS)
    warm = WarmSamplers(shelf.client.registry, slots=2).get(shelf.job(case))

    with pytest.raises(RowRefused, match="label"):
        warm.admit(0, row(case, label=99), Sampling())
    assert warm.free == 2


def test_a_model_is_loaded_once_and_anew_when_it_was_forgotten(shelf: Shelf) -> None:
    job = shelf.job(image_case(labels=DIGITS))
    samplers = WarmSamplers(shelf.client.registry, slots=2)

    warm = samplers.get(job)
    assert samplers.get(job) is warm

    samplers.forget(warm)
    assert samplers.get(job) is not warm


def test_the_model_asked_for_longest_ago_is_the_first_to_go(shelf: Shelf) -> None:
    cases = [image_case(labels=DIGITS, seed=seed) for seed in range(WARM_MODELS + 1)]
    jobs = [shelf.job(case, f"tiny-{number}") for number, case in enumerate(cases)]
    samplers = WarmSamplers(shelf.client.registry, slots=1)
    first, second = samplers.get(jobs[0]), samplers.get(jobs[1])
    for job in jobs[2:WARM_MODELS]:
        samplers.get(job)

    # One too many, after the first was asked for again.
    samplers.get(jobs[0])
    samplers.get(jobs[WARM_MODELS])

    assert samplers.get(jobs[0]) is first
    assert samplers.get(jobs[1]) is not second


def test_a_bundle_that_changed_since_the_job_was_accepted_is_refused(shelf: Shelf) -> None:
    job = shelf.job(image_case(labels=DIGITS))
    shelf.job(image_case(labels=DIGITS, seed=1))

    with pytest.raises(ModelUnreadable, match="holds another model now"):
        WarmSamplers(shelf.client.registry).get(job)
