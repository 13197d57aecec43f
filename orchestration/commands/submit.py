"""`ancestral submit`: check a job and accept it, for a fleet elsewhere to draw."""

from __future__ import annotations

import click

from ancestral.orchestration.commands.job_file import read_job_file
from ancestral.orchestration.commands.output import (
    DONE,
    json_option,
    print_json,
    print_status,
    say,
    status_document,
)


@click.command()
@click.argument("job_file", metavar="JOB.yaml")
@json_option
def submit(job_file: str, as_json: bool) -> int:
    """Check a job to the last row and put it into the queue of ANCESTRAL_REDIS_URL.

    Without a queue the job is accepted all the same, and waits until
    `ancestral run --resume` takes it up.
    """
    from ancestral.jobs.client import Client

    client = Client()
    job = client.submit(read_job_file(job_file))
    status = client.status(job.job_id)
    if as_json:
        print_json(status_document(status))
    else:
        print_status(status)
        if client.queue is None:
            say(f"There is no queue here; draw it with: ancestral run --resume {job.job_id}")
    return DONE
