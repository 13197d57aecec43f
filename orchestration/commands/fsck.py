"""`ancestral fsck`: is a job what it should be, by the store alone?"""

from __future__ import annotations

import dataclasses
import sys

import click

from ancestral.jobs.client import Client
from ancestral.jobs.fsck import FsckReport
from ancestral.jobs.fsck import fsck as check
from ancestral.jobs.sameness import Sameness, compare
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import print_json, print_table
from ancestral.orchestration.errors import BROKEN, DONE
from ancestral.orchestration.wording import counted


@click.command()
@click.argument("job_id")
@click.option(
    "--against",
    "other_id",
    metavar="JOB_ID",
    help="Compare every row that is decided in both with another run of the same job.",
)
@json_option
def fsck(job_id: str, other_id: str | None, as_json: bool) -> int:
    """Check a job to the last byte: that each row is decided once, and its files are there.

    Reads the store alone. Of a job that is not finished what is decided is checked.
    Exit code 1 if something is wrong.
    """
    from ancestral.orchestration.progress import ProgressLine

    client = Client()
    store = client.store(job_id)
    other_store = client.store(other_id) if other_id is not None else None
    with ProgressLine("fsck", client.job(job_id).rows, sys.stderr) as line:
        report = check(
            store,
            job_id,
            lambda done, total: line.show(done, f"{done:,} of {total:,} rows"),
        )
    sameness = None
    if other_id is not None and other_store is not None:
        sameness = compare(store, job_id, other_store, other_id)
    sound = report.sound and (sameness is None or sameness.same)
    if as_json:
        document = {**dataclasses.asdict(report), "sound": sound}
        if sameness is not None:
            document["against"] = {"job_id": other_id, **dataclasses.asdict(sameness)}
        print_json(document)
    else:
        _print(report, sameness)
    return DONE if sound else BROKEN


def _print(report: FsckReport, sameness: Sameness | None) -> None:
    rows = {
        "ok": report.rows_ok,
        "failed": report.rows_failed,
        "rejected": report.rows_rejected,
        "cancelled": report.rows_cancelled,
        "undecided": report.rows_undecided,
    }
    told = ", ".join(f"{count:,} {what}" for what, count in rows.items() if count)
    lines = [
        ("job", report.job_id + ("" if report.finished else "  (not finished)")),
        ("rows", f"{report.rows:,}: {told}"),
        ("records", f"{report.records:,}, and {report.splits:,} splits"),
        ("files", f"{report.files:,} of {report.bytes:,} bytes"),
    ]
    if report.late_records:
        lines.append(("late", f"{report.late_records:,} records came too late; gc removes them"))
    if sameness is not None:
        lines.append(("compared", f"{sameness.rows_compared:,} of {report.rows:,} rows"))
    print_table(lines)
    found = [*report.problems, *(sameness.problems if sameness else ())]
    total = report.problem_count + (sameness.problem_count if sameness else 0)
    for problem in found:
        click.echo(f"- {problem}")
    if total > len(found):
        click.echo(f"- and {total - len(found):,} more")
    click.echo(counted(total, "problem") if total else "Everything is as it should be.")
