"""`ancestral up`: a fleet in the foreground that serves every job of a queue."""

from __future__ import annotations

import re

import click

from ancestral.jobs.client import Client
from ancestral.jobs.errors import UsageError
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.settings import Settings
from ancestral.orchestration.commands.options import FiniteRange, fleet_options, json_option
from ancestral.orchestration.commands.output import print_json, say
from ancestral.orchestration.commands.services import ray_address
from ancestral.orchestration.errors import DONE
from ancestral.orchestration.scaling import IDLE_SECONDS
from ancestral.orchestration.wording import counted


def _size(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int | None, int | None]:
    """The number of samplers that is asked for; of a range the least, and the most."""
    if text is None:
        return None, None
    if (found := re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", text)) is not None:
        least, most = int(found[1]), int(found[2] or found[1])
        if 0 < most >= least:
            return least, None if found[2] is None else most
    raise click.BadParameter(
        f"{text!r} is neither a whole number above 0 nor a range such as 0-16."
    )


@click.command()
@click.option(
    "--samplers",
    metavar="N|LEAST-MOST",
    callback=_size,
    help="Sampler processes: so many, or, within a range, as many as units of jobs are ready or "
    "held, fewer where those meet a deadline.  [default: one for each processor, or share of a "
    "GPU, of the cluster]",
)
@click.option(
    "--idle-seconds",
    type=FiniteRange(0, min_open=True),
    help="With a range, how long fewer samplers must have sufficed before the others finish what "
    f"they hold and end.  [default: {IDLE_SECONDS:.0f}]",
)
@fleet_options
@json_option
def up(
    samplers: tuple[int | None, int | None],
    idle_seconds: float | None,
    slots: int | None,
    device: str,
    gpus: float,
    as_json: bool,
) -> int:
    """Serve every job in the queue of ANCESTRAL_REDIS_URL until stopped.

    Draws and publishes the jobs that are submitted, on the cluster of RAY_ADDRESS or else on this
    machine. Ctrl-C, SIGTERM and a closed terminal drain: samplers finish what they hold, for some
    seconds at most.
    """
    least, most = samplers
    if idle_seconds is None:
        idle_seconds = IDLE_SECONDS
    elif most is None:
        raise click.UsageError("--idle-seconds needs a range of --samplers, such as 0-16.")
    settings = Settings.from_environment()
    if settings.redis_url is None:
        raise UsageError("there is no queue to serve: set ANCESTRAL_REDIS_URL to its address")
    queue = RedisQueue(settings.redis_url)
    from ancestral.orchestration.cluster import cluster
    from ancestral.orchestration.interrupt import Interrupt
    from ancestral.orchestration.serve import Service, serve

    with cluster(ray_address(settings), most or least) as resources, Interrupt() as interrupt:
        if least is None or ray_address(settings) in (None, "local"):
            # Of a cluster, the autoscaler may have nodes yet to come.
            places = resources.places(device, gpus)
            least = places if least is None else least
        elif device == "cuda" and not resources.gpus:
            say("There is no GPU in the Ray cluster yet; samplers wait for a node with one")
        client = Client(settings, queue)
        service = Service(client, queue, least, slots, device, gpus, most, idle_seconds)
        queue.check()
        how_many = counted(least, "sampler") if most is None else f"{least} to {most} samplers"
        say(f"Serving the queue with {how_many}; Ctrl-C drains and stops them")
        published = serve(service, say, interrupt)
    if as_json:
        print_json({"published": published})
    else:
        say(f"Drained; published {counted(len(published), 'job')}.")
    return DONE
