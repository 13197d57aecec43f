"""`ancestral results`: what a job made, and its artifacts as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ancestral.orchestration.commands.output import (
    exit_code,
    json_option,
    print_json,
    print_status,
    report_of,
    status_document,
)


@click.command()
@click.argument("job_id")
@click.option("--to", "folder", metavar="DIR", help="Write each artifact to a file in it.")
@json_option
def results(job_id: str, folder: str | None, as_json: bool) -> int:
    """Say where the results of a job are, or download them.

    A job that is still running has those rows that are committed so far.
    """
    from ancestral.jobs.client import Client

    client = Client()
    found = client.status(job_id)
    report = report_of(client, found)
    more: dict[str, Any] = {}
    if folder is not None:
        more = {"folder": str(Path(folder).absolute()), "files": _download(client, job_id, folder)}
    if as_json:
        print_json(status_document(found, **report, **more))
    else:
        print_status(found, **report)
        if folder is not None:
            click.echo(f"{more['files']:,} files in {more['folder']}")
    return exit_code(found)


def _download(client: Any, job_id: str, folder: str) -> int:
    from ancestral.orchestration.progress import ProgressLine

    results = client.results(job_id)
    with ProgressLine("download", len(results), sys.stderr) as line:
        files: int = results.download(
            folder, lambda done, total: line.show(done, f"{done:,} of {total:,} files")
        )
    return files
