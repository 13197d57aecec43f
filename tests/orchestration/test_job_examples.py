"""What a model is said to take, and the jobs that can be pasted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.fields import checked
from ancestral.jobs.kinds import KINDS, kinds_of
from ancestral.jobs.settings import Settings
from ancestral.orchestration.job_examples import FILES, default, example_job, makes, takes
from tests.jobs.bundles import AUTOENCODER, CLIPS, DIGITS, SERIES, SPEECH, TALK, write_bundle

SIGNATURES = {
    "digits": DIGITS,
    "speech": SPEECH,
    "talk": TALK,
    "clips": CLIPS,
    "series": SERIES,
    "autoencoder": AUTOENCODER,
}


@pytest.mark.parametrize(
    ("model", "kind"),
    [(model, kind) for model, one in SIGNATURES.items() for kind in KINDS if kind in kinds_of(one)],
)
def test_an_example_is_accepted_as_it_is(
    model: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the files that it names
    monkeypatch.chdir(tmp_path)
    for medium, file in FILES.items():
        for name in (file, f"another-{file}"):
            beginning = b"\x93NUMPY" if medium == "series" else b"GIF8"
            (tmp_path / name).write_bytes(beginning + b", some medium")
    write_bundle(tmp_path / model, SIGNATURES[model])
    client = Client(Settings(tmp_path / "home", str(tmp_path / "state")))

    spec = example_job(f"./{model}", SIGNATURES[model], kind)

    job = client.submit(spec)
    assert (job.spec.kind, job.requests) == (kind, 1)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("digits", "images of 20 x 20 pixels in 16 levels"),
        ("speech", "sounds at 8,000 Hz in 256 levels"),
        ("clips", "clips of 6 frames of 16 x 16 pixels in 2 levels, 8 frames a second"),
        ("series", "series of real numbers"),
        ("autoencoder", "images of 8 x 8 pixels in colour in 256 levels"),
    ],
)
def test_what_a_model_makes(model: str, words: str) -> None:
    assert makes(SIGNATURES[model]) == words


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "category", "values": ["a", 7]}, "one of a, 7"),
        ({"type": "category", "values": list(range(99))}, "one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"type": "number", "minimum": 0.5, "maximum": 2}, "from 0.5 to 2"),
        ({"type": "integer", "minimum": 0}, "from 0"),
        ({"type": "number"}, "any"),
        ({"type": "vector", "length": 4}, "4 numbers"),
        ({"type": "map", "shape": [1, 2, 3]}, "1 x 2 x 3 numbers"),
        ({"type": "media"}, "a file, a piece of one, or its bytes"),
        ({"type": "text", "longest": 2000}, "up to 2,000 characters"),
        (
            {"type": "text", "longest": 9, "characters": "ab '"},
            "up to 9 characters of ab' and blanks",
        ),
        (
            {"type": "text", "longest": 9, "characters": "ab" * 21},
            f"up to 9 characters of {'ab' * 20}...",
        ),
    ],
)
def test_what_a_field_takes(field: dict[str, Any], words: str) -> None:
    assert takes(field).startswith(words)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ({"longest": 9}, "seven"),
        ({"longest": 3}, "sev"),
        ({"longest": 9, "characters": "ensv"}, "seven"),
        ({"longest": 9, "characters": "abc defg"}, "abcde"),
        ({"longest": 2, "characters": "жбв"}, "жб"),
    ],
)
def test_the_example_of_a_text_can_be_read(declared: dict[str, Any], value: str) -> None:
    field = {"type": "text", **declared}
    job = example_job("talk", {**TALK, "fields": {"text": field}}, "generate")
    assert job["grid"] == {"text": [value]}
    assert checked("text", field, value) == value


def test_little_is_kept_of_a_sound_so_that_it_is_less_than_a_word() -> None:
    short = {**SPEECH, "max_length": SPEECH["sample_rate_hz"] // 2}

    jobs = [example_job("any", each, "complete") for each in (TALK, SPEECH, short)]

    assert [job["grid"]["keep"] for job in jobs] == [[0.1], [0.1], [0.0501]]


def test_what_a_request_without_the_field_gets() -> None:
    fields = [{}, {"default": None}, {"default": 0}]
    assert [default(field) for field in fields] == ["(required)", "null", "0"]
