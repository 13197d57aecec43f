"""What commands print: one JSON object on stdout where that is asked for, else words for people."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import click

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.errors import QueueError, StoreError
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.states import State
from ancestral.jobs.status import JobStatus, status_of
from ancestral.jobs.wording import headline
from ancestral.orchestration.errors import BROKEN, DONE
from ancestral.orchestration.wording import counted

#: Characters that a wrapped column has at least.
NARROWEST = 16

#: Failed rows whose errors are read, errors that are listed, and characters of each.
READ_ERRORS = 10_000
LISTED_ERRORS = 3
ERROR_CHARACTERS = 300

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


class Lookout:
    """Says where jobs stand: by the store alone, once the queue does not answer."""

    #: How the queue failed, if it did; it is not asked again then.
    away: QueueError | None = None

    def __init__(self, client: Client) -> None:
        self._client = client

    def status(self, job_id: str) -> JobStatus:
        """Where the job stands. Raises UnknownJob and StoreError."""
        store, job = self._client.opened(job_id)
        if self.away is None:
            try:
                return status_of(job, store, self._client.queue)
            except QueueError as error:
                self.away = error
        return status_of(job, store, None, no_queue=str(self.away))


def show_status(client: Client, status: JobStatus, as_json: bool, **more: Any) -> None:
    """Where a job stands, and what else is known of it: as JSON, or in words."""
    report = report_of(client, status)
    if as_json:
        print_json(status_document(status, report, **more))
    else:
        print_status(client, status, report)


def status_document(status: JobStatus, report: str | None, **more: Any) -> dict[str, Any]:
    """A status as JSON, with where the job's report is, and what else is known of the job."""
    return {**dataclasses.asdict(status), "report": report, **more}


def report_of(client: Client, status: JobStatus) -> str | None:
    """Where the report of a finished job is; None if there is none, or not yet."""
    path = layout.report_path(status.job_id)
    store = client.store(status.job_id)
    return store.uri_of(path) if status.finished and store.exists(path) else None


def print_status(client: Client, status: JobStatus, report: str | None) -> None:
    """A status in words: why rows of a finished job failed, and where its report is."""
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
        *errors_of(client, status),
    ]
    if status.deadline is not None:
        lines.append(("deadline", deadline_text(status.deadline, status.late)))
    lines.append(("output", status.output))
    if status.index is not None:
        lines.append(("index", status.index))
    if report is not None:
        lines.append(("report", report))
    print_table(lines)


def deadline_text(deadline: str | None, late: bool | None) -> str:
    """A deadline, and whether it is met, where that is known; "" where there is none."""
    met = {None: "", True: ", late", False: ", in time"}[late]
    return f"{deadline}{met}" if deadline is not None else ""


def errors_of(client: Client, status: JobStatus) -> list[tuple[str, str]]:
    """Lines of a table that say why rows of a finished job failed: the commonest errors."""
    if not status.finished or not status.rows_failed:
        return []
    try:
        manifest = read_manifest(client.store(status.job_id), status.job_id)
        assert manifest is not None
        errors = client.results(status.job_id).errors(manifest.parts, READ_ERRORS)
    # Its index may be gone, and where it stands is known all the same.
    except StoreError as error:
        return [("errors", f"cannot be read: {error}")]
    found = Counter(headline(error) for error in errors).most_common()
    lines = [
        f"{counted(rows, 'row')}: {error[:ERROR_CHARACTERS]}"
        for error, rows in found[:LISTED_ERRORS]
    ]
    if others := sum(rows for _, rows in found[LISTED_ERRORS:]):
        lines.append(f"{counted(others, 'row')} with other errors")
    if unread := status.rows_failed - len(errors):
        lines.append(f"{counted(unread, 'row')} whose errors were not read here")
    return [("errors" if number == 0 else "", line) for number, line in enumerate(lines)]


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


def print_yaml(document: Mapping[str, Any]) -> None:
    """The document as people would write it, to be pasted."""
    import yaml

    form: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": 80}
    text: str = yaml.safe_dump(document, allow_unicode=True, **form)
    if _harmless(text) != text:
        # Escaped, what a terminal would obey still means the same.
        text = yaml.safe_dump(document, **form)
    click.echo(text, nl=False)


def _harmless(text: str) -> str:
    """What others wrote, as in a model's signature, so that a terminal can only show it."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def exit_code(status: JobStatus) -> int:
    """Of a command that shows a job: 1 once it has ended without some of its rows, or broke."""
    incomplete = status.finished and status.rows_failed + status.rows_cancelled > 0
    return BROKEN if incomplete or status.state is State.FAILED else DONE
