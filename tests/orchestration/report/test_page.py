"""The report of real jobs, drawn by tiny networks in this process."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ancestral.jobs.client import Client
from ancestral.jobs.finalise import finalise
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.results import Results
from ancestral.jobs.settings import Settings
from ancestral.models import (
    Autoregressive,
    GatedPixelCNN,
    GatedPixelCNNConfig,
    WaveNet,
    WaveNetConfig,
    save_bundle,
)
from ancestral.orchestration.report import page as report_module
from ancestral.orchestration.report.gallery import IMAGES_PER_LINE
from ancestral.orchestration.report.judge import Judgement
from ancestral.orchestration.report.measures import drawing_seconds
from ancestral.orchestration.report.page import render_report
from ancestral.workers.here import run_here
from ancestral.workers.images import decode_image
from ancestral.workers.sounds import decode_audio
from tests.jobs.drawn import draw
from tests.orchestration.report.pages import Reading, read_page
from tests.orchestration.tiny import tiny_settings, tiny_spec

HOSTILE = '<script>alert("1")</script>'


def data_of(uri: str | None) -> bytes:
    assert uri is not None
    head, _, body = uri.partition(",")
    assert head in ("data:image/png;base64", "data:audio/flac;base64")
    return base64.b64decode(body, validate=True)


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., tuple[Reading, Results]]:
    """report(net, requests, ...) runs a job and gives its report, read, and its results."""

    def make(
        net: Autoregressive,
        requests: Sequence[Mapping[str, Any]],
        *,
        spec: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> tuple[Reading, Results]:
        save_bundle(tmp_path / "bundle", net, card="A tiny one.", metrics={})
        lines = "".join(f"{json.dumps(request)}\n" for request in requests)
        (tmp_path / "requests.jsonl").write_text(lines, encoding="utf-8")
        settings = Settings(tmp_path / "home", str(tmp_path / "home" / "state"))
        asked = {
            "name": "tiny",
            "model": str(tmp_path / "bundle"),
            "input": str(tmp_path / "requests.jsonl"),
            "output": str(tmp_path / "lake"),
            "on_invalid": "record",
            **(spec or {}),
        }
        results = run_here(asked, settings=settings, slots=8)
        client = Client(settings)
        job = client.job(client.jobs()[0])
        manifest = finalise(client.store(job.job_id), job.job_id)
        html = render_report(results, job, manifest, **more)
        (tmp_path / "report.html").write_text(html, encoding="utf-8")
        return read_page(tmp_path / "report.html"), results

    return make


@pytest.fixture
def images() -> Autoregressive:
    torch.manual_seed(0)
    config = GatedPixelCNNConfig(
        height=4, width=5, levels=4, labels=(0, 1, 2), embedding=4, channels=6, layers=2, head=6
    )
    return GatedPixelCNN(config).eval()


@pytest.fixture
def sounds() -> Autoregressive:
    torch.manual_seed(0)
    config = WaveNetConfig(
        levels=16,
        sample_rate_hz=1000,
        residual=4,
        skip=6,
        depth=2,
        stacks=1,
        digits=(1, 2, 3),
        speakers=("ada", "bob"),
        seconds=((0.06, 0.08, 0.1), (0.06, 0.08, 0.1)),
        hop=4,
        hats=3,
        encoder=4,
    )
    return WaveNet(config).eval()


def test_the_contact_sheet_shows_the_first_images_of_each_label(
    report: Callable[..., tuple[Reading, Results]], images: Autoregressive
) -> None:
    # Given more images of each label than fit in a line
    requests = [{"label": number % 3} for number in range(60)]

    # When the job is done and reported
    page, results = report(images, requests)

    # Then each line holds the first ones, byte for byte, and the page says how many of how many
    shown = [data_of(image["src"]) for image in page.all("img")]
    of_label: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    for artifact in results:
        of_label[artifact.row["condition_label"]].append(artifact.bytes())
    assert shown == [data for label in of_label for data in of_label[label][:IMAGES_PER_LINE]]
    assert all(decode_image(data)[0].shape == (4, 5) for data in shown)
    assert f"{3 * IMAGES_PER_LINE} of 60 images" in page.text
    assert all(image["alt"] in ("label 0", "label 1", "label 2") for image in page.all("img"))


def test_sounds_stand_by_digit_and_speaker_with_a_player_and_a_waveform_each(
    report: Callable[..., tuple[Reading, Results]], sounds: Autoregressive
) -> None:
    # Given two takes of every digit by every speaker, but one
    asked = [(digit, who) for digit in (1, 2, 3) for who in ("ada", "bob")] * 2
    requests = [{"digit": d, "speaker": who} for d, who in asked if (d, who) != (2, "bob")]

    # When
    page, _ = report(sounds, requests)

    # Then there is a player for each pair, the first of the two, and none for the missing one
    players = page.all("audio")
    named = [player["aria-label"] for player in players]
    assert named == [
        f"digit {digit}, speaker {who}"
        for digit in (1, 2, 3)
        for who in ("ada", "bob")
        if (digit, who) != (2, "bob")
    ]
    lengths = [len(decode_audio(data_of(player["src"]))[0]) for player in players]
    assert lengths == [60, 60, 80, 100, 100]
    waves = [svg for svg in page.all("svg") if svg.get("class") == "wave"]
    assert len(waves) == len(players) == len(page.all("button"))
    assert "5 of 10 sounds" in page.text


def test_nothing_is_fetched_from_anywhere(
    report: Callable[..., tuple[Reading, Results]], sounds: Autoregressive, tmp_path: Path
) -> None:
    # When
    page, _ = report(sounds, [{"digit": 1, "speaker": "ada"}])

    # Then no element and no style refers to anything outside of the page
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href") and value
    ]
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_what_requesters_write_is_shown_and_not_run(
    report: Callable[..., tuple[Reading, Results]], images: Autoregressive, tmp_path: Path
) -> None:
    # Given a hostile request_id, in a row that is drawn and in one that fails; a hostile name too
    requests = [
        {"request_id": HOSTILE, "label": 1},
        {"request_id": f"bad{HOSTILE}", "label": HOSTILE},
    ]

    # When
    page, _ = report(images, requests, spec={"name": HOSTILE})

    # Then all of it is text
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert len(page.all("script")) == 1
    assert HOSTILE in page.text
    assert f"bad{HOSTILE}" in page.text
    assert HOSTILE in str(page.all("img")[0]["title"])


def test_failed_and_rejected_rows_are_counted_and_listed_with_their_errors(
    report: Callable[..., tuple[Reading, Results]],
) -> None:
    # Given images of one pixel, which the gate rejects as constant, and one unknown label
    config = GatedPixelCNNConfig(height=1, width=1, levels=4, labels=(0, 1), channels=4, layers=1)
    requests = [{"label": 0}, {"request_id": "odd one", "label": 7}, {"label": 1}]

    # When
    page, results = report(
        GatedPixelCNN(config).eval(), requests, spec={"gates": {"constant_image": True}}
    )

    # Then
    assert "0 ok, of 3" in page.text
    assert "1 failed, 2 rejected" in page.text
    assert "3 of 3, in order" in page.text
    assert "odd one 0 failed" in page.text
    for artifact in results:
        assert artifact.row["error"] in page.text


def test_sounds_that_gates_reject_can_be_heard_and_the_gates_are_named(
    report: Callable[..., tuple[Reading, Results]], sounds: Autoregressive
) -> None:
    # Given digits that take 0.06, 0.08 and 0.1 s
    requests = [{"digit": digit, "speaker": "ada"} for digit in (1, 2, 3)]
    gates = {
        "silence_dbfs": -90,
        "clipped_share": 0.9,
        "shortest_seconds": 0.07,
        "longest_seconds": 0.08,
    }

    page, results = report(sounds, requests, spec={"gates": gates})

    # Then those that are too short or too long are kept, and their rows say why
    short, heard, long = results
    assert (short.row["status"], heard.row["status"], long.row["status"]) == (
        "rejected",
        "ok",
        "rejected",
    )
    assert short.row["error"] == "length: 0.06 s is shorter than 0.07 s"
    assert long.row["error"] == "length: 0.1 s is longer than 0.08 s"
    assert len(decode_audio(long.bytes())[0]) == 100
    for told in (
        "reject sounds below -90 dBFS",
        "reject sounds clipped beyond a share of 0.9",
        "reject sounds shorter than 0.07 s",
        "reject sounds longer than 0.08 s",
        short.row["error"],
        long.row["error"],
    ):
        assert told in page.text


def test_a_job_without_any_ok_row_has_a_report_too(
    report: Callable[..., tuple[Reading, Results]], images: Autoregressive
) -> None:
    page, _ = report(images, [{"label": 7}])

    assert "0 ok, of 1" in page.text
    assert "Contact sheet" not in page.text
    assert page.all("img") == []


def test_the_measures_cover_all_rows_and_name_the_held_out_figure(
    report: Callable[..., tuple[Reading, Results]], images: Autoregressive
) -> None:
    # When
    page, results = report(
        images, [{"label": 0}] * 30, metrics={"held_out_bits_per_dim": 1.23456, "steps": 1200}
    )

    # Then the bars of the histogram hold all rows, and both charts are described in words
    bits = [artifact.row["bits_per_dim"] for artifact in results]
    counted = [
        int(text.split(": ")[1].removesuffix(" rows"))
        for text in page.texts
        if " bits per dimension: " in text and text.endswith(" rows")
    ]
    assert sum(counted) == 30
    charts = [svg["aria-label"] for svg in page.all("svg") if svg.get("class") == "chart"]
    assert len(charts) == 2
    assert f"mean {np.mean(bits):.3f}" in str(charts[0])
    assert "held-out 1.235" in str(charts[0])
    assert "steps 1,200" in page.text
    assert "Over all rows of the index" in page.text


def test_of_a_large_job_a_sample_is_shown_and_measured_and_all_are_counted(
    report: Callable[..., tuple[Reading, Results]],
    images: Autoregressive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a job of twice as many rows as a report takes up, two of which fail, by labels in turn
    monkeypatch.setattr(report_module, "LARGEST_ROWS", 15)
    requests = [{"label": 7 if number in (7, 29) else number // 10} for number in range(30)]

    # When
    page, results = report(images, requests, spec={"unit": {"rows": 3}})

    # Then the sample is of all labels, and every row that failed is named
    table = results.spread(15)
    seconds = drawing_seconds(table)
    assert "What is shown and measured here is a sample of 15 rows, spread over the" in page.text
    assert "Over a sample of 15 rows, spread over the job." in page.text
    assert {image["alt"] for image in page.all("img")} == {f"label {name}" for name in range(3)}
    assert "28 ok, of 30" in page.text
    assert "15 of 28 images: the first of each label of the sample, not picked." in page.text
    assert "of measured ok rows" in page.text
    assert "2 of 2, in order" in page.text
    assert "workers of the measured rows 1" in page.text
    # And rows a second are those of the whole job
    assert f"Rows a second {30 / seconds:,.1f} over" in page.text
    assert "5 units of the sample." in page.text


@pytest.mark.parametrize(("drawn", "said"), [(2, "2 of them drawn"), (0, "0 of them drawn")])
def test_the_report_of_a_cancelled_job_says_how_much_was_drawn(
    tmp_path: Path, drawn: int, said: str
) -> None:
    # Given a job of ten rows that is cancelled after one unit, of which all is rejected, or none
    client = Client(tiny_settings(tmp_path))
    job = client.submit(tiny_spec(tmp_path / "lake", samples=1, unit={"rows": 2}))
    store = client.store(job.job_id)
    for unit in list(job.units())[: drawn // 2]:
        draw(store, job, unit, "rr")
    declare(store, job.job_id, Wanted.CANCEL)

    manifest = finalise(store, job.job_id)
    html = render_report(Results(store, job), job, manifest)
    (tmp_path / "report.html").write_text(html, encoding="utf-8")

    page = read_page(tmp_path / "report.html")
    assert f"{said} by tiny (gated_pixelcnn) until the job was cancelled" in page.text
    assert f"{10 - drawn} cancelled" in page.text
    # And what is empty has no line
    names = ("numerics", "devices", "workers")
    assert [name in page.texts for name in names] == [drawn > 0] * 3
    assert "submitted" in page.texts


def test_equal_images_of_several_rows_are_one(
    report: Callable[..., tuple[Reading, Results]],
) -> None:
    # Given images of one pixel, of which there are two, each in a file that names its own row
    config = GatedPixelCNNConfig(height=1, width=1, levels=2, labels=(0, 1), channels=4, layers=1)

    # When
    page, results = report(GatedPixelCNN(config).eval(), [{"label": 0}] * 30)

    # Then
    files = {artifact.bytes() for artifact in results}
    images = {decode_image(data)[0].tobytes() for data in files}
    assert len(images) == 2 < len(files)
    assert "Distinct 2 6.7% of ok rows" in page.text
    assert "in 30 requests of 1 sample each" in page.text


@pytest.mark.parametrize(
    ("judgement", "says"),
    [
        (Judgement(50, 0.2, 10, 0.9, 0.0, 0.0), "pictures are not recognisable."),
        (Judgement(50, 0.6, 10, 0.9, 0.0, 0.0), "pictures are partly recognisable."),
        (Judgement(50, 0.9, 10, 0.9, 0.0, 0.0), "pictures are recognisable."),
    ],
)
def test_a_judgement_is_told_in_words(
    judgement: Judgement,
    says: str,
    report: Callable[..., tuple[Reading, Results]],
    images: Autoregressive,
) -> None:
    page, _ = report(images, [{"label": 0}], judgement=judgement)

    assert says in page.text
    assert judgement.details() in page.text
