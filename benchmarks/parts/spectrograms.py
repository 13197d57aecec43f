"""A word and a piece of piano as spectrograms: a real one that was held out, beside a drawn one.

    cd benchmarks
    python -m parts.spectrograms [--speech MODEL] [--piano MODEL] [--text WORD]
                                 [--speakers NAME ...] [--temperature T] FILE.png

Nothing is picked: the real one is the first of its table, and the drawn one has the seed 0. MODEL
is the name of a model, or the path or URI of a bundle. The tables fsdd and piano are looked for in
the folder ANCESTRAL_DATA.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ancestral.jobs.datasets import read_table
from ancestral.jobs.errors import JobError, SpecError
from ancestral.models import ModelError, normalise_loudness
from ancestral.orchestration.spectrograms import coloured, spectrogram
from ancestral.orchestration.training.decoding import decode_sound
from ancestral.orchestration.training.tables import table_uri
from parts.asked import Asked, open_bundle

#: Of a picture, and of what is left for words at its left, above it and below it.
WIDTH, HEIGHT = 460, 230
LEFT, TOP, BOTTOM = 54, 30, 26

WORDS_PIXELS = 15
PAPER, INK, SOFT = (255, 255, 255), (28, 27, 25), (95, 91, 84)


@dataclass(frozen=True)
class Pair:
    """A real sound and a drawn one (T,) of the same kind."""

    title: str
    real: NDArray[np.int16]
    drawn: NDArray[np.int16]
    sample_rate_hz: int


def said(asked: Asked, text: str, speaker: str) -> Pair:
    """A word by a voice. Raises SpecError when nobody says it in the table."""
    real = _first("fsdd", {"text": text, "speaker": speaker})
    fields = asked.fields({"text": text, "speaker": speaker})
    return _pair(asked, f"{text}, {speaker}", normalise_loudness(real), fields)


def played(asked: Asked) -> Pair:
    """As much piano as a row of the table has."""
    real = _first("piano", {})
    seconds = len(real) / asked.signature["sample_rate_hz"]
    return _pair(asked, "piano", real, asked.fields({"seconds": seconds}))


def sheet(pairs: list[Pair]) -> Image.Image:
    """A line for each pair, the two on one scale of time."""
    page = Image.new("RGB", (2 * (LEFT + WIDTH) + LEFT // 2, len(pairs) * _line()), PAPER)
    for number, pair in enumerate(pairs):
        longest = max(len(pair.real), len(pair.drawn))
        for column, (kind, sound) in enumerate((("real", pair.real), ("drawn", pair.drawn))):
            corner = (column * (LEFT + WIDTH) + LEFT, number * _line() + TOP)
            _place(page, corner, f"{pair.title}: {kind}", sound, pair.sample_rate_hz, longest)
    return page


def _line() -> int:
    return TOP + HEIGHT + BOTTOM


def _place(
    page: Image.Image,
    corner: tuple[int, int],
    title: str,
    sound: NDArray[np.int16],
    sample_rate_hz: int,
    longest: int,
) -> None:
    """Draw a sound with its axes; one of `longest` samples would be WIDTH pixels wide."""
    left, top = corner
    width = max(1, round(WIDTH * len(sound) / longest))
    picture = Image.fromarray(coloured(spectrogram(sound, sample_rate_hz)))
    page.paste(picture.resize((width, HEIGHT), Image.Resampling.BICUBIC), corner)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(WORDS_PIXELS)
    below = top + HEIGHT
    draw.text((left, top - 8), title, INK, font, anchor="ls")
    draw.text((left - 6, top), f"{sample_rate_hz / 2000:g} kHz", SOFT, font, anchor="rt")
    draw.text((left - 6, below), "0", SOFT, font, anchor="rb")
    seconds = f"{len(sound) / sample_rate_hz:.2f} s"
    draw.text((left + width, below + 5), seconds, SOFT, font, anchor="rt")


def _pair(asked: Asked, title: str, real: NDArray[np.int16], fields: Mapping[str, object]) -> Pair:
    (drawn,), _ = asked.draw([fields])
    return Pair(title, asked.heard(real), drawn, asked.signature["sample_rate_hz"])


def _first(table: str, wanted: Mapping[str, str]) -> NDArray[np.int16]:
    """The first sound of that kind among those that are held out."""
    for row in read_table(table_uri(table), ["audio", "codec", *wanted], split="test"):
        if all(row[name] == value for name, value in wanted.items()):
            return decode_sound(row["audio"], row["codec"])
    raise SpecError(f"the table {table} holds out no sound of {dict(wanted)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", metavar="MODEL", default="spoken-digits")
    parser.add_argument("--piano", metavar="MODEL", default="piano")
    parser.add_argument("--text", metavar="WORD", default="seven")
    parser.add_argument("--speakers", metavar="NAME", nargs="+", default=["theo", "nicolas"])
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T")
    parser.add_argument("file", type=Path, metavar="FILE.png")
    arguments = parser.parse_args()
    try:
        voice, piano = (
            open_bundle(model, arguments.temperature)
            for model in (arguments.speech, arguments.piano)
        )
        pairs = [said(voice, arguments.text, speaker) for speaker in arguments.speakers]
        page = sheet([*pairs, played(piano)])
    except (JobError, ModelError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # It has few colours, and takes few bytes when it says so.
    page.quantize(256).save(arguments.file, optimize=True)


if __name__ == "__main__":
    main()
