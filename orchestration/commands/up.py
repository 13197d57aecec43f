"""`ancestral up`: a fleet in the foreground that serves every job of a queue."""

from __future__ import annotations

import click

from ancestral.orchestration.commands.output import DONE, json_option, print_json, say
from ancestral.orchestration.commands.run import fleet_options
from ancestral.orchestration.commands.services import ray_address


@click.command()
@fleet_options
@json_option
def up(samplers: int | None, slots: int | None, device: str, gpus: float, as_json: bool) -> int:
    """Serve every job in the queue of ANCESTRAL_REDIS_URL until stopped.

    Draws and publishes the jobs that are submitted, on the cluster of RAY_ADDRESS or else on this
    machine. Ctrl-C, SIGTERM and a closed terminal drain: samplers finish what they hold, for some
    seconds at most.
    """
    from ancestral.jobs.errors import UsageError
    from ancestral.jobs.settings import Settings

    settings = Settings.from_environment()
    if settings.redis_url is None:
        raise UsageError("there is no queue to serve: set ANCESTRAL_REDIS_URL to its address")
    from ancestral.orchestration.cluster import cluster
    from ancestral.orchestration.interrupt import Interrupt
    from ancestral.orchestration.serve import Service, serve

    with cluster(ray_address(settings), samplers) as resources, Interrupt() as interrupt:
        service = Service.at(
            settings,
            settings.redis_url,
            embedded=False,
            samplers=samplers or resources.places(device, gpus),
            slots=slots,
            device=device,
            gpus=gpus,
        )
        service.queue.check()
        say(f"{service.samplers} samplers serve the queue; Ctrl-C drains and stops them")
        published = serve(service, say, interrupt)
    if as_json:
        print_json({"published": published})
    else:
        say(f"Drained; {len(published)} jobs were published.")
    return DONE
