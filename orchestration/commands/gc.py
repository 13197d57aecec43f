"""`ancestral gc`: remove what no record of a finished job names."""

from __future__ import annotations

import dataclasses

import click

from ancestral.jobs.client import Client
from ancestral.jobs.orphans import collect
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import print_json
from ancestral.orchestration.errors import DONE


@click.command()
@click.argument("job_id")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
def gc(job_id: str, dry_run: bool, as_json: bool) -> int:
    """Remove what lost attempts of a finished job left behind.

    Committed files are never touched, and readers notice nothing.
    """
    collected = collect(Client().store(job_id), job_id, dry_run)
    if as_json:
        print_json({"job_id": job_id, "dry_run": dry_run, **dataclasses.asdict(collected)})
    else:
        verb = "would be" if dry_run else "were"
        click.echo(f"{collected.objects:,} objects of {collected.bytes:,} bytes {verb} removed")
    return DONE
