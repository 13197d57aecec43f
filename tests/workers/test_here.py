"""The whole trip with real networks in one process."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from ancestral.jobs.client import Client
from ancestral.jobs.errors import CorruptObject, StoreDenied, UsageError
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.models import FAMILIES, Family, GatedPixelCNNConfig, save_bundle, to_media
from ancestral.models import Settings as Drawing
from ancestral.models.naive import sample_naive
from ancestral.workers.errors import JobRefused, JobStuck
from ancestral.workers.events import UnitCommitted, UnitFailed, UnitGivenUp
from ancestral.workers.here import run_here
from ancestral.workers.samplers import WarmSamplers
from ancestral.workers.worker import Worker
from tests.models.nets import DIGITS, SPEAKERS, foreign_case, image_case, sound_case
from tests.workers.fakes import QUICK, Diary

IMAGES = image_case(labels=DIGITS)
SOUNDS = sound_case(speaker=True, digit=True)


class Place:
    """A folder with two tiny models and a lake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(folder / "home", str(folder / "home" / "state"))
        for name, case in (("images", IMAGES), ("sounds", SOUNDS)):
            save_bundle(folder / name, case.net, card="A toy.", metrics={})

    def spec(self, model: str, **given: Any) -> dict[str, Any]:
        grids = {
            "images": {"label": list(DIGITS)},
            "sounds": {"speaker": list(SPEAKERS), "digit": list(DIGITS)},
        }
        return {
            "name": f"tiny-{model}",
            "model": str(self.folder / model),
            "grid": grids[model],
            "output": str(self.folder / "lake"),
            "sampling": {"seed": 7, "samples": 3, "temperature": 0.9},
            **given,
        }

    def run(self, model: str, slots: int, **given: Any) -> list[dict[str, Any]]:
        results = run_here(self.spec(model, **given), settings=self.settings, slots=slots)
        return results.table().to_pylist()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("model", ["images", "sounds"])
def test_neither_units_nor_slots_show_in_what_is_drawn(place: Place, model: str) -> None:
    runs = [
        place.run(model, slots, unit={"rows": unit_rows})
        for unit_rows, slots in ((1, 2), (4, 64), (100, 3))
    ]

    rows = len(DIGITS) * 3 * (len(SPEAKERS) if model == "sounds" else 1)
    names = ("request_id", "sample", "sha256", "symbols_sha256", "log_likelihood_nats")
    columns = [[tuple(row[name] for name in names) for row in run] for run in runs]
    assert columns[0] == columns[1] == columns[2]
    assert len({row["sha256"] for row in runs[0]}) == len(runs[0]) == rows
    assert {row["status"] for row in runs[0]} == {"ok"}


def test_an_image_is_the_definition_of_its_row(place: Place) -> None:
    results = run_here(place.spec("images"), settings=place.settings)

    for artifact in results:
        row = artifact.row
        drawn = sample_naive(
            IMAGES.net,
            {"label": row["condition_label"]},
            row["seed"],
            row["sample"],
            Drawing(temperature=0.9),
        )
        expected = to_media(IMAGES.net.signature, drawn.symbols.numpy())
        with Image.open(artifact.open()) as image:
            np.testing.assert_array_equal(np.asarray(image), expected)
            assert image.info["seed"] == str(row["seed"])
        nats = drawn.log_likelihood_nats
        assert row["log_likelihood_nats"] == pytest.approx(nats, rel=1e-5)
        assert row["bits_per_dim"] == pytest.approx(-nats / (np.log(2) * expected.size), rel=1e-5)


def test_a_sound_is_the_definition_of_its_row(place: Place) -> None:
    results = run_here(place.spec("sounds"), settings=place.settings)

    lengths = set()
    for artifact in results:
        row = artifact.row
        fields = {"speaker": row["condition_speaker"], "digit": row["condition_digit"]}
        drawn = sample_naive(
            SOUNDS.net, fields, row["seed"], row["sample"], Drawing(temperature=0.9)
        )
        sound, rate = soundfile.read(artifact.open(), dtype="int16")
        np.testing.assert_array_equal(sound, to_media(SOUNDS.net.signature, drawn.symbols.numpy()))
        assert rate == row["sample_rate_hz"] == 1000
        assert row["frames"] == len(sound)
        lengths.add(row["frames"])
    assert len(lengths) > 1


def test_the_job_is_finished_and_what_a_second_run_finds_is_the_same(place: Place) -> None:
    spec = place.spec("images", idempotency_key="tonight")
    first = run_here(spec, settings=place.settings).table()
    diary = Diary()

    second = run_here(spec, settings=place.settings, listener=diary).table()

    assert second.equals(first)
    assert diary.of(UnitCommitted) == []
    client = Client(place.settings)
    (job_id,) = client.jobs()
    status = client.status(job_id)
    assert (status.state, status.rows, status.rows_ok) == ("done", 9, 9)


def test_a_network_that_gives_no_numbers_fails_its_rows_and_says_so(
    place: Place,
) -> None:
    case = image_case(labels=DIGITS, seed=3)
    for parameter in case.net.parameters():
        parameter.data.fill_(float("nan"))
    save_bundle(place.folder / "images", case.net, card="A wreck.", metrics={})

    rows = place.run("images", slots=4)

    assert [row["status"] for row in rows] == ["failed"] * 9
    assert {row["error"] for row in rows} == {"the logits are not finite at position 0"}


def test_a_job_that_cannot_be_done_as_asked_is_refused(place: Place) -> None:
    with pytest.raises(UsageError, match="label"):
        run_here(place.spec("images", grid={"label": [77]}), settings=place.settings)


