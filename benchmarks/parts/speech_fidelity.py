"""Do generated words say what they were asked for, in the voice that was asked for, and are they
new?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ancestral.jobs.datasets import read_table
from ancestral.jobs.errors import SpecError
from ancestral.models import normalise_loudness
from ancestral.orchestration.training.decoding import decode_sound
from ancestral.orchestration.training.tables import table_uri
from parts.asked import Asked
from parts.classifiers import Shape
from parts.hearing import Augmented, LogMels, Sound, placed
from parts.judgements import Fidelity, Judgement, Labelled, Task
from parts.nearness import Nearness, nearness, spectral_distances, wave_distances

TABLE = "fsdd"
SPLITS = ("train", "test")
COLUMNS = ("audio", "codec", "sample_rate", "text", "digit", "speaker")

#: Of generated sounds, the shares that the classifiers have to name as asked.
WORD_TARGET, SPEAKER_TARGET = 0.90, 0.80

SHAPE = Shape(widths=(24, 48, 64, 96), poolings=3)


@dataclass(frozen=True)
class Words:
    """Sounds, and which word is said in each, and by whom."""

    sounds: list[Sound]
    words: list[str]
    speakers: list[str]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Word and speaker of each sound."""
        return list(zip(self.words, self.speakers, strict=True))


def speech_fidelity(asked: Asked, each: int, epochs: int) -> Fidelity:
    """Draw so many of each word by each speaker of the table.

    Raises SpecError when the table is not there, or when the bundle cannot be asked for that.
    """
    rows = {split: list(read_table(table_uri(TABLE), COLUMNS, split=split)) for split in SPLITS}
    training, held_out = (_real(asked, rows[split]) for split in SPLITS)
    digits = {row["text"]: row["digit"] for row in rows["train"]}
    words = sorted(digits, key=digits.__getitem__)
    kinds = sorted(set(training.kinds)) * each
    drawn, seconds = asked.draw([_fields(asked, digits, *kind) for kind in kinds])
    samples = Words(drawn, [word for word, _ in kinds], [speaker for _, speaker in kinds])
    rate = asked.signature["sample_rate_hz"]
    return Fidelity(
        case="speech",
        model=asked.model,
        digest=asked.bundle.digest,
        temperature=asked.temperature,
        top_p=asked.top_p,
        guidance=asked.guidance,
        samples=len(drawn),
        drawing_seconds=seconds,
        judgements=list(_judgements(words, training, samples, held_out, rate, epochs)),
        nearness=list(_nearness(training, samples, held_out, rate)),
    )


def _fields(asked: Asked, digits: Mapping[str, int], word: str, speaker: str) -> dict[str, Any]:
    """How a bundle is asked for a word: by its text, or by the digit if it knows no texts."""
    by_text = "text" in asked.signature["fields"]
    said = {"text": word} if by_text else {"digit": digits[word]}
    return asked.fields({**said, "speaker": speaker})


def _real(asked: Asked, rows: list[dict[str, Any]]) -> Words:
    """Recordings as the bundle could draw them, all equally loud."""
    rate = asked.signature.get("sample_rate_hz")
    if any(row["sample_rate"] != rate for row in rows):
        raise SpecError(f"{asked.model} makes no sounds of the sample rate that {TABLE} has")
    sounds = [normalise_loudness(decode_sound(row["audio"], row["codec"])) for row in rows]
    return Words(
        [asked.heard(sound) for sound in sounds],
        [row["text"] for row in rows],
        [row["speaker"] for row in rows],
    )


def _judgements(
    words: list[str],
    training: Words,
    samples: Words,
    held_out: Words,
    sample_rate_hz: int,
    epochs: int,
) -> Iterator[Judgement]:
    """One of the words, and one of the speakers."""
    hears = LogMels(sample_rate_hz)
    learned = placed(training.sounds, sample_rate_hz)
    judged = [hears(placed(some.sounds, sample_rate_hz)) for some in (samples, held_out)]
    speakers = sorted(set(training.speakers))
    for condition, classes, target in (
        ("word", words, WORD_TARGET),
        ("speaker", speakers, SPEAKER_TARGET),
    ):
        print(f"{TABLE}: a classifier of the {condition} learns", file=sys.stderr)
        names = [getattr(some, f"{condition}s") for some in (training, samples, held_out)]
        labels = [torch.tensor([classes.index(name) for name in of_part]) for of_part in names]
        task = Task(
            condition=condition,
            classes=classes,
            training=Labelled(learned, labels[0]),
            shape=SHAPE,
            augment=Augmented(sample_rate_hz),
            epochs=epochs,
            target=target,
        )
        yield task.judge(Labelled(judged[0], labels[1]), Labelled(judged[1], labels[2]))


def _nearness(
    training: Words, samples: Words, held_out: Words, sample_rate_hz: int
) -> Iterator[Nearness]:
    """Spectra among all recordings, waves among those of the same kind."""
    print(f"{TABLE}: distances to the training recordings", file=sys.stderr)
    spectra = [
        spectral_distances(some.sounds, training.sounds, sample_rate_hz)
        for some in (samples, held_out)
    ]
    yield nearness("spectra", *spectra)
    known: dict[tuple[str, str], list[Sound]] = {kind: [] for kind in training.kinds}
    for kind, sound in zip(training.kinds, training.sounds, strict=True):
        known[kind].append(sound)
    waves = [
        wave_distances(some.sounds, some.kinds, known, sample_rate_hz)
        for some in (samples, held_out)
    ]
    yield nearness("waves", *waves)
