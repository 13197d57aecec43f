"""What several commands are given: a job file, how to answer, and what the samplers have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ancestral.jobs.errors import SpecError
from ancestral.jobs.spec import JobSpec, load_spec

Command = TypeVar("Command", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """A range of numbers, which neither an infinite one nor nan is in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def read_job_file(file: str) -> JobSpec:
    """The job that a file asks for. Raises SpecError."""
    spec = load_spec(file)
    if spec.output.lower().startswith("memory://"):
        raise SpecError(
            f"{file}: 'output' is {spec.output}, and memory:// lives in one process only: give a "
            "folder or a bucket"
        )
    return spec


def json_option(command: Command) -> Command:
    """Adds `--json` to a command, as its argument `as_json`."""
    text = "Print one JSON document to stdout, and nothing else."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


#: Adds `--device` to a command.
device_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    # Read first, for the share of a GPU depends on it.
    is_eager=True,
    help="What samplers draw on.",
)


def fleet_options(command: Command) -> Command:
    """Adds the options that say what each sampler of a fleet has."""
    for option in (
        device_option,
        click.option(
            "--gpus-per-sampler",
            "gpus",
            type=FiniteRange(0, 1, min_open=True),
            callback=_share,
            help="With cuda, the share of a GPU that each sampler takes.  [default: 1.0]",
        ),
        click.option(
            "--slots",
            type=click.IntRange(1),
            help="Rows that each sampler draws at the same time.  [default: 64, or with cuda what "
            "the memory of the GPU has room for]",
        ),
    ):
        command = option(command)
    return command


def _share(context: click.Context, option: click.Parameter, gpus: float | None) -> float:
    """The share of a GPU that was asked for, a whole one if none was."""
    if gpus is not None and context.params["device"] != "cuda":
        raise click.UsageError("--gpus-per-sampler needs --device cuda.")
    return 1.0 if gpus is None else gpus
