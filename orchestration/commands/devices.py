"""`ancestral devices`: which devices were drained, and why."""

from __future__ import annotations

import click

from ancestral.jobs.client import Client
from ancestral.jobs.errors import UsageError
from ancestral.orchestration.commands.options import json_option
from ancestral.orchestration.commands.output import print_json
from ancestral.orchestration.errors import DONE


@click.command()
@click.option("--pardon", metavar="NAME", help="Give units to this device again.")
@json_option
def devices(pardon: str | None, as_json: bool) -> int:
    """List the devices that get no more units, because different units broke on them alone.

    The queue of ANCESTRAL_REDIS_URL knows them.
    """
    queue = Client().queue
    if queue is None:
        raise UsageError("there is no queue to ask: set ANCESTRAL_REDIS_URL to its address")
    drained = queue.drained_devices()
    if pardon is not None:
        if pardon not in drained:
            named = ", ".join(sorted(drained)) or "none is"
            raise UsageError(f"the device {pardon!r} is not drained ({named})")
        queue.pardon(pardon)
        del drained[pardon]
    if as_json:
        print_json({"drained": drained, "pardoned": pardon})
        return DONE
    if pardon is not None:
        click.echo(f"{pardon} gets units again.")
    for device, units in sorted(drained.items()):
        click.echo(f"{device}  {', '.join(units)}")
    if not drained and pardon is None:
        click.echo("No device is drained.")
    return DONE
