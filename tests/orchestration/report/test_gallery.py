"""What a report shows of jobs of every medium, drawn without a network."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ancestral.jobs.finalise import finalise
from ancestral.jobs.request_shards import Row
from ancestral.jobs.results import Results
from ancestral.jobs.spec import Job, Media, Sampling
from ancestral.models import to_media
from ancestral.orchestration.report.gallery import (
    CLIPS_PER_LINE,
    IMAGES_PER_LINE,
    LARGEST_BYTES,
    LARGEST_LABELS,
    NO_LABEL,
    REAL_PER_LINE,
    SOUNDS_PER_LINE,
    Gallery,
    Real,
    make_gallery,
)
from ancestral.orchestration.report.items import LONGEST_TEXT, Item, embedded
from ancestral.orchestration.report.page import render_report
from ancestral.workers.encode import encode, read_media
from ancestral.workers.images import encode_image, read_image
from tests.jobs.bundles import write_bundle
from tests.orchestration.report.pages import Reading, read_page
from tests.workers.fakes import FakeDrawn, House

FIELDS = {
    "label": {"type": "category", "values": ["cat", "dog"]},
    "voice": {"type": "category", "values": ["ada", "bob"], "default": "ada"},
}

COLOUR = {"medium": "image", "levels": 8, "shape": [3, 5, 3], "fields": FIELDS}
CLIP = {
    "medium": "video",
    "levels": 2,
    "shape": [4, 3, 5],
    "frames_per_second": 10,
    "fields": FIELDS,
}
SOUND = {
    "medium": "audio",
    "levels": 65536,
    "encoding": "linear",
    "sample_rate_hz": 8000,
    "shape": [400],
    "fields": FIELDS,
}
TALK = {
    **SOUND,
    "fields": {
        "speaker": FIELDS["voice"],
        "text": {"type": "text", "longest": 200, "characters": " abcdefghijklmnopqrstuvwxyz"},
    },
}
SERIES = {
    "medium": "series",
    "levels": None,
    "shape": [50],
    "likelihood_kind": "density",
    "fields": FIELDS,
}


class Painter:
    """A `WarmModel` that draws noise of its signature's shape in one advance."""

    numerics, free = "fake", 8

    def __init__(self, signature: dict[str, Any]) -> None:
        self.steps = 0
        self._signature = signature
        self._rows: list[tuple[Hashable, Row]] = []

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> int:
        self._rows.append((key, row))
        return 1

    def drop(self, key: Hashable) -> None:
        raise AssertionError("nobody takes rows away from a painter")

    def advance(self) -> Sequence[FakeDrawn]:
        self.steps += 1
        rows, self._rows = self._rows, []
        return [FakeDrawn(key, self._symbols(row.seed), -100.0, None) for key, row in rows]

    def to_media(self, symbols: np.ndarray) -> np.ndarray:
        return to_media(self._signature, symbols)

    def _symbols(self, seed: int) -> np.ndarray:
        generator = np.random.Generator(np.random.Philox(key=seed))
        if self._signature["levels"] is None:
            return generator.standard_normal(self._signature["shape"])
        return generator.integers(0, self._signature["levels"], self._signature["shape"])


class Painters:
    """The `WarmModels` of one worker."""

    device, slots = "cpu", 8

    def get(self, job: Job) -> Painter:
        return Painter(job.signature)

    def forget(self, model: object) -> None:
        raise AssertionError("a painter does not break")


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., tuple[Job, Results, Reading]]:
    """drawn(signature, labels, ...) is a finished job, its results and its report, read.

    In place of labels there can be whole requests, and `real` for the report.
    """

    def make(
        signature: dict[str, Any],
        labels: Sequence[str],
        requests: Sequence[dict[str, Any]] = (),
        real: Real | None = None,
        **spec: Any,
    ) -> tuple[Job, Results, Reading]:
        if requests:
            lines = (json.dumps(request) for request in requests)
            (tmp_path / "asked.jsonl").write_text("\n".join(lines))
            spec["input"] = str(tmp_path / "asked.jsonl")
        house = House(tmp_path)
        write_bundle(tmp_path / "model", signature)
        job = house.submit(labels, **spec)
        house.work(job, Painters())  # type: ignore[arg-type]
        results = house.client.results(job.job_id)
        manifest = finalise(house.client.store(job.job_id), job.job_id)
        report = tmp_path / "report.html"
        report.write_text(render_report(results, job, manifest, real=real), encoding="utf-8")
        return job, results, read_page(report)

    return make


