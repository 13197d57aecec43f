"""`ancestral results`: what a job made, and its artifacts as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from ancestral.jobs.client import Client
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import show_status
from ancestral.orchestration.errors import DONE


@click.command()
@click.argument("job_id")
@click.option(
    "--to", "folder", metavar="DIR", help="Write each artifact that is ok to a file in it."
)
@click.option("--rejected", is_flag=True, help="And each that a gate rejected, to DIR/rejected.")
@json_option
def results(job_id: str, folder: str | None, rejected: bool, as_json: bool) -> int:
    """Say where the results of a job are, or download them.

    A job that is still running has those rows that are committed so far.
    """
    if rejected and folder is None:
        raise click.UsageError("--rejected needs --to DIR.")
    client = Client()
    found = client.status(job_id)
    more: dict[str, Any] = {}
    if folder is not None:
        place = Path(folder).absolute()
        more = {"folder": str(place), "files": _download(client, job_id, place, "ok")}
        if rejected:
            more["rejected_files"] = _download(client, job_id, place / "rejected", "rejected")
    show_status(client, found, as_json, **more)
    if not as_json:
        if folder is not None:
            click.echo(f"{more['files']:,} files in {more['folder']}")
        if rejected:
            click.echo(f"{more['rejected_files']:,} files in {more['folder']}/rejected")
        elif folder is not None and found.rows_rejected:
            click.echo(f"{found.rows_rejected:,} rejected ones are not among them (--rejected)")
    return DONE


def _download(client: Client, job_id: str, folder: Path, status: Literal["ok", "rejected"]) -> int:
    from ancestral.orchestration.progress import ProgressLine

    results = client.results(job_id)
    with ProgressLine("download", len(results), sys.stderr) as line:
        return results.download(
            folder,
            lambda done, total: line.show(done, f"{done:,} of {total:,} files"),
            status=status,
        )
