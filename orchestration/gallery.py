"""What a report shows of a job: the first artifacts of each label or text, embedded in the page.

Nothing is picked for its looks: of every label, the rows of the lowest ordinals are shown, and the
first real ones, where there are some to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ancestral.jobs.index import CONDITION_PREFIX
from ancestral.jobs.results import Results
from ancestral.orchestration.items import Item, Row, item_of, shown_value

#: How many labels have a line of their own, and how many items stand in a line.
LARGEST_LABELS = 20
IMAGES_PER_LINE = 12
CLIPS_PER_LINE = 8
SOUNDS_PER_LINE = 5
#: Lines where there are no labels.
LARGEST_LINES = 8
#: Real pictures that stand in front of a line, in place of as many others.
REAL_PER_LINE = 2
#: What many of a medium are called.
PLURALS = {"image": "images", "audio": "sounds", "video": "clips", "series": "series"}
#: Media that are looked at, in lines of pictures; the others lie in the cells of a table.
PICTURES = ("image", "video")
#: Artifacts are embedded until they are this many bytes together.
LARGEST_BYTES = 4_000_000

#: real(asked, count) gives up to so many real items of which that could have been asked, none of
#: them twice; `asked` has the values of some fields.
Real = Callable[[Mapping[str, Any], int], Sequence[Item]]


@dataclass(frozen=True)
class Line:
    """The items of one label; None where a column has none.

    `real` are others to compare with: pictures for the whole line, or a sound for each item.
    """

    label: str | None
    items: Sequence[Item | None]
    real: Sequence[Item | None] = ()


@dataclass(frozen=True)
class Gallery:
    """Lines of items; `columns` names them when the cells of a table have a second category."""

    medium: str
    lines: Sequence[Line]
    columns: Sequence[str]
    caption: str

    @property
    def compares(self) -> bool:
        """Whether there are real ones."""
        return any(any(line.real) for line in self.lines)


@dataclass(frozen=True)
class _Chosen:
    """The rows of a line, and of each (or of all) what was asked for: fields and their values."""

    label: str | None
    rows: list[Row | None]
    asked: list[dict[str, Any]]


def make_gallery(
    signature: Mapping[str, Any], table: pa.Table, results: Results, real: Real | None = None
) -> Gallery | None:
    """Embed the first artifacts of the ok rows of `table`, the index, and `real` ones beside them.

    None when there are none, as in a job that only scores. Raises StoreError when an artifact
    cannot be read.
    """
    ok = table.filter(pc.and_(pc.equal(table["status"], "ok"), table["uri"].is_valid()))
    if not ok.num_rows:
        return None
    medium = signature["medium"]
    chosen, columns = _choose(signature, ok.sort_by("ordinal"), _room(medium, real))
    chosen = _within_bytes(chosen, in_columns=bool(columns))
    wanted = {row["ordinal"] for line in chosen for row in line.rows if row is not None}
    data = read_artifacts(results, wanted)
    lines = [
        Line(
            line.label,
            [
                None if row is None else item_of(signature, row, data[row["ordinal"]])
                for row in line.rows
            ],
            [] if real is None else _compared(medium, line, real),
        )
        for line in chosen
    ]
    each = " and ".join(_groups(signature)[: 2 if columns else 1]) if len(lines) > 1 else ""
    caption = (
        f"{len(wanted):,} of {ok.num_rows:,} {PLURALS[medium]}: "
        f"the first{f' of each {each}' if each else ''}, not picked."
    )
    gallery = Gallery(medium, lines, columns, caption)
    if not gallery.compares:
        return gallery
    where = "In front of them" if medium in PICTURES else "Under them"
    return replace(gallery, caption=f"{caption} {where}, real ones that were held out.")


def read_artifacts(results: Results, ordinals: set[int]) -> dict[int, bytes]:
    """The artifacts of these rows. Raises StoreError."""
    data: dict[int, bytes] = {}
    for artifact in results:
        if artifact.row["ordinal"] in ordinals:
            data[artifact.row["ordinal"]] = artifact.bytes()
        if len(data) == len(ordinals):
            break
    return data


def _room(medium: str, real: Real | None) -> int:
    """How many drawn ones stand in a line."""
    room = {"image": IMAGES_PER_LINE, "video": CLIPS_PER_LINE}.get(medium, SOUNDS_PER_LINE)
    return room if real is None or medium not in PICTURES else room - REAL_PER_LINE


def _choose(
    signature: Mapping[str, Any], ok: pa.Table, room: int
) -> tuple[list[_Chosen], list[str]]:
    """The rows to show, line by line, and the names of the columns if they have some."""
    groups = _groups(signature)
    if not groups:
        rows = _first(ok, room * LARGEST_LINES)
        cut = [rows[start : start + room] for start in range(0, len(rows), room)]
        return [_Chosen(None, list(line), [{}] * len(line)) for line in cut], []
    first, *others = groups
    labels = _values(signature, ok, first)[:LARGEST_LABELS]
    lines = []
    if signature["medium"] in PICTURES or not others:
        for label in labels:
            rows = _first(_where(ok, first, label), room)
            lines.append(_Chosen(shown_value(label), list(rows), [{first: label}] * len(rows)))
        return lines, []
    columns = _values(signature, ok, others[0])[:room]
    for label in labels:
        of_label = _where(ok, first, label)
        cells = [_first(_where(of_label, others[0], column), 1) for column in columns]
        asked = [{first: label, others[0]: column} for column in columns]
        lines.append(
            _Chosen(shown_value(label), [cell[0] if cell else None for cell in cells], asked)
        )
    return lines, [shown_value(column) for column in columns]


def _groups(signature: Mapping[str, Any]) -> list[str]:
    """The fields by which artifacts are laid out: texts, then categories."""
    fields = signature["fields"].items()
    return [
        name for kind in ("text", "category") for name, field in fields if field["type"] == kind
    ]


def _within_bytes(chosen: list[_Chosen], *, in_columns: bool) -> list[_Chosen]:
    """The lines up to the row that would make the page too large."""
    total = 0
    lines = []
    for line in chosen:
        kept: list[Row | None] = []
        for row in line.rows:
            total += row["length"] if row is not None else 0
            kept.append(row if total <= LARGEST_BYTES else None)
        if not in_columns:
            kept = [row for row in kept if row is not None]
        if any(kept):
            lines.append(_Chosen(line.label, kept, line.asked[: len(kept)]))
    return lines


def _compared(medium: str, line: _Chosen, real: Real) -> list[Item | None]:
    if medium in PICTURES:
        return list(real(line.asked[0], REAL_PER_LINE))
    return [next(iter(real(asked, 1)), None) for asked in line.asked]


def _values(signature: Mapping[str, Any], table: pa.Table, field: str) -> list[Any]:
    """What was asked for: texts in the order of the rows, categories in their own."""
    values = table[CONDITION_PREFIX + field].drop_null().unique().to_pylist()
    return list(values) if signature["fields"][field]["type"] == "text" else sorted(values)


def _where(table: pa.Table, field: str, value: object) -> pa.Table:
    return table.filter(pc.equal(table[CONDITION_PREFIX + field], value))


def _first(table: pa.Table, rows: int) -> list[Row]:
    return list(table.slice(0, rows).to_pylist())
