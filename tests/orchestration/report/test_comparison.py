"""The report of jobs that are given media: what was given beside what was made of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.finalise import finalise
from ancestral.jobs.results import Results
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, Media
from ancestral.models import Autoregressive, save_bundle, to_media
from ancestral.orchestration.report import comparison
from ancestral.orchestration.report.comparison import make_comparison
from ancestral.orchestration.report.gallery import Gallery
from ancestral.orchestration.report.items import Item
from ancestral.orchestration.report.page import render_report
from ancestral.workers.encode import encode, read_media
from ancestral.workers.here import run_here
from tests.models.nets import DIGITS, image_case, sound_case
from tests.orchestration.report.pages import Reading, read_page

IMAGES = image_case(labels=DIGITS).net

Run = Callable[..., tuple[Job, Results, Reading]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """run(net, kind, media, ...) is a finished job that was given these media, and its report."""

    def make(
        net: Autoregressive, kind: str, name: str, media: list[np.ndarray], **given: Any
    ) -> tuple[Job, Results, Reading]:
        save_bundle(tmp_path / "model", net, card="A toy.", metrics={})
        files = []
        for number, symbols in enumerate(media):
            artifact = encode(net.signature, to_media(net.signature, symbols), {}, Media())
            (tmp_path / f"{number}.{artifact.suffix}").write_bytes(artifact.data)
            files.append(str(tmp_path / f"{number}.{artifact.suffix}"))
        grid = {name: files, **given.pop("grid", {})}
        spec = {
            "name": kind,
            "kind": kind,
            "model": str(tmp_path / "model"),
            "grid": grid,
            "output": str(tmp_path / "lake"),
            **given,
        }
        settings = Settings(tmp_path / "home", str(tmp_path / "home" / "state"))
        results = run_here(spec, settings=settings, slots=16)
        client = Client(settings)
        job = client.job(client.jobs()[0])
        manifest = finalise(client.store(job.job_id), job.job_id)
        page = tmp_path / "report.html"
        page.write_text(render_report(results, job, manifest), encoding="utf-8")
        return job, results, read_page(page)

    return make


def shown(job: Job, results: Results) -> Gallery:
    gallery = make_comparison(job, results.table(), results)
    assert gallery is not None
    return gallery


def array_of(job: Job, item: Item | None) -> np.ndarray:
    assert item is not None
    data = base64.b64decode(item.data.partition(",")[2], validate=True)
    return read_media(job.signature, data)


def pictures(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 7, (count, 5, 6)))


def test_a_completion_stands_between_what_was_given_and_the_truth(run: Run) -> None:
    # Given whole images, of which two rows are kept
    media = pictures(3)
    job, results, page = run(
        IMAGES,
        "complete",
        "prefix",
        media,
        grid={"label": [1], "keep": [2]},
        sampling={"samples": 4},
    )

    gallery = shown(job, results)

    # Then every line shows the rows, the endings and the image that they are of
    assert gallery.columns == ["given", "drawn 0", "drawn 1", "drawn 2", "drawn 3", "truth"]
    assert [line.label for line in gallery.lines] == ["0", "1", "2"]
    artifacts = [artifact.bytes() for artifact in results]
    for number, line in enumerate(gallery.lines):
        pixels = to_media(IMAGES.signature, media[number])
        given, *drawn, truth = line.items
        np.testing.assert_array_equal(array_of(job, given), pixels[:2])
        np.testing.assert_array_equal(array_of(job, truth), pixels)
        for sample, item in enumerate(drawn):
            artifact = read_media(job.signature, artifacts[4 * number + sample])
            np.testing.assert_array_equal(array_of(job, item), artifact)
    # And all of it in one scale on the page, in place of a contact sheet
    sizes = [(image["width"], image["height"]) for image in page.all("img")]
    assert sizes == [("78", "26"), *[("78", "65")] * 5] * 3
    assert "Given and drawn" in page.text and "Contact sheet" not in page.text
    assert "All 3 requests, in order" in page.text


def test_there_is_no_truth_where_all_was_kept(run: Run) -> None:
    media = [picture[:3] for picture in pictures(2)]
    job, results, _ = run(IMAGES, "complete", "prefix", media, grid={"label": [0]})
    assert shown(job, results).columns == ["given", "drawn 0"]


def test_a_request_without_artifacts_is_left_out(run: Run) -> None:
    # Given a prefix as long as the image, which fails
    first, second = pictures(2)
    job, results, _ = run(IMAGES, "complete", "prefix", [first, second[:2]], grid={"label": [0]})
    gallery = shown(job, results)
    assert [line.label for line in gallery.lines] == ["1"]
    assert "1 of 2 requests" in gallery.caption


def test_sounds_are_shown_likewise(run: Run) -> None:
    net = sound_case(speaker=False, digit=False).net
    symbols = np.arange(16).repeat(2)
    job, results, page = run(
        net, "complete", "prefix", [symbols], grid={"seconds": [0.04], "keep": [0.01]}
    )
    (line,) = shown(job, results).lines
    given, drawn, truth = line.items
    sound = to_media(net.signature, symbols)
    np.testing.assert_array_equal(array_of(job, given), sound[:10])
    np.testing.assert_array_equal(array_of(job, drawn)[:10], sound[:10])
    np.testing.assert_array_equal(array_of(job, truth), sound)
    assert len(page.all("audio")) == 3


def test_a_page_does_not_grow_without_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job, results, _ = run(
        IMAGES,
        "complete",
        "prefix",
        pictures(4),
        grid={"label": [0], "keep": [1]},
        sampling={"samples": 3},
    )
    monkeypatch.setattr(comparison, "LARGEST_SAMPLES", 2)
    monkeypatch.setattr(comparison, "LARGEST_LINES", 3)
    gallery = shown(job, results)
    assert gallery.columns == ["given", "drawn 0", "drawn 1", "truth"]
    assert len(gallery.lines) == 3
    size = sum(len(item.data) for item in gallery.lines[0].items if item is not None)
    monkeypatch.setattr(comparison, "LARGEST_BYTES", 2 * size)
    assert len(shown(job, results).lines) == 2


def test_a_job_that_scores_has_a_report_of_likelihoods(run: Run) -> None:
    job, results, page = run(IMAGES, "score", "artifact", pictures(2), grid={"label": [0, 1]})
    assert make_comparison(job, results.table(), results) is None
    assert page.all("img") == []
    assert "4 images asked for by label and artifact" in page.text
    assert "scored by model" in page.text
    assert "likelihood under the model (exact)" in page.text


def test_a_job_that_generates_compares_nothing(run: Run) -> None:
    job, results, page = run(IMAGES, "generate", "label", [], grid={"label": [0, 1]})
    assert make_comparison(job, results.table(), results) is None
    assert "Contact sheet" in page.text
