"""`ancestral results`: what a job made, and its artifacts as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from ancestral.jobs.client import Client
from ancestral.jobs.problems import Problems
from ancestral.jobs.store import local_folder
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import Lookout, say, show_status
from ancestral.orchestration.errors import BROKEN, DONE
from ancestral.orchestration.wording import counted

#: Artifacts that cannot be read which are named one by one; all are counted.
LISTED_ARTIFACTS = 20


@click.command()
@click.argument("job_id")
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    help="Write each artifact that is ok to a file in this folder of this machine.",
)
@click.option("--rejected", is_flag=True, help="And each that a gate rejected, to DIR/rejected.")
@json_option
def results(job_id: str, folder: str | None, rejected: bool, as_json: bool) -> int:
    """Say where the results of a job are, or download them.

    A job that is still running has those rows that are committed so far. An artifact whose
    pack is gone or damaged is named, and all others are written; the exit code is 1 then.
    """
    if rejected and folder is None:
        raise click.UsageError("--rejected needs --to DIR.")
    instead = f"`ancestral export {job_id} --to webdataset URI` writes to a bucket"
    place = local_folder(folder, "--to", instead) if folder is not None else None
    client = Client()
    found = Lookout(client).status(job_id)
    more: dict[str, Any] = {}
    damaged = Problems()
    if place is not None:
        more = {"folder": str(place), "files": _download(client, job_id, place, "ok", damaged)}
        if rejected:
            into = place / "rejected"
            more["rejected_files"] = _download(client, job_id, into, "rejected", damaged)
        more["damaged_files"] = damaged.total
    show_status(client, found, as_json, **more)
    if not as_json and place is not None:
        click.echo(f"{more['files']:,} files in {place}")
        if rejected:
            click.echo(f"{more['rejected_files']:,} files in {place}/rejected")
        elif found.rows_rejected:
            click.echo(f"{found.rows_rejected:,} rejected ones are not among them (--rejected)")
    if not damaged.total:
        return DONE
    for sentence in damaged.kept[:LISTED_ARTIFACTS]:
        say(f"- {sentence}")
    if damaged.total > LISTED_ARTIFACTS:
        say(f"- and {damaged.total - LISTED_ARTIFACTS:,} more")
    say(f"{counted(damaged.total, 'artifact')} cannot be read any more; all others were written")
    return BROKEN


def _download(
    client: Client,
    job_id: str,
    folder: Path,
    status: Literal["ok", "rejected"],
    damaged: Problems,
) -> int:
    from ancestral.orchestration.progress import ProgressLine

    results = client.results(job_id)
    with ProgressLine("download", len(results), sys.stderr) as line:
        return results.download(
            folder,
            lambda done, total: line.show(done, f"{done:,} of {total:,} files"),
            status=status,
            damaged=lambda error: damaged.add(str(error)),
        )
