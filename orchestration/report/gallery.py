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
from ancestral.jobs.signature import PLURALS
from ancestral.jobs.store import ahead
from ancestral.orchestration.report.items import Item, Row, item_of, shown_value
from ancestral.orchestration.wording import size

#: How many labels have a line of their own, what those without one have in its place, and how many
#: items stand in a line.
LARGEST_LABELS = 20
NO_LABEL = "none"
IMAGES_PER_LINE = 12
CLIPS_PER_LINE = 8
SOUNDS_PER_LINE = 5
#: Lines where there are no labels.
LARGEST_LINES = 8
#: Real pictures that stand in front of a line, in place of as many others.
REAL_PER_LINE = 2
#: Media that are looked at, in lines of pictures; the others lie in the cells of a table.
PICTURES = ("image", "video")
#: Artifacts are embedded until they are this many bytes together, so that none is larger.
LARGEST_BYTES = 4_000_000

#: real(asked, count) gives up to `count` real items that fit what was asked, none of them twice;
#: `asked` has the values of some fields.
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


@dataclass(frozen=True)
class _Layout:
    """The lines, the names of the columns if they have some, and how many values there are of the
    fields by which they are laid out."""

    lines: list[_Chosen]
    columns: list[str]
    values: Mapping[str, int]


def make_gallery(
    signature: Mapping[str, Any],
    table: pa.Table,
    results: Results,
    real: Real | None = None,
    *,
    of: int | None = None,
) -> Gallery | None:
    """Embed the first artifacts of the ok rows of `table`, the index, and `real` ones beside them.

    `of` is how many there are in all, if `table` is only a sample of the index. None when there are
    none, as in a job that only scores, or none that a page can hold. Raises StoreError when an
    artifact cannot be read.
    """
    ok = table.filter(pc.and_(pc.equal(table["status"], "ok"), table["uri"].is_valid()))
    small = ok.filter(pc.less_equal(ok["length"], LARGEST_BYTES))
    if not small.num_rows:
        return None
    medium = signature["medium"]
    layout = _choose(signature, small.sort_by("ordinal"), _room(medium, real))
    chosen = _within_bytes(layout.lines, in_columns=bool(layout.columns))
    data = read_artifacts(results, [row for line in chosen for row in line.rows if row is not None])
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
    limit = f", none over {size(LARGEST_BYTES)}" if small.num_rows < ok.num_rows else ""
    in_all = ok.num_rows if of is None else of
    sample = " of the sample" if ok.num_rows < in_all else ""
    caption = (
        f"{len(data):,} of {in_all:,} {PLURALS[medium]}: "
        f"the first{_each(layout, len(lines))}{sample}{limit}, not picked."
    )
    gallery = Gallery(medium, lines, layout.columns, caption)
    if not gallery.compares:
        return gallery
    where = "In front of them" if medium in PICTURES else "Under them"
    return replace(gallery, caption=f"{caption} {where}, real ones that were held out.")


def read_artifacts(results: Results, rows: Sequence[Row]) -> dict[int, bytes]:
    """The artifacts of these rows of the index, by ordinal. Raises StoreError."""
    data = ahead(lambda row: results.artifact(row).bytes(), rows)
    return {row["ordinal"]: each for row, each in zip(rows, data, strict=True)}


def _room(medium: str, real: Real | None) -> int:
    """How many drawn ones stand in a line."""
    room = {"image": IMAGES_PER_LINE, "video": CLIPS_PER_LINE}.get(medium, SOUNDS_PER_LINE)
    return room if real is None or medium not in PICTURES else room - REAL_PER_LINE


def _each(layout: _Layout, lines: int) -> str:
    """Of what the first ones are shown, like " of each label (20 of 30)"."""
    if not layout.values or next(iter(layout.values.values())) == 1:
        return ""
    shown = (lines, len(layout.columns))
    return " of each " + " and ".join(
        field + (f" ({some:,} of {all_:,})" if some < all_ else "")
        for (field, all_), some in zip(layout.values.items(), shown, strict=False)
    )


def _choose(signature: Mapping[str, Any], ok: pa.Table, room: int) -> _Layout:
    """The rows to show."""
    groups = _groups(signature, ok)
    if not groups:
        rows = _first(ok, room * LARGEST_LINES)
        cut = [rows[start : start + room] for start in range(0, len(rows), room)]
        return _Layout([_Chosen(None, list(line), [{}] * len(line)) for line in cut], [], {})
    first, *others = groups
    labels = _values(signature, ok, first)
    values = {first: len(labels)}
    lines = []
    if signature["medium"] in PICTURES or not others:
        for label in labels[:LARGEST_LABELS]:
            rows = _first(_where(ok, first, label), room)
            lines.append(_Chosen(_name(label), list(rows), [_asked({first: label})] * len(rows)))
        return _Layout(lines, [], values)
    columns = _values(signature, ok, others[0])
    values[others[0]] = len(columns)
    for label in labels[:LARGEST_LABELS]:
        of_label = _where(ok, first, label)
        cells = [_first(_where(of_label, others[0], column), 1) for column in columns[:room]]
        asked = [_asked({first: label, others[0]: column}) for column in columns[:room]]
        lines.append(_Chosen(_name(label), [cell[0] if cell else None for cell in cells], asked))
    return _Layout(lines, [_name(column) for column in columns[:room]], values)


def _groups(signature: Mapping[str, Any], ok: pa.Table) -> list[str]:
    """The fields by which artifacts are laid out: texts, then categories, if anybody gave one."""
    fields = signature["fields"].items()
    named = [
        name for kind in ("text", "category") for name, field in fields if field["type"] == kind
    ]
    return [name for name in named if ok[CONDITION_PREFIX + name].null_count < ok.num_rows]


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
    """What was asked for: texts in the order of the rows, categories in their own; at last None, if
    some asked for nothing."""
    column = table[CONDITION_PREFIX + field]
    values = column.drop_null().unique().to_pylist()
    if signature["fields"][field]["type"] != "text":
        values.sort()
    return [*values, None] if column.null_count else list(values)


def _where(table: pa.Table, field: str, value: object) -> pa.Table:
    column = table[CONDITION_PREFIX + field]
    return table.filter(column.is_null() if value is None else pc.equal(column, value))


def _name(value: object) -> str:
    return NO_LABEL if value is None else shown_value(value)


def _asked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for; anything fits a field that was not given."""
    return {name: value for name, value in fields.items() if value is not None}


def _first(table: pa.Table, rows: int) -> list[Row]:
    return list(table.slice(0, rows).to_pylist())
