"""The command line: `ancestral`.

A command imports what loads torch or Ray inside itself, so that help, `submit` and `status` wait
for neither. What goes wrong is one sentence on stderr, and an exit code:

    0     done, also when rows were rejected
    1     run, demo, status or watch tells of rows that failed or were cancelled; the work broke
          down; or fsck, verify or results found something
    2     wrong use: the message says what to change
    3     a service does not answer, or not as it should
    130   stopped by Ctrl-C
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence

import click

from ancestral.jobs.errors import (
    CorruptObject,
    JobError,
    NotFound,
    QueueError,
    RequestsInvalid,
    RowsMissing,
    StoreUnavailable,
)
from ancestral.orchestration.commands.demo import demo
from ancestral.orchestration.commands.devices import devices
from ancestral.orchestration.commands.estimate import estimate
from ancestral.orchestration.commands.export import export
from ancestral.orchestration.commands.fsck import fsck
from ancestral.orchestration.commands.gc import gc
from ancestral.orchestration.commands.ls import ls
from ancestral.orchestration.commands.models import models
from ancestral.orchestration.commands.output import say
from ancestral.orchestration.commands.recover import recover
from ancestral.orchestration.commands.results import results
from ancestral.orchestration.commands.retry import retry
from ancestral.orchestration.commands.run import run
from ancestral.orchestration.commands.status import status, watch
from ancestral.orchestration.commands.steer import cancel, pause, resume
from ancestral.orchestration.commands.submit import submit
from ancestral.orchestration.commands.train import train
from ancestral.orchestration.commands.up import up
from ancestral.orchestration.commands.verify import verify
from ancestral.orchestration.errors import (
    BROKEN,
    STOPPED,
    UNAVAILABLE,
    WRONG_USE,
    OrchestrationError,
)

#: What a full disk and a closed terminal answer to whoever prints something.
UNPRINTABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

#: Problems with rows that are listed one by one; all are counted.
LISTED_PROBLEMS = 20


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ancestral", message="%(prog)s %(version)s")
def cli() -> None:
    """Bulk generation with deep autoregressive networks: images and sounds by ancestral sampling.

    \b
      ancestral demo               train a small model, run a job of it and of those that ship
      ancestral run JOB.yaml       run a job with everything it needs on this machine
      ancestral train RECIPE       train a model

    \b
    Exit codes:
      0     done, also when rows were rejected
      1     run, demo, status or watch tells of rows that failed or were cancelled;
            the work broke down; or fsck, verify or results found something
      2     wrong use: the message says what to change
      3     a service does not answer, or not as it should
      130   stopped by Ctrl-C
    """


for command in (
    *(demo, run, estimate, submit, status, watch, ls, results, export),
    *(pause, resume, cancel, retry),
    *(fsck, verify, gc, recover, devices),
    *(train, models, up),
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; `arguments` are those of the process by default."""
    streams = [each for each in (sys.stdout, sys.stderr) if isinstance(each, io.TextIOWrapper)]
    for stream in streams:
        # A name may have characters that the terminal's encoding has not.
        stream.reconfigure(errors="backslashreplace")
    code = exit_code_of(arguments)
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            # The error has been reported; Python would flush once more at exit and complain, so
            # give it a stream that takes everything.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def exit_code_of(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code, after what went wrong was said on stderr."""
    try:
        code = cli.main(arguments, prog_name="ancestral", standalone_mode=False)
    except click.Abort:
        say("Stopped.")
        return STOPPED
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        return error.exit_code
    except OrchestrationError as error:
        say(f"ancestral: {error}")
        return error.exit_code
    except RequestsInvalid as error:
        if error.total == 1:
            say(f"ancestral: {error}; nothing was submitted")
            return WRONG_USE
        for problem in error.problems[:LISTED_PROBLEMS]:
            say(problem)
        say(f"ancestral: {error.total:,} rows are wrong; nothing was submitted")
        return WRONG_USE
    except JobError as error:
        say(f"ancestral: {error}")
        return _code_of(error)
    except OSError as error:
        # An error from printing names no file; one that does is not about the output, and is a
        # bug to be seen.
        if error.errno not in UNPRINTABLE or error.filename is not None:
            raise
        say(f"ancestral: {error.strerror}")
        return BROKEN
    return code if isinstance(code, int) else 0


def _code_of(error: JobError) -> int:
    if isinstance(error, QueueError | StoreUnavailable):
        return UNAVAILABLE
    return BROKEN if isinstance(error, CorruptObject | NotFound | RowsMissing) else WRONG_USE
