"""What commands print: one JSON object on stdout where that is asked for, else words for people."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import click

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.states import State
from ancestral.jobs.status import JobStatus
from ancestral.orchestration.errors import BROKEN, DONE

#: Characters that a wrapped column has at least.
NARROWEST = 16

#: Control characters (but for newline) and bidirectional marks, which a terminal obeys instead of
#: showing.
_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """The document on one line of stdout, in ASCII, which every encoding has."""
    click.echo(json.dumps(document))


def say(line: str) -> None:
    """Something that people should hear of and programs need not: to stderr.

    Where nobody hears any more, as after a terminal was closed, what is being done goes on.
    """
    with contextlib.suppress(OSError):
        click.echo(line, err=True)


def show_status(status: JobStatus, as_json: bool, **more: Any) -> None:
    """Where a job stands, and what else is known of it: as JSON, or in words."""
    if as_json:
        print_json(status_document(status, **more))
    else:
        print_status(status, more.get("report"))


def status_document(status: JobStatus, **more: Any) -> dict[str, Any]:
    """A status as JSON, with what else is known of the job."""
    return {**dataclasses.asdict(status), **more}


def report_of(client: Client, status: JobStatus) -> dict[str, str]:
    """Where the `report` of a finished job is; nothing if there is none, or not yet."""
    path = layout.report_path(status.job_id)
    store = client.store(status.job_id)
    return {"report": store.uri_of(path)} if status.finished and store.exists(path) else {}


def print_status(status: JobStatus, report: str | None = None) -> None:
    """A status in words, and where the job's report is."""
    counts = ", ".join(
        f"{rows:,} {what}"
        for rows, what in (
            (status.rows_ok, "ok"),
            (status.rows_failed, "failed"),
            (status.rows_rejected, "rejected"),
            (status.rows_cancelled, "cancelled"),
        )
        if rows or what == "ok"
    )
    lines = [
        ("job", f"{status.job_id}  {status.name}"),
        ("state", status.state + (f" ({status.reason})" if status.reason else "")),
        ("rows", f"{status.rows:,}: {counts}"),
        ("output", status.output),
    ]
    if status.index is not None:
        lines.append(("index", status.index))
    if report is not None:
        lines.append(("report", report))
    print_table(lines)


def print_table(lines: Sequence[tuple[str, str]]) -> None:
    """Names and values below each other."""
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(_harmless(f"{name:<{width}}  {value}"))


def print_columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> None:
    """A table with a head for each column.

    With a `width` the widest columns become as narrow as makes it fit, and their cells are wrapped.
    """
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    while width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        if max(widths) <= NARROWEST:
            break
        widths[widths.index(max(widths))] -= 1
    for row in (heads, *rows):
        cells = [
            [cell] if len(cell) <= room else textwrap.wrap(cell, room, break_on_hyphens=False)
            for cell, room in zip(row, widths, strict=True)
        ]
        for line in zip_longest(*cells, fillvalue=""):
            padded = (f"{part:<{room}}" for part, room in zip(line, widths, strict=True))
            click.echo(_harmless("  ".join(padded).rstrip()))


def _harmless(text: str) -> str:
    """What others wrote, as in a model's signature, so that a terminal can only show it."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def exit_code(status: JobStatus) -> int:
    """Of a command that shows a job: 1 once it has ended without some of its rows, or broke."""
    incomplete = status.finished and status.rows_failed + status.rows_cancelled > 0
    return BROKEN if incomplete or status.state is State.FAILED else DONE