def items_of(gallery: Gallery | None) -> list[Item]:
    assert gallery is not None
    return [item for line in gallery.lines for item in line.items if item is not None]


class Always:
    """A `Real` that has as many blank images, or silent sounds, as anybody wants."""

    def __init__(self, signature: dict[str, Any]) -> None:
        self._signature = signature
        self.asked: list[tuple[dict[str, Any], int]] = []

    def __call__(self, asked: Mapping[str, Any], count: int) -> list[Item]:
        self.asked.append((dict(asked), count))
        kind = np.int16 if self._signature["medium"] == "audio" else np.uint8
        artifact = encode(self._signature, np.zeros(self._signature["shape"], kind), {}, Media())
        item = embedded(self._signature["medium"], vars(artifact), artifact.data, "real", "real")
        return [item] * count


def bytes_of(item: Item) -> bytes:
    return base64.b64decode(item.data.partition(",")[2], validate=True)


@pytest.mark.parametrize(
    ("signature", "media", "media_type", "element"),
    [
        (COLOUR, {"image": "png"}, "image/png", "img"),
        (COLOUR, {"image": "webp"}, "image/webp", "img"),
        (CLIP, {"video": "webp"}, "image/webp", "img"),
        (CLIP, {"video": "mp4"}, "video/mp4", "video"),
        (SOUND, {"audio": "flac"}, "audio/flac", "audio"),
        (SOUND, {"audio": "wav"}, "audio/wav", "audio"),
        (SERIES, {}, "application/x-npy", "a"),
    ],
)
def test_artifacts_of_every_medium_are_shown_as_they_are(
    drawn: Callable[..., tuple[Job, Results, Reading]],
    signature: dict[str, Any],
    media: dict[str, str],
    media_type: str,
    element: str,
) -> None:
    # When
    job, results, page = drawn(signature, ["cat", "dog"], media=media)

    # Then every artifact is on the page, byte for byte, and gives back what was drawn
    kept = sorted(artifact.bytes() for artifact in results)
    items = items_of(make_gallery(job.signature, results.table(), results))
    assert sorted(map(bytes_of, items)) == kept
    assert all(item.data.startswith(f"data:{media_type};base64,") for item in items)
    addresses = {
        attributes.get("href" if element == "a" else "src") for attributes in page.all(element)
    }
    assert {item.data for item in items} == addresses
    for artifact in results:
        drawn_again = Painter(signature)._symbols(artifact.row["seed"])
        np.testing.assert_array_equal(
            read_media(signature, artifact.bytes()), to_media(signature, drawn_again)
        )
        assert artifact.row["media_type"] == media_type


