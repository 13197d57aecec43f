"""`ancestral status` and `ancestral watch`: where a job stands, once or until it ends."""

from __future__ import annotations

import sys
import time

import click

from ancestral.jobs.client import Client
from ancestral.jobs.states import State
from ancestral.jobs.status import JobStatus
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import (
    Lookout,
    deadline_text,
    exit_code,
    report_of,
    show_status,
)

#: Between two looks at a job that is watched, or as long as a look takes: without a queue, the
#: records of a large job are many to read.
LOOK_SECONDS = 1.0

#: How long `watch` waits for the report of a job that just ended.
REPORT_SECONDS = 10.0


@click.command()
@click.argument("job_id")
@json_option
def status(job_id: str, as_json: bool) -> int:
    """Say where a job stands.

    When the queue does not answer, the store says how many rows are decided; the exit code is 3.
    """
    client = Client()
    lookout = Lookout(client)
    code = _show(client, lookout.status(job_id), as_json)
    if lookout.away is not None:
        raise lookout.away
    return code


@click.command()
@click.argument("job_id")
@json_option
def watch(job_id: str, as_json: bool) -> int:
    """Follow a job until it ends or fails; Ctrl-C stops watching, not the job."""
    from ancestral.orchestration.progress import ProgressLine, Rate, rows_text

    client = Client()
    found, took = _look(client, job_id)
    rate = Rate()
    with ProgressLine(found.name, found.rows, sys.stderr) as line:
        while not found.finished and found.state is not State.FAILED:
            rows = found.rows_ok + found.rows_failed + found.rows_rejected
            text = rows_text(rows, found.rows, rate(rows))
            if found.state is not State.RUNNING:
                text += f" · {found.state}: {found.reason}"
            if found.deadline is not None:
                text += f" · deadline {deadline_text(found.deadline, found.late)}"
            line.show(rows, text)
            time.sleep(max(LOOK_SECONDS, took))
            found, took = _look(client, job_id)
            if found.finished:
                _wait_for_report(client, found)
    return _show(client, found, as_json)


def _look(client: Client, job_id: str) -> tuple[JobStatus, float]:
    """Where a job stands, and the seconds that it took to know."""
    began = time.monotonic()
    return client.status(job_id), time.monotonic() - began


def _wait_for_report(client: Client, found: JobStatus) -> None:
    """A fleet writes the report once the job is finished; who drew it without one writes none."""
    deadline = time.monotonic() + REPORT_SECONDS
    while report_of(client, found) is None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _show(client: Client, found: JobStatus, as_json: bool) -> int:
    show_status(client, found, as_json)
    return exit_code(found)
