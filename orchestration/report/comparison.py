"""What a report shows of jobs that were given media: each beside what was made of it.

    complete      given: what was kept of it │ drawn │ drawn │ ... │ truth: all of it
    reconstruct   image │ second image │ drawn │ drawn │ ...

A line is a request, in order. Columns in which nothing stands are left out, like the truth where
all that was given was kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ancestral.jobs.request_shards import Row
from ancestral.jobs.results import Results
from ancestral.jobs.spec import Job, Media
from ancestral.jobs.units import Unit
from ancestral.orchestration.report.gallery import (
    LARGEST_BYTES,
    PICTURES,
    Gallery,
    Line,
    read_artifacts,
)
from ancestral.orchestration.report.items import Item, embedded, enlargement, item_of
from ancestral.workers.encode import encode
from ancestral.workers.given import beginning, read_given

#: Requests and samples of each that are shown.
LARGEST_LINES = 64
LARGEST_SAMPLES = 8

#: The columns in front of what was drawn and behind it, by the kind of the job.
_COLUMNS = {"complete": (["given"], ["truth"]), "reconstruct": (["image", "second image"], [])}

#: A row of the index.
IndexRow = Mapping[str, Any]


def make_comparison(job: Job, table: pa.Table, results: Results) -> Gallery | None:
    """The first requests with an ok row in `table`, the index or a sample of it: what they gave and
    what was drawn.

    None when there are none, and for jobs that go on from no media. Raises StoreError.
    """
    if job.spec.kind not in _COLUMNS:
        return None
    per_request = job.samples
    shown = _shown(job, table)
    data = read_artifacts(results, [row for rows in shown.values() for row in rows])
    lines: list[Line] = []
    size = 0
    for first, rows in shown.items():
        drawn = [item_of(job.signature, each, data[each["ordinal"]]) for each in rows]
        missing = [None] * (min(per_request, LARGEST_SAMPLES) - len(rows))
        (row,) = results.requested(Unit(first, first + 1))
        before, behind = _given(job, row, rows[0])
        line = Line(_label(row), [*before, *drawn, *missing, *behind])
        size += sum(len(item.data) for item in line.items if item is not None)
        if size > LARGEST_BYTES:
            break
        lines.append(line)
    return _gallery(job, lines) if lines else None


def _shown(job: Job, table: pa.Table) -> dict[int, list[IndexRow]]:
    """The first ok rows of the first requests that have some, by the ordinal of the request."""
    ok = table.filter(pc.equal(table["status"], "ok")).sort_by("ordinal")
    numbers = pc.divide(ok["ordinal"], job.samples)
    return {
        number * job.samples: ok.filter(pc.equal(numbers, number))
        .slice(0, LARGEST_SAMPLES)
        .to_pylist()
        for number in pc.unique(numbers)[:LARGEST_LINES].to_pylist()
    }


def _given(job: Job, row: Row, like: IndexRow) -> tuple[list[Item | None], list[Item | None]]:
    """What stands in front of a request's samples, and behind them."""

    def read(name: str) -> np.ndarray:
        return read_given(job.signature, name, row.fields[name])

    def item(array: np.ndarray, name: str) -> Item:
        return _item(job, array, f"{name}, request {row.request_id}", like)

    if job.spec.kind == "reconstruct":
        names = {"image": "image", "second_image": "second image"}
        given = [
            None if row.fields[name] is None else item(read(name), words)
            for name, words in names.items()
        ]
        return given, []
    whole = read("prefix")
    kept = beginning(job.signature, whole, row.fields["keep"])
    truth = item(whole[: job.signature["shape"][0]], "truth") if len(whole) > len(kept) else None
    return [item(kept, "given")], [truth]


def _item(job: Job, array: np.ndarray, name: str, like: IndexRow) -> Item:
    medium = job.signature["medium"]
    artifact = encode(job.signature, array, {}, Media())
    shown = embedded(medium, vars(artifact), artifact.data, name, name)
    if medium not in PICTURES:
        return shown
    # However little was kept of it, at the scale of what was drawn.
    factor = enlargement(like)
    assert artifact.width is not None and artifact.height is not None
    return replace(shown, width=artifact.width * factor, height=artifact.height * factor)


def _label(row: Row) -> str:
    fraction = row.fields.get("fraction")
    return f"{row.request_id}, at {fraction:g}" if fraction else row.request_id


def _gallery(job: Job, lines: list[Line]) -> Gallery:
    before, behind = _COLUMNS[job.spec.kind]
    drawn = len(lines[0].items) - len(before) - len(behind)
    heads = [*before, *(f"drawn {number}" for number in range(drawn)), *behind]
    used = [column for column in range(len(heads)) if any(line.items[column] for line in lines)]
    kept = [Line(line.label, [line.items[column] for column in used]) for line in lines]
    shown = "All" if len(lines) == job.requests else f"{len(lines):,} of"
    caption = f"{shown} {job.requests:,} requests, in order: what was given, and what was drawn."
    return Gallery(job.signature["medium"], kept, [heads[column] for column in used], caption)
