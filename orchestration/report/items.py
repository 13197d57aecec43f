"""One artifact as a report shows it, embedded in the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ancestral.jobs.index import CONDITION_PREFIX
from ancestral.orchestration.report.drawings import curve, waveform
from ancestral.orchestration.spectrograms import coloured, spectrogram
from ancestral.workers.images import encode_image
from ancestral.workers.series import read_series
from ancestral.workers.sounds import read_recording

#: Images and clips are enlarged by a whole factor to about this many pixels.
IMAGE_PIXELS = 80
#: Moments of a sound's spectrogram, at most.
SPECTROGRAM_COLUMNS = 320
#: Characters of a text that are shown.
LONGEST_TEXT = 60

NO_DRAWING = Markup()

#: Types of fields whose values say in a word what was asked for.
_WORDS = ("text", "category", "integer", "number")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One artifact: a data URI, its name for those who cannot see it, its facts for a tooltip.

    `element` shows it on the page: img, video, audio, or none, where the drawing alone shows it.
    Width and height are a picture's on the page; length and drawing are a sound's or a series', and
    `spectrogram` is a sound's, as a data URI.
    """

    element: str
    data: str
    name: str
    facts: str
    width: int = 0
    height: int = 0
    length: str = ""
    drawing: Markup = NO_DRAWING
    spectrogram: str = ""


def item_of(signature: Mapping[str, Any], row: Row, data: bytes) -> Item:
    """The artifact of a row of the index."""
    name = _name(signature, row)
    facts = (
        f"{name} · request {row['request_id']}, sample {row['sample']}, seed {row['seed']} · "
        f"{row['bits_per_dim']:.3f} bits per dimension"
    )
    return embedded(signature["medium"], row, data, name, facts)


def embedded(medium: str, about: Row, data: bytes, name: str, facts: str) -> Item:
    """The bytes of a medium as an item; `about` tells of them what the columns of an index do."""
    uri = _data_uri(about["media_type"], data)
    match medium:
        case "audio":
            sound, sample_rate_hz = read_recording(data)
            greys = spectrogram(sound, sample_rate_hz, most_columns=SPECTROGRAM_COLUMNS)
            return Item(
                "audio",
                uri,
                name,
                facts,
                length=f"{about['duration_seconds']:.2f} s",
                drawing=waveform(sound),
                spectrogram=_data_uri("image/webp", encode_image(coloured(greys), {}, "webp")),
            )
        case "series":
            length = f"{about['frames']:,} values"
            return Item("none", uri, name, facts, length=length, drawing=curve(read_series(data)))
        case _:
            element = "video" if about["media_type"].startswith("video/") else "img"
            factor = enlargement(about)
            width, height = about["width"] * factor, about["height"] * factor
            return Item(element, uri, name, facts, width, height)


def enlargement(about: Row) -> int:
    """The whole factor by which pictures of this width and height are shown."""
    factor: int = max(1, round(IMAGE_PIXELS / max(about["width"], about["height"])))
    return factor


def shown_value(value: object) -> str:
    """The value of a field as people read it; a long text is cut."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _data_uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _name(signature: Mapping[str, Any], row: Row) -> str:
    """What was asked for, in words: "label 3" or "text seven, speaker theo"."""
    values = {
        name: row[CONDITION_PREFIX + name]
        for name, field in signature["fields"].items()
        if field["type"] in _WORDS
    }
    words = [f"{name} {shown_value(value)}" for name, value in values.items() if value is not None]
    return ", ".join(words) or f"request {row['request_id']}"