def test_a_job_whose_output_cannot_be_written_any_more_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put

    def sealed(self: Store, path: str, data: bytes | memoryview) -> None:
        if path.startswith("packs/"):
            raise StoreDenied("the disk is sealed")
        put(self, path, data)

    monkeypatch.setattr(Store, "put", sealed)

    with pytest.raises(JobStuck, match="the disk is sealed"):
        run_here(place.spec("images"), settings=place.settings, listener=Diary())


def test_a_job_whose_requests_cannot_be_read_any_more_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def corrupt(*given: object) -> None:
        raise CorruptObject("not what was written")

    monkeypatch.setattr("ancestral.workers.starting.read_rows", corrupt)
    monkeypatch.setattr("ancestral.workers.here.Worker", partial(Worker, pace=QUICK))

    with pytest.raises(JobStuck, match="not what was written"):
        run_here(place.spec("images"), settings=place.settings, listener=Diary())


def test_a_job_that_this_device_does_not_draw_is_refused_before_it_is_submitted(
    place: Place,
) -> None:
    spec = place.spec("images", sampling={"precision": "bfloat16", "tiles": "few"})

    with pytest.raises(JobRefused, match=r"cpu does not draw job 'tiny-images': .*for GPUs"):
        run_here(spec, settings=place.settings)

    assert Client(place.settings).jobs() == []


def test_a_job_whose_network_this_device_does_not_draw_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given what is found only when a sampler is made
    def refuse(self: WarmSamplers, job: Job) -> None:
        raise JobRefused(f"cpu does not draw job {job.job_id}: no such symbols")

    monkeypatch.setattr(WarmSamplers, "get", refuse)
    spec = place.spec("images", idempotency_key="tonight")

    # When
    with pytest.raises(JobRefused, match="no such symbols"):
        run_here(spec, settings=place.settings, listener=Diary())

    # Then nothing is recorded, and the job can be gone on with elsewhere
    monkeypatch.undo()
    assert [
        row["status"] for row in run_here(spec, settings=place.settings).table().to_pylist()
    ] == ["ok"] * 9


def test_a_model_whose_family_is_not_installed_is_refused_and_drawn_once_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a model of a family of which there is no package here
    case = foreign_case()
    save_bundle(place.folder / "images", case.net, card="A toy.", metrics={})
    spec = place.spec("images", idempotency_key="tonight")
    diary = Diary()

    # When
    with pytest.raises(JobRefused, match=r"^cpu does not draw job .*: .*no family 'foreign'"):
        run_here(spec, settings=place.settings, listener=diary)

    # Then no unit was charged, no row failed, and with the package the job goes on
    assert not diary.of(UnitFailed) and not diary.of(UnitGivenUp)
    (job_id,) = Client(place.settings).jobs()
    assert Client(place.settings).status(job_id).rows_failed == 0
    installed = {**FAMILIES, "foreign": Family(type(case.net), GatedPixelCNNConfig)}
    monkeypatch.setattr("ancestral.models.families.FAMILIES", installed)
    assert [
        row["status"] for row in run_here(spec, settings=place.settings).table().to_pylist()
    ] == ["ok"] * 9


def test_trouble_is_logged_in_sentences(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    # Given a model that is gone when its job is drawn
    client = Client(place.settings)
    spec = place.spec("images", idempotency_key="tonight")
    client.submit(spec)
    (place.folder / "images" / "config.json").unlink()

    # When
    with caplog.at_level(logging.WARNING, "ancestral.workers"):
        results = run_here(spec, settings=place.settings)

    # Then its rows say why they failed, and people were told in sentences
    assert {row["status"] for row in results.table().to_pylist()} == {"failed"}
    told = [record.getMessage() for record in caplog.records]
    assert "will be tried again: ModelUnreadable" in told[0]
    assert "will be recorded as failed" in told[-1]
    assert all(line.startswith("row") and "\n" not in line for line in told)


def test_a_paused_job_is_not_waited_for(place: Place) -> None:
    spec = place.spec("images", idempotency_key="tonight")
    client = Client(place.settings)
    job = client.submit(spec)
    client.pause(job.job_id, "the lake is being moved")

    with pytest.raises(JobStuck, match=r"is paused: the lake is being moved.*; resume it first"):
        run_here(spec, settings=place.settings)

    client.resume(job.job_id)
    assert len(run_here(spec, settings=place.settings)) == 9


def test_a_cancelled_job_is_finished_with_what_it_has(place: Place) -> None:
    spec = place.spec("images", idempotency_key="tonight")
    client = Client(place.settings)
    job = client.submit(spec)
    client.cancel(job.job_id, "not needed")

    assert len(run_here(spec, settings=place.settings)) == 0

    status = client.status(job.job_id)
    assert (status.state, status.rows_cancelled) == ("cancelled", 9)


def test_one_worker_serves_jobs_of_two_models(place: Place) -> None:
    # Given two jobs in one queue, and what each of them gives alone.
    alone = {model: place.run(model, slots=5) for model in ("images", "sounds")}
    queue = MemoryQueue()
    client = Client(place.settings, queue)
    jobs = {
        model: client.submit(place.spec(model, unit={"rows": 2})) for model in ("images", "sounds")
    }
    units = sum(len(list(job.units())) for job in jobs.values())
    diary = Diary()

    def listen(event: Any) -> None:
        diary(event)
        if len(diary.of(UnitCommitted)) == units:
            worker.drain()

    # When one worker serves both.
    samplers = WarmSamplers(client.registry, slots=5)
    worker = Worker(queue, samplers, listener=listen, pace=QUICK)
    worker.run()

    # Then each gives the same.
    for model, job in jobs.items():
        rows = client.results(job.job_id).table().to_pylist()
        assert [row["sha256"] for row in rows] == [row["sha256"] for row in alone[model]]
