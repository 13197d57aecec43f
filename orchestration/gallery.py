"""What a report shows of a job: the first artifacts of each label, embedded in the page.

Nothing is picked for its looks: of every label, the rows of the lowest ordinals are shown.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from ancestral.jobs.index import CONDITION_PREFIX
from ancestral.jobs.results import Results
from ancestral.orchestration.drawings import curve, waveform
from ancestral.workers.series import read_series
from ancestral.workers.sounds import read_recording

#: How many labels have a line of their own, and how many items stand in a line.
LARGEST_LABELS = 20
IMAGES_PER_LINE = 12
CLIPS_PER_LINE = 8
SOUNDS_PER_LINE = 5
#: What many of a medium are called.
PLURALS = {"image": "images", "audio": "sounds", "video": "clips", "series": "series"}
#: Media that are looked at, in lines of pictures; the others lie in the cells of a table.
PICTURES = ("image", "video")
#: Artifacts are embedded until they are this many bytes together.
LARGEST_BYTES = 4_000_000
#: Images and clips are enlarged by a whole factor to about this many pixels.
IMAGE_PIXELS = 80

NO_DRAWING = Markup()

#: Types of fields whose values say in a word what was asked for.
_WORDS = ("category", "integer")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One artifact: a data URI, its name for those who cannot see it, its facts for a tooltip.

    `element` shows it on the page: img, video, audio, or none, where the drawing alone shows it.
    Width and height are a picture's on the page; length and drawing are a sound's or a series'.
    """

    element: str
    data: str
    name: str
    facts: str
    width: int = 0
    height: int = 0
    length: str = ""
    drawing: Markup = NO_DRAWING


@dataclass(frozen=True)
class Line:
    """The items of one label; None where a column has none."""

    label: str | None
    items: Sequence[Item | None]


@dataclass(frozen=True)
class Gallery:
    """Lines of items; `columns` names them when the cells of a table have a second category."""

    medium: str
    lines: Sequence[Line]
    columns: Sequence[str]
    caption: str


@dataclass(frozen=True)
class _Choice:
    """The rows to show: lines of a label and its rows, and the names of the columns if any."""

    lines: list[tuple[str | None, list[Row | None]]]
    columns: list[str]


def make_gallery(signature: Mapping[str, Any], table: pa.Table, results: Results) -> Gallery | None:
    """Embed the first artifacts of the ok rows of `table`, the index.

    None when there are none, as in a job that only scores. Raises StoreError when an artifact
    cannot be read.
    """
    ok = table.filter(pc.and_(pc.equal(table["status"], "ok"), table["uri"].is_valid()))
    if not ok.num_rows:
        return None
    medium = signature["medium"]
    choice = _within_bytes(_choose(signature, ok.sort_by("ordinal")))
    wanted = {row["ordinal"] for _, rows in choice.lines for row in rows if row is not None}
    data = read_artifacts(results, wanted)
    item = functools.partial(item_of, signature)
    lines = [
        Line(label, [None if row is None else item(row, data[row["ordinal"]]) for row in rows])
        for label, rows in choice.lines
    ]
    each = " and ".join(_categories(signature)[: 2 if choice.columns else 1])
    caption = (
        f"{len(wanted):,} of {ok.num_rows:,} {PLURALS[medium]}: "
        f"the first{'' if len(lines) == 1 else f' of each {each}'}, not picked."
    )
    return Gallery(medium, lines, choice.columns, caption)


def _choose(signature: Mapping[str, Any], ok: pa.Table) -> _Choice:
    medium, categories = signature["medium"], _categories(signature)
    limit = {"image": IMAGES_PER_LINE, "video": CLIPS_PER_LINE}.get(medium, SOUNDS_PER_LINE)
    if not categories:
        return _Choice([(None, list(_first(ok, limit)))], [])
    first, *others = categories
    labels = _values(ok, first)[:LARGEST_LABELS]
    if medium in PICTURES or not others:
        return _Choice(
            [(str(label), list(_first(_where(ok, first, label), limit))) for label in labels], []
        )
    columns = _values(ok, others[0])[:SOUNDS_PER_LINE]
    lines: list[tuple[str | None, list[Row | None]]] = []
    for label in labels:
        of_label = _where(ok, first, label)
        cells = [_first(_where(of_label, others[0], column), 1) for column in columns]
        lines.append((str(label), [cell[0] if cell else None for cell in cells]))
    return _Choice(lines, [str(column) for column in columns])


def _categories(signature: Mapping[str, Any]) -> list[str]:
    return [name for name, field in signature["fields"].items() if field["type"] == "category"]


def _within_bytes(choice: _Choice) -> _Choice:
    """The choice up to the row that would make the page too large."""
    total = 0
    lines: list[tuple[str | None, list[Row | None]]] = []
    for label, rows in choice.lines:
        kept: list[Row | None] = []
        for row in rows:
            total += row["length"] if row is not None else 0
            kept.append(row if total <= LARGEST_BYTES else None)
        lines.append((label, kept if choice.columns else [row for row in kept if row is not None]))
    return _Choice([line for line in lines if any(line[1])], choice.columns)


def read_artifacts(results: Results, ordinals: set[int]) -> dict[int, bytes]:
    """The artifacts of these rows. Raises StoreError."""
    data: dict[int, bytes] = {}
    for artifact in results:
        if artifact.row["ordinal"] in ordinals:
            data[artifact.row["ordinal"]] = artifact.bytes()
        if len(data) == len(ordinals):
            break
    return data


def _values(table: pa.Table, field: str) -> list[Any]:
    return sorted(table[CONDITION_PREFIX + field].drop_null().unique().to_pylist())


def _where(table: pa.Table, field: str, value: object) -> pa.Table:
    return table.filter(pc.equal(table[CONDITION_PREFIX + field], value))


def _first(table: pa.Table, rows: int) -> list[Row]:
    return list(table.slice(0, rows).to_pylist())


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
    match medium:
        case "audio":
            length = f"{about['duration_seconds']:.2f} s"
            drawing = waveform(read_recording(data)[0])
            return Item(
                "audio", _data_uri(about, data), name, facts, length=length, drawing=drawing
            )
        case "series":
            length = f"{about['frames']:,} values"
            drawing = curve(read_series(data))
            return Item("none", _data_uri(about, data), name, facts, length=length, drawing=drawing)
        case _:
            element = "video" if about["media_type"].startswith("video/") else "img"
            factor = enlargement(about)
            width, height = about["width"] * factor, about["height"] * factor
            return Item(element, _data_uri(about, data), name, facts, width, height)


def enlargement(about: Row) -> int:
    """The whole factor by which pictures of this width and height are shown."""
    factor: int = max(1, round(IMAGE_PIXELS / max(about["width"], about["height"])))
    return factor


def _data_uri(row: Row, data: bytes) -> str:
    return f"data:{row['media_type']};base64,{base64.b64encode(data).decode()}"


def _name(signature: Mapping[str, Any], row: Row) -> str:
    """What was asked for, in words: "label 3" or "digit 7, speaker en_US_f_Allison"."""
    values = {
        name: row[CONDITION_PREFIX + name]
        for name, field in signature["fields"].items()
        if field["type"] in _WORDS
    }
    words = [f"{name} {value}" for name, value in values.items() if value is not None]
    return ", ".join(words) or f"request {row['request_id']}"
