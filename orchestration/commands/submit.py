"""`ancestral submit`: check a job and accept it, for a fleet elsewhere to draw."""

from __future__ import annotations

import sys

import click

from ancestral.jobs.client import Client
from ancestral.orchestration.commands.options import json_option, read_job_file
from ancestral.orchestration.commands.output import say, show_status
from ancestral.orchestration.errors import DONE


@click.command()
@click.argument("job_file", metavar="JOB.yaml")
@json_option
def submit(job_file: str, as_json: bool) -> int:
    """Check a job to the last row and put it into the queue of ANCESTRAL_REDIS_URL.

    Without a queue the job is accepted all the same, and waits until
    `ancestral run --resume` takes it up.
    """
    from ancestral.orchestration.progress import telling_checked

    client = Client()
    spec = read_job_file(job_file)
    with telling_checked(spec.name, sys.stderr) as tell:
        job = client.submit(spec, tell)
    show_status(client, client.status(job.job_id), as_json)
    if client.queue is None and not as_json:
        say(f"There is no queue here; draw it with: ancestral run --resume {job.job_id}")
    return DONE
