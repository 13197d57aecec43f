"""`ancestral export`: what a job made, into a table or a dataset that others read."""

from __future__ import annotations

import dataclasses
import sys

import click

from ancestral.jobs.client import Client
from ancestral.jobs.export import FORMATS, Exported, Format
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import print_json
from ancestral.orchestration.errors import DONE
from ancestral.orchestration.wording import counted


@click.command()
@click.argument("job_id")
@click.option(
    "--to", "form", type=click.Choice(FORMATS), required=True, help="Which kind; see above."
)
@click.argument("uri")
@click.option("--rejected", is_flag=True, help="Also the rows that a gate rejected.")
@json_option
def export(job_id: str, form: Format, uri: str, rejected: bool, as_json: bool) -> int:
    """Put the rows of a finished job that are ok into a table or a dataset.

    \b
    --to delta        appends them to the Delta table at URI
    --to iceberg      appends them to the Iceberg table URI, such as lake.digits,
                      of the catalog that PyIceberg's configuration names
    --to hf           writes them with their artifacts to the folder URI, for
                      load_dataset of Hugging Face
    --to webdataset   writes the artifacts as tars to the folder URI

    A table is made if there is none, and gets the columns that it lacks. However often it is
    done, the rows are there once.
    """
    from ancestral.orchestration.progress import ProgressLine

    if uri.lower().startswith("memory://"):
        raise click.UsageError(f"{uri} would end with this command: give a folder or a bucket.")
    client = Client()
    with ProgressLine("export", 1.0, sys.stderr) as line:
        exported = client.export(
            job_id,
            form,
            uri,
            rejected=rejected,
            progress=lambda done, total: line.show(done / total, f"{done:,} of {total:,} rows"),
        )
    if as_json:
        print_json(dataclasses.asdict(exported))
    else:
        click.echo(_told(exported))
        if not rejected and (left_out := client.status(job_id).rows_rejected):
            click.echo(f"{left_out:,} rejected rows are not among them (--rejected)")
    return DONE


def _told(exported: Exported) -> str:
    rows = counted(exported.rows, "row")
    if not exported.added:
        return f"{rows} in {exported.uri}, and nothing to add"
    before = exported.rows - exported.added
    more = f"; {before:,} were there before" if before else ""
    return f"{rows} in {exported.uri}{more}"
