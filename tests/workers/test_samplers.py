"""Real networks behind the worker's contract: loaded once, asked in rows, answered in media."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ancestral.jobs.client import Client
from ancestral.jobs.errors import ModelUnreadable
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.request_shards import Row
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, Media, Sampling
from ancestral.models import (
    Autoregressive,
    NativeStale,
    ProgramError,
    Sample,
    Sampler,
    save_bundle,
    to_media,
)
from ancestral.models.naive import sample_naive
from ancestral.models.sampling.budget import SHARE_OF_FREE, slot_bytes
from ancestral.models.sampling.native import library
from ancestral.workers.asking import Asked
from ancestral.workers.encode import encode
from ancestral.workers.errors import JobRefused, RowRefused, SlotsLost
from ancestral.workers.samplers import (
    DEFAULT_SLOTS,
    WARM_MODELS,
    WarmSampler,
    WarmSamplers,
    slots_on,
)
from ancestral.workers.work import Drawn
from tests.models.laws import on_each_executor
from tests.models.nets import DIGITS, Case, foreign_case, image_case, sound_case


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


def test_a_bundle_that_changes_after_it_was_fetched_is_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job, and a fetched bundle that becomes another before it is read
    job = shelf.job(image_case(labels=DIGITS))
    registry, fetch = shelf.client.registry, shelf.client.registry.fetch

    def fetch_and_replace(uri: str, digest: str) -> Path:
        folder = fetch(uri, digest)
        save_bundle(folder, image_case(labels=DIGITS, seed=1).net, card="", metrics={})
        return folder

    monkeypatch.setattr(registry, "fetch", fetch_and_replace)

    # Then nothing is drawn with it
    with pytest.raises(ModelUnreadable, match=f"and not {job.model.digest[:12]}"):
        WarmSamplers(registry).get(job)


def test_a_model_whose_family_is_not_installed_is_refused_in_a_sentence(shelf: Shelf) -> None:
    job = shelf.job(foreign_case())
    samplers = WarmSamplers(shelf.client.registry)
    score = job.model_copy(update={"spec": job.spec.model_copy(update={"kind": "score"})})

    for each in (job, score):
        with pytest.raises(
            JobRefused, match=f"cpu does not draw job {job.job_id}: .*no family 'foreign'"
        ):
            samplers.get(each)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_model_of_which_a_file_is_gone_is_unreadable(shelf: Shelf, file: str) -> None:
    job = shelf.job(image_case(labels=DIGITS))
    (Path(job.model.uri) / file).unlink()

    with pytest.raises(ModelUnreadable, match=file):
        WarmSamplers(shelf.client.registry).get(job)


def test_a_model_is_refused_where_the_native_executor_cannot_be_used(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = shelf.job(image_case(labels=DIGITS))

    def stale(*_: object, **__: object) -> None:
        raise NativeStale("it is of version 1")

    monkeypatch.setattr("ancestral.workers.samplers.Sampler", stale)

    with pytest.raises(JobRefused, match=r"cpu does not draw job .*: it is of version 1"):
        WarmSamplers(shelf.client.registry).get(job)


def test_a_network_whose_program_contradicts_itself_is_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = image_case(labels=DIGITS)
    job = shelf.job(case)

    def contradict(self: Autoregressive) -> None:
        raise ProgramError("step 3 reads what step 4 writes")

    monkeypatch.setattr(type(case.net), "program", contradict)

    with pytest.raises(JobRefused, match=r"cpu does not draw job .*: step 3 reads"):
        WarmSamplers(shelf.client.registry).get(job)


def of(job: Job, **sampling: object) -> Job:
    """The job, with other settings of sampling."""
    asked = Sampling.model_validate(sampling)
    return job.model_copy(update={"spec": job.spec.model_copy(update={"sampling": asked})})


def test_each_precision_has_a_sampler_of_its_own(shelf: Shelf) -> None:
    job = shelf.job(image_case(labels=DIGITS))
    samplers = WarmSamplers(shelf.client.registry)
    drawn_in = {
        precision: samplers.get(of(job, precision=precision))
        for precision in ("float32", "bfloat16")
        if precision == "float32" or "avx512bf16" in library.available()
    }

    for precision, warm in drawn_in.items():
        assert f"/{precision}/" in warm.numerics
        assert samplers.get(of(job, precision=precision)) is warm
        assert warm.free == samplers.slots == DEFAULT_SLOTS


def test_a_job_that_asks_for_what_this_device_cannot_do_is_refused_in_a_sentence(
    shelf: Shelf, tmp_path: Path
) -> None:
    job = shelf.job(image_case(labels=DIGITS))
    samplers = WarmSamplers(shelf.client.registry)

    with pytest.raises(JobRefused, match=r"few rows are for GPUs: leave out 'tiles: few'"):
        samplers.get(of(job, precision="bfloat16", tiles="few"))

    # And with builds that have no bfloat16
    (tmp_path / "empty").mkdir()
    before = library.look_in(tmp_path / "empty")
    try:
        with pytest.raises(JobRefused, match=f"cpu does not draw job {job.job_id}: .*bfloat16"):
            samplers.get(of(job, precision="bfloat16"))
    finally:
        library.look_in(before)


class Small(Sampler):
    """A sampler on a device that has room for `room` slots, or for so many events."""

    def __init__(self, net: Autoregressive, slots: int, room: int, events: int) -> None:
        if slots > room:
            raise torch.OutOfMemoryError(f"no room for {slots} slots")
        super().__init__(net, slots=slots)
        self._events = events

    def advance(self) -> list[Sample]:
        if self.active > self._events:
            raise torch.OutOfMemoryError(f"no room for {self.active} events")
        return super().advance()


def warm_sampler(case: Case, slots: int, room: int, events: int) -> WarmSampler:
    return WarmSampler(
        lambda fewer: Small(case.net, fewer, room, events),
        slots,
        case.net.signature,
        lambda fields: Asked(dict(fields)),
    )


def test_a_sampler_has_as_many_slots_as_there_is_room_for() -> None:
    case = image_case(labels=DIGITS)

    assert warm_sampler(case, 64, room=20, events=64).slots == 16
    assert warm_sampler(case, 1, room=1, events=64).slots == 1
    with pytest.raises(torch.OutOfMemoryError, match="1 slots"):
        warm_sampler(case, 64, room=0, events=64)


def test_a_sampler_that_runs_out_of_memory_has_half_the_slots_and_begins_again() -> None:
    # Given five rows in eight slots, and room for three of them
    case = image_case(labels=DIGITS)
    rows = [row(case, seed=seed) for seed in range(5)]
    warm = warm_sampler(case, 8, room=8, events=3)
    for key, each in enumerate(rows):
        warm.admit(key, each, Sampling())

    # When it runs out of memory, twice
    for slots in (4, 2):
        with pytest.raises(SlotsLost) as caught:
            warm.advance()
        assert (caught.value.slots, warm.slots, warm.free) == (slots, slots, slots)
        for key in range(slots):
            warm.admit(key, rows[key], Sampling())
    before = warm.steps
    drawn: list[Drawn] = []
    while len(drawn) < 2:
        drawn += warm.advance()

    # Then rows are what they would have been, and steps only rose
    for each in drawn:
        expected = sample_naive(case.net, case.requests[0], seed=int(str(each.key)), sample=2)
        np.testing.assert_array_equal(each.symbols, expected.symbols.numpy())
    assert warm.steps > before

    # And with a single slot there is nothing to halve
    with pytest.raises(torch.OutOfMemoryError):
        alone = warm_sampler(case, 1, room=1, events=0)
        alone.admit(0, rows[0], Sampling())
        alone.advance()


def test_the_old_sampler_is_gone_before_the_new_one_is_made() -> None:
    case = image_case(labels=DIGITS)
    made: list[weakref.ref[Sampler]] = []

    def make(slots: int) -> Sampler:
        assert all(earlier() is None for earlier in made)
        sampler = Small(case.net, slots, room=8, events=0)
        made.append(weakref.ref(sampler))
        return sampler

    warm = WarmSampler(make, 4, case.net.signature, lambda fields: Asked(dict(fields)))
    warm.admit(0, row(case), Sampling())
    with pytest.raises(SlotsLost):
        warm.advance()

    assert len(made) == 2


def test_other_threads_may_ask_while_there_is_no_sampler(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a sampler that has no room for its rows, and whose successor takes its time
    missing, asked = threading.Event(), threading.Event()

    class Slow(Sampler):
        def __init__(self, net: Autoregressive, *, slots: int, **given: Any) -> None:
            if slots < 4:
                missing.set()
                assert asked.wait(60)
            super().__init__(net, slots=slots, **given)

        def advance(self) -> list[Sample]:
            raise torch.OutOfMemoryError

    monkeypatch.setattr("ancestral.workers.samplers.Sampler", Slow)
    samplers = WarmSamplers(shelf.client.registry, slots=4)
    warm = samplers.get(shelf.job(image_case(labels=DIGITS)))
    numerics = warm.numerics

    # When others ask meanwhile
    with ThreadPoolExecutor(1) as pool:
        advance = pool.submit(warm.advance)
        try:
            assert missing.wait(60)
            answers = samplers.slots, warm.numerics
        finally:
            asked.set()
        with pytest.raises(SlotsLost):
            advance.result()

    # Then they hear of the sampler that there will be
    assert answers == (2, numerics)


def test_slots_are_those_that_the_share_of_a_gpu_has_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a GPU with room for 1,000 slots in float32, of a process that may take all of it
    net = image_case(labels=DIGITS).net
    room = 1000 * slot_bytes(net.program(), torch.float32) / SHARE_OF_FREE
    monkeypatch.setattr(
        "ancestral.workers.samplers.free_bytes", lambda device, share: int(room * share)
    )

    def slots(device: str, gpus: float = 1.0, **sampling: object) -> int:
        return slots_on(device, gpus, net, Sampling.model_validate(sampling))

    # Then slots fill tiles of 64
    assert slots("cuda") == 15 * 64
    assert slots("cuda", gpus=0.5) == 7 * 64
    assert slots("cuda", precision="bfloat16") > slots("cuda")
    assert slots("cuda", precision="bfloat16", tiles="few") == DEFAULT_SLOTS
    assert slots("cpu") == DEFAULT_SLOTS
