"""`ancestral verify`: rows of a finished job, drawn again and compared."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import click

from ancestral.jobs.errors import UsageError
from ancestral.orchestration.commands.options import FiniteRange, device_option, json_option
from ancestral.orchestration.commands.output import print_json, print_table
from ancestral.orchestration.errors import BROKEN, DONE

if TYPE_CHECKING:
    from ancestral.workers.verification import Verification

#: Rows that differ which are named one by one; all are counted.
LISTED_ROWS = 20


@click.command()
@click.argument("job_id")
@click.option(
    "--fraction",
    type=FiniteRange(0, 1, min_open=True),
    default=0.01,
    show_default=True,
    help="Share of the rows to draw again; it is at least one row.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Chooses the rows: the same ones for the same number.",
)
@device_option
@json_option
def verify(job_id: str, fraction: float, seed: int, device: str, as_json: bool) -> int:
    """Draw a share of a finished job's rows again, and compare them with its index.

    Digests of artifacts and symbols and the likelihoods should be equal; of a score job, the
    likelihoods. Only rows of this machine's class of numerics can be compared. Nothing is written.
    Exit code 1 if rows differ, or if none could be compared.
    """
    from ancestral.orchestration.progress import ProgressLine
    from ancestral.workers.errors import JobRefused
    from ancestral.workers.verification import verify as check

    with ProgressLine("verify", 1.0, sys.stderr) as line:
        try:
            found = check(
                job_id,
                fraction=fraction,
                seed=seed,
                device=device,
                progress=lambda done, total: line.show(done / total, f"{done:,} of {total:,} rows"),
            )
        except JobRefused as error:
            raise UsageError(str(error)) from error
    if as_json:
        print_json({**dataclasses.asdict(found), "verified": found.verified})
    else:
        _print(found)
    return DONE if found.verified else BROKEN


def _print(found: Verification) -> None:
    different = found.compared - found.equal
    lines = [
        ("job", found.job_id),
        ("rows", f"{found.rows:,}, of which {found.rows_drawn:,} were drawn"),
        ("numerics", found.numerics),
        ("compared", f"{found.compared:,}: {found.equal:,} equal, {different:,} different"),
    ]
    for numerics, rows in found.numerics_elsewhere.items():
        lines.append(("not comparable", f"{rows:,} drawn by {numerics}"))
    print_table(lines)
    for each in found.different[:LISTED_ROWS]:
        named = f"row {each.ordinal} ({each.request_id!r}, sample {each.sample})"
        why = f" ({each.error})" if each.error else ""
        click.echo(f"- {named} has another {', '.join(each.columns)}{why}")
    if different > LISTED_ROWS:
        click.echo(f"- and {different - LISTED_ROWS:,} more")
    click.echo(_verdict(found))


def _verdict(found: Verification) -> str:
    if not found.chosen:
        return "Nothing could be compared: none of the job's rows was drawn."
    if not found.compared:
        return (
            "Nothing could be compared: verify the job on a machine, or with the --device, whose "
            "numerics are those that it was drawn by."
        )
    if found.verified:
        return "Every row that was compared is what it was."
    return f"{found.compared - found.equal:,} of {found.compared:,} rows are not what they were."
