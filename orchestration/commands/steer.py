"""`ancestral pause`, `resume` and `cancel`: what people want of a job that is under way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from ancestral.orchestration.commands.output import (
    DONE,
    json_option,
    print_json,
    print_status,
    say,
    status_document,
)

if TYPE_CHECKING:
    from ancestral.jobs.client import Client

reason_option = click.option("--reason", metavar="TEXT", help="Why, for whoever asks.")


@click.command()
@click.argument("job_id")
@reason_option
@json_option
def pause(job_id: str, reason: str | None, as_json: bool) -> int:
    """Let workers hand back a job; its finished rows are kept.

    `ancestral resume` lets it go on.
    """
    from ancestral.jobs.client import Client

    client = Client()
    told = client.pause(job_id, reason)
    return _show(client, job_id, told, as_json)


@click.command()
@click.argument("job_id")
@json_option
def resume(job_id: str, as_json: bool) -> int:
    """Let a job go on that was paused, or that failed and was mended."""
    from ancestral.jobs.client import Client

    client = Client()
    told = client.resume(job_id)
    return _show(client, job_id, told, as_json)


@click.command()
@click.argument("job_id")
@reason_option
@click.option(
    "--now",
    is_flag=True,
    help="Do not wait for workers: of what they hold now nothing is kept.",
)
@json_option
def cancel(job_id: str, reason: str | None, now: bool, as_json: bool) -> int:
    """End a job for good; its finished rows are kept and published.

    A fleet publishes it once its workers have handed back what they hold. Where nobody works
    on the job, --now does so at once.
    """
    from ancestral.jobs.client import Client
    from ancestral.jobs.errors import QueueError
    from ancestral.jobs.finalise import finalise

    client = Client()
    told = client.cancel(job_id, reason)
    if now:
        finalise(client.store(job_id), job_id)
        if client.queue is not None:
            # Nobody else may come by who would. The job is finished, whether it is told or not.
            with contextlib.suppress(QueueError):
                client.queue.forget(job_id)
    elif not told:
        say(f"If nobody works on the job, end it with: ancestral cancel {job_id} --now")
    return _show(client, job_id, told or now, as_json)


def _show(client: Client, job_id: str, told: bool, as_json: bool) -> int:
    """Where the job stands now. A queue that could not be told is not asked either."""
    from ancestral.jobs.status import status_of

    queue = client.queue if told else None
    found = status_of(client.job(job_id), client.store(job_id), queue)
    if as_json:
        print_json(status_document(found))
    else:
        print_status(found)
    if not told:
        say("No queue could be told; whoever works on the job hears of it within about a minute.")
    return DONE
