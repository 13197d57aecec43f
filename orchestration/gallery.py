"""What a report shows of a job: the first artifacts of each label, embedded in the page.

Nothing is picked for its looks: of every label, the rows of the lowest ordinals are shown.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from ancestral.jobs.index import CONDITION_PREFIX
from ancestral.jobs.results import Results
from ancestral.orchestration.drawings import waveform
from ancestral.workers.encode import decode_audio

#: How many labels have a line of their own, and how many items stand in a line.
LARGEST_LABELS = 20
IMAGES_PER_LINE = 12
SOUNDS_PER_LINE = 5
#: Artifacts are embedded until they are this many bytes together.
LARGEST_BYTES = 4_000_000
#: Images are enlarged by a whole factor to about this many pixels.
IMAGE_PIXELS = 80

NO_DRAWING = Markup()

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One artifact: a data URI, its name for those who cannot see it, its facts for a tooltip.

    Width and height are an image's on the page; length and drawing are a sound's.
    """

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
    """Lines of items; `columns` names them when sounds have a second category."""

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
    """Embed the first artifacts of the ok rows of `table`, the index; None when there are none.

    Raises StoreError when an artifact cannot be read.
    """
    ok = table.filter(pc.equal(table["status"], "ok")).sort_by("ordinal")
    if not ok.num_rows:
        return None
    medium = signature["medium"]
    choice = _within_bytes(_choose(signature, ok))
    wanted = {row["ordinal"] for _, rows in choice.lines for row in rows if row is not None}
    data = _read(results, wanted)
    item = _image if medium == "image" else _sound
    lines = [
        Line(label, [None if row is None else item(row, data[row["ordinal"]]) for row in rows])
        for label, rows in choice.lines
    ]
    each = "of each label and voice" if choice.columns else "of each label"
    caption = (
        f"{len(wanted):,} of {ok.num_rows:,} {'images' if medium == 'image' else 'sounds'}: "
        f"the first{'' if len(lines) == 1 else f' {each}'}, not picked."
    )
    return Gallery(medium, lines, choice.columns, caption)


def _choose(signature: Mapping[str, Any], ok: pa.Table) -> _Choice:
    fields = signature["fields"]
    categories = [name for name, field in fields.items() if field["type"] == "category"]
    limit = IMAGES_PER_LINE if signature["medium"] == "image" else SOUNDS_PER_LINE
    if not categories:
        return _Choice([(None, list(_first(ok, limit)))], [])
    first, *others = categories
    labels = _values(ok, first)[:LARGEST_LABELS]
    if signature["medium"] == "image" or not others:
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


def _read(results: Results, ordinals: set[int]) -> dict[int, bytes]:
    """The artifacts of these rows."""
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


def _image(row: Row, data: bytes) -> Item:
    factor = max(1, round(IMAGE_PIXELS / max(row["width"], row["height"])))
    return Item(
        _data_uri(row, data),
        _name(row),
        _facts(row),
        width=row["width"] * factor,
        height=row["height"] * factor,
    )


def _sound(row: Row, data: bytes) -> Item:
    samples, _, _ = decode_audio(data)
    return Item(
        _data_uri(row, data),
        _name(row),
        _facts(row),
        length=f"{row['duration_seconds']:.2f} s",
        drawing=waveform(samples),
    )


def _data_uri(row: Row, data: bytes) -> str:
    return f"data:{row['media_type']};base64,{base64.b64encode(data).decode()}"


def _name(row: Row) -> str:
    """What was asked for, in words: "label 3" or "digit 7, speaker en_US_f_Allison"."""
    asked = [
        f"{name.removeprefix(CONDITION_PREFIX)} {value}"
        for name, value in row.items()
        if name.startswith(CONDITION_PREFIX) and isinstance(value, int | str)
    ]
    return ", ".join(asked) or f"request {row['request_id']}"


def _facts(row: Row) -> str:
    return (
        f"{_name(row)} · request {row['request_id']}, sample {row['sample']}, seed {row['seed']} · "
        f"{row['bits_per_dim']:.3f} bits per dimension"
    )
