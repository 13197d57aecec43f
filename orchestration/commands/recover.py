"""`ancestral recover`: a job's queue, built anew from the store by hand."""

from __future__ import annotations

import click

from ancestral.jobs.client import Client
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import say, show_status
from ancestral.orchestration.errors import DONE


@click.command()
@click.argument("job_id")
@json_option
def recover(job_id: str, as_json: bool) -> int:
    """Build a job's queue anew from the store, on the server of ANCESTRAL_REDIS_URL.

    Fleets do this by themselves when a queue was lost. What workers hold now is handed out
    again; if they commit it first, it counts.
    """
    client = Client()
    recovered = client.recover(job_id)
    found = client.status(job_id)
    show_status(client, found, as_json, recovered=recovered)
    if not recovered and not as_json:
        say("There was nothing to do: it is finished, or somebody else is at it.")
    return DONE
