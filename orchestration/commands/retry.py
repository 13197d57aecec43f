"""`ancestral retry`: rows of a finished job drawn again, as a job of their own."""

from __future__ import annotations

import click

from ancestral.orchestration.commands.output import (
    DONE,
    json_option,
    print_json,
    print_status,
    say,
    status_document,
)


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
    from ancestral.jobs.client import Client

    if failed == cancelled:
        raise click.UsageError("Say which rows: either --failed or --cancelled.")
    client = Client()
    child = client.retry(job_id, "failed" if failed else "cancelled")
    found = client.status(child.job_id)
    if as_json:
        print_json(status_document(found, parent=job_id))
    else:
        print_status(found)
        if client.queue is None:
            say(f"There is no queue here; draw it with: ancestral run --resume {child.job_id}")
    return DONE
