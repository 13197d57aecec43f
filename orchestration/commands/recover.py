"""`ancestral recover`: a job's queue, built anew from the store by hand."""

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
@json_option
def recover(job_id: str, as_json: bool) -> int:
    """Build a job's queue anew from the store, on the server of ANCESTRAL_REDIS_URL.

    Fleets do this by themselves when a queue was lost. What workers hold now is handed out
    again; if they commit it first, it counts.
    """
    from ancestral.jobs.client import Client

    client = Client()
    recovered = client.recover(job_id)
    found = client.status(job_id)
    if as_json:
        print_json(status_document(found, recovered=recovered))
    else:
        print_status(found)
        if not recovered:
            say("There was nothing to do: it is finished, or somebody else is at it.")
    return DONE
