"""`ancestral retry`: rows of a finished job drawn again, as a job of their own."""

from __future__ import annotations

import click

from ancestral.jobs.client import Client
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import say, show_status
from ancestral.orchestration.errors import DONE


@click.command()
@click.argument("job_id")
@click.option("--failed", is_flag=True, help="Its failed rows.")
@click.option("--cancelled", is_flag=True, help="Its cancelled rows.")
@json_option
def retry(job_id: str, failed: bool, cancelled: bool, as_json: bool) -> int:
    """Submit rows of a finished job again, as a job with an id of its own.

    Ids, samples and seeds stay, so that what succeeds now is what it would have been.
    Asked again, it is the same job.
    """
    if failed == cancelled:
        raise click.UsageError("Say which rows: either --failed or --cancelled.")
    client = Client()
    child = client.retry(job_id, "failed" if failed else "cancelled")
    found = client.status(child.job_id)
    show_status(client, found, as_json, parent=job_id)
    if client.queue is None and not as_json:
        say(f"There is no queue here; draw it with: ancestral run --resume {child.job_id}")
    return DONE
