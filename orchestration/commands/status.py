"""`ancestral status` and `ancestral watch`: where a job stands, once or until it ends."""

from __future__ import annotations

import sys
import time

import click

from ancestral.orchestration.commands.output import (
    exit_code,
    json_option,
    print_json,
    print_status,
    status_document,
)

#: Between two looks at a job that is watched.
LOOK_SECONDS = 1.0


@click.command()
@click.argument("job_id")
@json_option
def status(job_id: str, as_json: bool) -> int:
    """Say where a job stands."""
    from ancestral.jobs.client import Client

    found = Client().status(job_id)
    if as_json:
        print_json(status_document(found))
    else:
        print_status(found)
    return exit_code(found)


@click.command()
@click.argument("job_id")
@json_option
def watch(job_id: str, as_json: bool) -> int:
    """Follow a job until it ends or fails; Ctrl-C stops watching, not the job."""
    from ancestral.jobs.client import Client
    from ancestral.jobs.states import State
    from ancestral.orchestration.progress import ProgressLine, Rate, rows_text

    client = Client()
    found = client.status(job_id)
    rate = Rate()
    with ProgressLine(found.name, found.rows, sys.stderr) as line:
        while not found.finished and found.state is not State.FAILED:
            rows = found.rows_ok + found.rows_failed + found.rows_rejected
            text = rows_text(rows, found.rows, rate(rows))
            if found.state is not State.RUNNING:
                text += f" · {found.state}: {found.reason}"
            line.show(rows, text)
            time.sleep(LOOK_SECONDS)
            found = client.status(job_id)
    if as_json:
        print_json(status_document(found))
    else:
        print_status(found)
    return exit_code(found)
