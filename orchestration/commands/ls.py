"""`ancestral ls`: the jobs that are known here."""

from __future__ import annotations

from typing import Any

import click

from ancestral.jobs.client import Client
from ancestral.jobs.errors import StoreError, UnknownJob
from ancestral.jobs.states import State
from ancestral.jobs.store import ahead
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import (
    Lookout,
    deadline_text,
    print_columns,
    print_json,
    report_of,
    status_document,
)
from ancestral.orchestration.errors import DONE


@click.command()
@json_option
def ls(as_json: bool) -> int:
    """List jobs and where they stand, the newest first.

    When the queue does not answer, the store says how many rows are decided; the exit code is 3.
    """
    from functools import partial

    client = Client()
    lookout = Lookout(client)
    found = list(ahead(partial(_look, client, lookout), client.jobs()))
    found.sort(key=lambda job: (job["submitted_at"], job["job_id"]), reverse=True)
    if as_json:
        print_json(found)
    elif not found:
        state = client.settings.state_uri
        click.echo(f"There are no jobs in {state} yet; submit one: ancestral run JOB.yaml")
    else:
        heads = ("job", "state", "rows", "submitted", "deadline", "name", "reason")
        print_columns(heads, [_line(job) for job in found])
    if lookout.away is not None:
        raise lookout.away
    return DONE


def _look(client: Client, lookout: Lookout, job_id: str) -> dict[str, Any]:
    """A job's status; one whose output is gone or broken does not hide the others."""
    try:
        job = client.job(job_id)
        found = lookout.status(job_id)
        return status_document(found, report_of(client, found), submitted_at=job.submitted_at)
    except (UnknownJob, StoreError) as error:
        return {
            "job_id": job_id,
            "name": "",
            "state": "unreadable",
            "reason": str(error),
            "report": None,
            "submitted_at": "",
        }


def _line(job: dict[str, Any]) -> tuple[str, ...]:
    if "rows" not in job:
        return job["job_id"], job["state"], "", "", "", "", job["reason"]
    done = sum(job[f"rows_{status}"] for status in ("ok", "failed", "rejected"))
    rows = f"{done:,} of {job['rows']:,}"
    deadline = deadline_text(job["deadline"], job["late"])
    # Of a job that is finished, the state and the rows tell it.
    reason = "" if State(job["state"]).finished else job["reason"] or ""
    return job["job_id"], job["state"], rows, job["submitted_at"], deadline, job["name"], reason
