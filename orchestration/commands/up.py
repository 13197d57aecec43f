"""`ancestral up`: a fleet in the foreground that serves every job of a queue."""

from __future__ import annotations

import click

from ancestral.jobs.client import Client
from ancestral.jobs.errors import UsageError
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.settings import Settings
from ancestral.orchestration.commands.options import fleet_options, json_option
from ancestral.orchestration.commands.output import print_json, say
from ancestral.orchestration.commands.services import ray_address
from ancestral.orchestration.errors import DONE


@click.command()
@fleet_options
@json_option
def up(samplers: int | None, slots: int | None, device: str, gpus: float, as_json: bool) -> int:
    """Serve every job in the queue of ANCESTRAL_REDIS_URL until stopped.

    Draws and publishes the jobs that are submitted, on the cluster of RAY_ADDRESS or else on this
    machine. Ctrl-C, SIGTERM and a closed terminal drain: samplers finish what they hold, for some
    seconds at most.
    """
    settings = Settings.from_environment()
    if settings.redis_url is None:
        raise UsageError("there is no queue to serve: set ANCESTRAL_REDIS_URL to its address")
    queue = RedisQueue(settings.redis_url)
    from ancestral.orchestration.cluster import cluster
    from ancestral.orchestration.interrupt import Interrupt
    from ancestral.orchestration.serve import Service, serve

    with cluster(ray_address(settings), samplers) as resources, Interrupt() as interrupt:
        places = samplers or resources.places(device, gpus)
        service = Service(Client(settings, queue), queue, places, slots, device, gpus)
        queue.check()
        say(f"{service.samplers} samplers serve the queue; Ctrl-C drains and stops them")
        published = serve(service, say, interrupt)
    if as_json:
        print_json({"published": published})
    else:
        say(f"Drained; {len(published)} jobs were published.")
    return DONE
