"""`ancestral estimate`: what a job will take, before it is submitted."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import click

from ancestral.jobs.errors import UsageError
from ancestral.orchestration.commands.options import (
    FiniteRange,
    device_option,
    json_option,
    read_job_file,
)
from ancestral.orchestration.commands.output import print_json, print_table
from ancestral.orchestration.errors import DONE

if TYPE_CHECKING:
    from ancestral.workers.estimation import Estimate


@click.command()
@click.argument("job_file", metavar="JOB.yaml")
@click.option(
    "--seconds",
    type=FiniteRange(0),
    default=20.0,
    show_default=True,
    help="Draw some of its rows for about so long, less of a small job; with 0 only count.",
)
@click.option(
    "--samplers",
    type=click.IntRange(1),
    help="Sampler processes that are to draw it.  [default: one for each processor, or GPU, of "
    "this machine]",
)
@device_option
@json_option
def estimate(
    job_file: str, seconds: float, samplers: int | None, device: str, as_json: bool
) -> int:
    """Check a job to the last row, and say what it will take; nothing is submitted.

    Some of its rows are drawn here by one sampler, whose speed is taken for that of all. The
    time is from when all samplers draw: they take seconds to start, or a minute on a GPU.
    Nothing is written: whether the output can be is found when the job is submitted.
    """
    from ancestral.jobs.numbers import duration_seconds
    from ancestral.orchestration.progress import ProgressLine
    from ancestral.orchestration.scaling import samplers_in_time
    from ancestral.workers.errors import JobRefused
    from ancestral.workers.estimation import estimate as measure

    spec = read_job_file(job_file)
    with ProgressLine("estimate", seconds, sys.stderr) as line:
        try:
            found = measure(
                spec,
                seconds=seconds,
                samplers=samplers,
                device=device,
                progress=lambda done, total: line.show(done, f"{done:.0f} of {total:.0f} s"),
            )
        except JobRefused as error:
            raise UsageError(str(error)) from error
    deadline, in_time = duration_seconds(spec.deadline or ""), None
    if deadline is not None and found.sampler_seconds is not None:
        in_time = samplers_in_time(found.sampler_seconds, deadline)
    if as_json:
        known = {
            name: getattr(found, name) for name in ("bytes", "sampler_seconds", "wall_seconds")
        }
        print_json({**dataclasses.asdict(found), **known, "samplers_in_time": in_time})
    else:
        _print(found, spec.deadline, in_time)
    return DONE


def _print(found: Estimate, deadline: str | None, samplers_in_time: int | None) -> None:
    from ancestral.orchestration.wording import counted, duration, size

    lines = [
        ("job", f"{found.name}: {found.kind} by {found.model}"),
        ("rows", f"{found.rows:,} of {counted(found.requests, 'request')}"),
        ("units", f"{found.units:,} of {counted(found.unit_rows, 'row')}"),
    ]
    if (speed := found.speed) is not None:
        slots, ended = counted(speed.slots, "slot"), counted(speed.rows_ended, "row")
        lines.append(("numerics", speed.numerics))
        lines.append(("measured", f"{duration(speed.seconds)}, {slots}, {ended} ended"))
        rate = "no row can be drawn"
        if speed.rows_per_second is not None:
            digits = ".1f" if speed.rows_per_second >= 100 else ".3g"
            rate = f"{speed.rows_per_second:,{digits}} rows/s of one sampler"
        lines.append(("speed", rate))
    if speed is not None and found.sampler_seconds is not None and found.wall_seconds is not None:
        samplers = counted(found.samplers, "sampler")
        lines.append(("in all", f"{duration(found.sampler_seconds)} of one sampler"))
        lines.append(("time", f"{duration(found.wall_seconds)} with {samplers}, once started"))
        if samplers_in_time is not None:
            enough = counted(samplers_in_time, "sampler")
            lines.append(("deadline", f"{deadline} from submission: {enough}, once started"))
        artifacts = "not known, as no row ended: take more --seconds"
        if speed.bytes_per_row is not None and found.bytes is not None:
            artifacts = f"{size(found.bytes)}, {size(speed.bytes_per_row)} a row"
        lines.append(("artifacts", artifacts))
    print_table(lines)