def test_clips_stand_in_lines_by_label_and_are_enlarged(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    # Given more clips of one label than fit in a line
    job, results, page = drawn(CLIP, ["dog", *["cat"] * 10])

    gallery = make_gallery(job.signature, results.table(), results)

    assert gallery is not None
    assert [(line.label, len(line.items)) for line in gallery.lines] == [
        ("cat", CLIPS_PER_LINE),
        ("dog", 1),
    ]
    assert {(item.width, item.height) for item in items_of(gallery)} == {(80, 48)}
    assert f"{CLIPS_PER_LINE + 1} of 11 clips: the first of each label, not picked." in page.text
    assert "11 clips asked for by label and voice" in page.text


@pytest.mark.parametrize(
    ("signature", "length", "words"),
    [(SOUND, "0.05 s", "2 of 3 sounds"), (SERIES, "50 values", "2 of 3 series")],
)
def test_sounds_and_series_stand_by_two_categories_each_with_a_drawing(
    drawn: Callable[..., tuple[Job, Results, Reading]],
    signature: dict[str, Any],
    length: str,
    words: str,
) -> None:
    job, results, page = drawn(signature, ["cat", "dog", "cat"])

    gallery = make_gallery(job.signature, results.table(), results)

    assert gallery is not None
    assert (gallery.columns, [line.label for line in gallery.lines]) == (["ada"], ["cat", "dog"])
    assert [item.length for item in items_of(gallery)] == [length] * 2
    assert [item.name for item in items_of(gallery)] == [
        "label cat, voice ada",
        "label dog, voice ada",
    ]
    assert len([svg for svg in page.all("svg") if svg.get("class") == "wave"]) == 2
    assert f"{words}: the first of each label and voice, not picked." in page.text
    symbols = "real numbers" if signature["levels"] is None else "65,536 levels"
    assert symbols in page.text


def test_texts_stand_in_their_order_by_voice(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    # Given texts out of the alphabet's order, one of them twice and one of them long
    long = "quite a long text that goes on " * 5
    asked = [("seven", "bob"), ("a b", "ada"), ("seven", "ada"), (long, "ada"), ("seven", "bob")]
    requests = [{"text": text, "speaker": speaker} for text, speaker in asked]

    job, results, page = drawn(TALK, [], requests)

    # Then
    gallery = make_gallery(job.signature, results.table(), results)
    assert gallery is not None
    cut = f"{long[: LONGEST_TEXT - 1]}…"
    assert [line.label for line in gallery.lines] == ["seven", "a b", cut]
    assert gallery.columns == ["ada", "bob"]
    names = [[item and item.name for item in line.items] for line in gallery.lines]
    assert names[0] == ["speaker ada, text seven", "speaker bob, text seven"]
    assert names[2] == [f"speaker ada, text {cut}", None]
    assert "4 of 5 sounds: the first of each text and speaker, not picked." in page.text


def test_those_without_a_label_have_a_line_of_their_own(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    # Given a label that may be left out, and real ones to compare with
    label = {**FIELDS["label"], "default": None}
    signature = {**COLOUR, "fields": {"label": label, "voice": FIELDS["voice"]}}
    real = Always(signature)

    # When some requests leave it out
    asked = [{}, {"label": "dog"}, {}]
    job, results, page = drawn(signature, [], asked, real)

    # Then they come last, and anything real may stand beside them
    gallery = make_gallery(job.signature, results.table(), results)
    assert gallery is not None
    lines = [(line.label, len(line.items)) for line in gallery.lines]
    assert lines == [("dog", 1), (NO_LABEL, 2)]
    assert "3 of 3 images: the first of each label, not picked." in page.text
    assert real.asked == [({"label": "dog"}, REAL_PER_LINE), ({}, REAL_PER_LINE)]


def test_a_label_that_nobody_asked_for_lays_out_nothing(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    # Given sounds that were asked for by voice alone
    label = {**FIELDS["label"], "default": None}
    signature = {**SOUND, "fields": {"label": label, "voice": FIELDS["voice"]}}

    job, results, page = drawn(signature, [], [{"voice": "bob"}, {"voice": "ada"}])

    gallery = make_gallery(job.signature, results.table(), results)
    assert gallery is not None
    assert [line.label for line in gallery.lines] == ["ada", "bob"]
    assert "2 of 2 sounds: the first of each voice, not picked." in page.text


def test_the_caption_says_which_labels_are_not_shown(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    # Given more texts and speakers than there are lines and columns
    voices = [f"voice {number}" for number in range(SOUNDS_PER_LINE + 1)]
    fields = {**TALK["fields"], "speaker": {"type": "category", "values": voices}}
    speakers = [*voices[:-1] * 4, *voices[-2:]]
    requests = [{"text": "a" * n, "speaker": who} for n, who in enumerate(speakers, start=1)]

    _, _, page = drawn({**TALK, "fields": fields}, [], requests)

    said = f"each text ({LARGEST_LABELS} of 22) and speaker ({SOUNDS_PER_LINE} of 6), not picked."
    assert f"the first of {said}" in page.text


def test_what_a_page_cannot_hold_is_passed_over(
    drawn: Callable[..., tuple[Job, Results, Reading]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two cats and a dog, of which the page holds all but the first cat
    job, results, _ = drawn(SERIES, ["cat", "cat", "dog"])
    kept = list(results)
    monkeypatch.setattr(results, "artifact", lambda row: kept[row["ordinal"]])
    table = results.table()
    lengths = pa.array([LARGEST_BYTES + 1, LARGEST_BYTES - 1, 1])
    long = table.set_column(table.schema.get_field_index("length"), "length", lengths)

    gallery = make_gallery(job.signature, long, results)

    # Then it is passed over
    assert gallery is not None
    assert [[item is not None for item in line.items] for line in gallery.lines] == [[True], [True]]
    assert "2 of 3 series: the first of each label and voice, none over 4" in gallery.caption

    # And what no longer finds room has no line
    two = long.set_column(long.schema.get_field_index("length"), "length", [[2, 3, LARGEST_BYTES]])
    gallery = make_gallery(job.signature, two, results)
    assert gallery is not None
    assert [line.label for line in gallery.lines] == ["cat"]
    assert "1 of 3 series: the first of each label (1 of 2) and voice" in gallery.caption

    # And where all are too large there is none
    assert make_gallery(job.signature, long.slice(0, 1), results) is None


def test_a_sound_has_its_spectrogram(drawn: Callable[..., tuple[Job, Results, Reading]]) -> None:
    _, results, page = drawn(SOUND, ["cat", "dog"])

    # Then each has a picture of its own: half a window's pitches, and a moment each 8 ms
    pictures = {image["src"] for image in page.all("img") if image["class"] == "spectrogram"}
    assert len(pictures) == len(list(results)) == 2
    for picture in pictures:
        head, _, data = str(picture).partition(",")
        assert head == "data:image/webp;base64"
        assert read_image(base64.b64decode(data)).shape == (129, 7, 3)


def test_pictures_without_labels_stand_in_several_lines(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    job, results, page = drawn({**COLOUR, "fields": {}}, [], [{} for _ in range(30)])

    gallery = make_gallery(job.signature, results.table(), results)

    assert gallery is not None
    lengths = [len(line.items) for line in gallery.lines]
    assert lengths == [IMAGES_PER_LINE, IMAGES_PER_LINE, 30 - 2 * IMAGES_PER_LINE]
    assert "30 of 30 images: the first, not picked." in page.text


def test_real_pictures_stand_in_front_of_each_line(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    # When a job is shown beside real ones
    real = Always(COLOUR)
    _, _, page = drawn(COLOUR, ["cat"] * 20 + ["dog"], real=real)

    # Then a line is as long as it would be without them, and they are what it asked for
    assert real.asked == [({"label": name}, REAL_PER_LINE) for name in ("cat", "dog")]
    shown = [image["alt"] for image in page.all("img")]
    drawn_cats = ["label cat, voice ada"] * (IMAGES_PER_LINE - REAL_PER_LINE)
    reals = ["real"] * REAL_PER_LINE
    assert shown == [*reals, *drawn_cats, *reals, "label dog, voice ada"]
    assert "In front of them, real ones that were held out." in page.text
    assert "held out" not in drawn(COLOUR, ["cat"])[2].text


def test_a_real_sound_stands_under_each_drawn_one(
    drawn: Callable[..., tuple[Job, Results, Reading]],
) -> None:
    requests = [{"text": "one", "speaker": "ada"}, {"text": "two", "speaker": "bob"}]
    real = Always(TALK)

    _, _, page = drawn(TALK, [], requests, real)

    asked = [(text, who) for text in ("one", "two") for who in ("ada", "bob")]
    assert real.asked == [({"text": text, "speaker": who}, 1) for text, who in asked]
    assert [player["aria-label"] for player in page.all("audio")] == [
        "speaker ada, text one",
        "real",
        "real",
        "real",
        "speaker bob, text two",
        "real",
    ]
    assert "Under them, real ones that were held out." in page.text


def test_a_job_that_only_scores_has_a_report_without_a_gallery(
    drawn: Callable[..., tuple[Job, Results, Reading]], tmp_path: Path
) -> None:
    # Given two images to score
    (tmp_path / "image.png").write_bytes(encode_image(np.zeros((3, 5, 3), np.uint8), {}))
    requests = tmp_path / "scores.jsonl"
    line = json.dumps({"label": "cat", "artifact": str(tmp_path / "image.png")})
    requests.write_text(f"{line}\n{line}\n")

    job, results, page = drawn(COLOUR, ["cat"], kind="score", input=str(requests))

    assert [(artifact.ok, artifact.stored) for artifact in results] == [(True, False)] * 2
    assert make_gallery(job.signature, results.table(), results) is None
    assert page.all("img") == []
    assert "2 ok, of 2" in page.text
    # 100 nats of 45 symbols
    assert "3.206 on average" in page.text
