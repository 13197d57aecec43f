"""`ancestral pause`, `resume` and `cancel`: what people want of a job that is under way."""

from __future__ import annotations

import contextlib

import click

from ancestral.jobs.client import Client
from ancestral.jobs.errors import QueueError
from ancestral.jobs.finalise import finalise
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import Lookout, say, show_status
from ancestral.orchestration.errors import DONE

reason_option = click.option("--reason", metavar="TEXT", help="Why, for whoever asks.")


@click.command()
@click.argument("job_id")
@reason_option
@json_option
def pause(job_id: str, reason: str | None, as_json: bool) -> int:
    """Let workers hand back a job; its finished rows are kept.

    `ancestral resume` lets it go on.
    """
    client = Client()
    told = client.pause(job_id, reason)
    return _show(client, job_id, told, as_json)


@click.command()
@click.argument("job_id")
@json_option
def resume(job_id: str, as_json: bool) -> int:
    """Let a job go on that was paused, or that failed and was mended."""
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
    """Where the job stands now, and who hears of it when the queue could not be told."""
    lookout = Lookout(client)
    show_status(client, lookout.status(job_id), as_json)
    if told:
        return DONE
    if client.queue is not None and lookout.away is None:
        say(
            "The queue could not be told; if it does not know the job, "
            f"`ancestral recover {job_id}` puts it there."
        )
    else:
        say("No queue could be told; whoever works on the job hears of it within about a minute.")
    return DONE
